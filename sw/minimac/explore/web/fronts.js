// Plots of quality against cost.
// The library is unpacked once the page is there, and no drawing comes before it.
async function unpack() {
  const letters = atob(document.getElementById("plotly").textContent), bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  document.head.append(element("script", {textContent: text}));
}

const config = {displayModeBar: false, responsive: true};

function layout(c, more) {
  const axis = {gridcolor: c("grid"), linecolor: c("line"), zeroline: false, tickcolor: c("line"), automargin: true};
  const titled = ({title, ...rest}) => ({...axis, ...rest, ...(title ? {title: {text: title, font: {color: c("soft"), size: 13}, standoff: 12}} : {})});
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    font: {family: getComputedStyle(document.body).fontFamily, size: 12.5, color: c("soft")},
    margin: {l: 56, r: 20, t: 14, b: 48}, hoverlabel: {bgcolor: c("panel"), bordercolor: c("line"), font: {color: c("ink")}, align: "left"},
    ...more, xaxis: titled(more.xaxis), yaxis: titled(more.yaxis),
  };
}

// Where each label goes: the place nearest to its point that meets no point, line or other label.
const canvas = document.createElement("canvas").getContext("2d");
function places(points, labelled, stairs, width, height, font) {
  const taken = points.map(([x, y]) => [x - 7, y - 7, x + 7, y + 7]);
  stairs.slice(1).forEach(([x1, y1], i) => {
    const [x0, y0] = stairs[i];
    taken.push([Math.min(x0, x1) - 1, Math.min(y0, y1) - 1, Math.max(x0, x1) + 1, Math.max(y0, y1) + 1]);
  });
  canvas.font = "12px " + font;
  return labelled.map(({at: [x, y], text}) => {
    const w = canvas.measureText(text).width + 4, h = 16;
    let best = null;
    for (const far of [0, 18, 36, 54, 72]) {
      for (const [dx, dy] of [[10 + w / 2, 0], [0, -16], [0, 16], [-10 - w / 2, 0], [w / 2, -16], [w / 2, 16], [-w / 2, -16], [-w / 2, 16]]) {
        if (far && !dy) continue;
        const to = [dx, dy + Math.sign(dy) * far], left = x + to[0] - w / 2, top = y + to[1] - h / 2;
        const label = [left, top, left + w, top + h];
        const outside = Math.max(0, -left) + Math.max(0, left + w - width) + Math.max(0, -top) + Math.max(0, top + h - height);
        let cost = far / 4 + 50 * outside;
        for (const t of taken) {
          const across = Math.min(label[2], t[2]) - Math.max(label[0], t[0]), down = Math.min(label[3], t[3]) - Math.max(label[1], t[1]);
          if (across > 0 && down > 0) cost += 20 + across * down;
        }
        if (best === null || cost < best.cost) best = {to, far, label, cost};
      }
    }
    taken.push(best.label);
    return best;
  });
}

// An axis over figures: its range in its own terms, and ticks where the library's would be poor.
function axisOver(column, values, share) {
  const scale = scaleOf(values), pad = (scale.put(scale.high) - scale.put(scale.low) || Math.abs(scale.put(scale.high)) * 0.1 || 1) * share;
  const range = [scale.put(scale.low) - pad, scale.put(scale.high) + pad];
  const axis = {title: plain(measured(column)), range};
  if (!scale.log) {
    if (column.unit === "%" && scale.low >= 0) {
      range[0] = Math.max(range[0], scale.low === 0 ? -pad / 4 : 0);
      if (scale.high <= 100 && range[1] > 100) range[1] = 100 + Math.min(0.15, pad);
      axis.tickformat = range[1] - range[0] > 1 ? ".1f" : "";
    } else if (scale.low >= 0) range[0] = Math.max(0, range[0]);
    return {scale, axis, range};
  }
  const ticks = [], decades = range[1] - range[0], steps = decades > 3.5 ? [1] : decades > 1.7 ? [1, 2, 5] : [1, 2, 3, 5, 7];
  const from = scale.floor === null ? range[0] : Math.log10(3 * scale.floor) - 1e-9;
  for (let e = Math.floor(from); e <= range[1]; e++) for (const s of steps) if (Math.log10(s) + e >= from && Math.log10(s) + e <= range[1]) ticks.push(Number(`${s}e${e}`));
  const text = (value) => value >= 1e6 || value < 1e-4 ? value.toExponential(0) : value.toLocaleString("en-US", {maximumSignificantDigits: 2, notation: value < 1000 ? "standard" : "compact"}).replace("K", "k");
  Object.assign(axis, {type: "log", tickangle: 0, tickvals: ticks, ticktext: ticks.map(text)});
  if (scale.floor !== null) { axis.tickvals = [scale.floor, ...ticks]; axis.ticktext = ["0", ...axis.ticktext]; }
  return {scale, axis, range};
}

function drawFront(at, k, c) {
  const {x: xKey, y: yKey} = data.fronts[k], x = columns.get(xKey), y = columns.get(yKey), colour = colouring(c);
  const known = state.shown.filter((i) => x.values[i] !== null && y.values[i] !== null);
  at.classList.toggle("empty", !known.length);
  if (!known.length) return Plotly.purge(at), void (at.textContent = "No design here has both figures.");
  if (!at.classList.contains("js-plotly-plot")) at.textContent = "";
  const few = known.length <= FEW, front = state.fronts[k], on = new Set(front);
  const ax = axisOver(x, known.map((i) => x.values[i]), few ? 0.16 : 0.06), ay = axisOver(y, known.map((i) => y.values[i]), few ? 0.14 : 0.08);
  // On a logarithmic axis zero is put at its floor; traces are given figures, shapes their logarithms.
  const X = (i) => x.values[i] || ax.scale.floor || 0, Y = (i) => y.values[i] || ay.scale.floor || 0;
  const order = known.filter((i) => !on.has(i)).concat(front);
  const size = few ? 10 : known.length <= MANY ? 9 : 6;
  const note = (i) => `<b>${plain(names[i])}</b><br>${plain(columns.get("arithmetic").values[i])}<br>${withUnit(y, y.values[i])}, ${withUnit(x, x.values[i])}`
    + (predicted(i) ? "<br>predicted" : "") + (beyond(i) ? `<br>beyond ${plain(data.limits[i].join("; "))}` : "") + "<extra></extra>";
  const tint = (i) => beyond(i) ? c("faint") : colour.of(i);
  const points = {
    type: "scatter", mode: "markers", x: order.map(X), y: order.map(Y), customdata: order, cliponaxis: false,
    marker: {
      size: order.map((i) => on.has(i) && !few ? size + 3 : size), color: order.map(tint),
      symbol: order.map((i) => beyond(i) ? "x-thin-open" : colour.symbol(i) + (predicted(i) ? "-open" : "")),
      opacity: order.map((i) => beyond(i) ? 0.35 : on.has(i) || known.length <= MANY ? 1 : 0.6),
      line: {width: order.map((i) => predicted(i) || beyond(i) ? 1.6 : on.has(i) ? 1 : 0), color: order.map((i) => predicted(i) || beyond(i) ? tint(i) : c("panel"))},
    },
    hovertemplate: order.map(note),
  };
  // A staircase: between two designs of the front there is none to be had, and beyond the dearest
  // none that is better. Steps that rest on a prediction are dashed.
  const raw = (range, log) => log ? range.map((value) => 10 ** value) : range;
  const [x0, x1] = raw(ax.range, ax.scale.log), [y0, y1] = raw(ay.range, ay.scale.log);
  const dearest = x.better === "more" ? x0 : x1, worst = y.better === "more" ? y0 : y1;
  const lines = {measured: {x: [], y: []}, predicted: {x: [], y: []}};
  front.forEach((i, n) => {
    const line = lines[predicted(i) ? "predicted" : "measured"];
    const next = n + 1 < front.length ? X(front[n + 1]) : X(i);
    line.x.push(X(i), X(i), next, null);
    line.y.push(n ? Y(front[n - 1]) : Y(i), Y(i), Y(i), null);
  });
  const ends = front.length ? {x: [X(front[0]), X(front[0]), null, X(front.at(-1)), dearest], y: [worst, Y(front[0]), null, Y(front.at(-1)), Y(front.at(-1))]} : {x: [], y: []};
  const stairs = Object.entries(lines).map(([basis, line]) => ({...line, type: "scatter", mode: "lines", hoverinfo: "skip", line: {color: c("accent"), width: 1.5, dash: basis === "measured" ? "solid" : "4px,4px"}}));
  stairs.push({...ends, type: "scatter", mode: "lines", hoverinfo: "skip", line: {color: c("faint"), width: 1, dash: "dot"}});
  const picked = known.filter((i) => state.picks.has(i));
  const rings = {type: "scatter", mode: "markers", x: picked.map(X), y: picked.map(Y), hoverinfo: "skip", marker: {size: size + 10, symbol: "circle-open", color: c("ink"), line: {width: 1.5}}};

  const width = at.clientWidth - 84, height = at.clientHeight - 70, font = getComputedStyle(document.body).fontFamily;
  const pixel = (px, py) => [(px - ax.range[0]) / (ax.range[1] - ax.range[0]) * width, (ay.range[1] - py) / (ay.range[1] - ay.range[0]) * height];
  const spot = (i) => pixel(ax.scale.put(x.values[i]), ay.scale.put(y.values[i]));
  const labelled = (few ? known : picked.slice(0, FEW)).map((i) => ({i, at: spot(i), text: short(names[i], 28)}));
  const edge = pixel(ax.range[x.better === "more" ? 0 : 1], ay.range[y.better === "more" ? 0 : 1]);
  const corners = few && front.length ? [[spot(front[0])[0], edge[1]], ...front.flatMap((i, n) => n ? [[spot(i)[0], spot(front[n - 1])[1]], spot(i)] : [spot(i)]), [edge[0], spot(front.at(-1))[1]]] : [];
  const spots = labelled.length ? places(few ? known.map(spot) : labelled.map((l) => l.at), labelled, corners, width, height, font) : [];
  const annotations = labelled.map(({i, text}, n) => ({
    x: ax.scale.put(x.values[i]), y: ay.scale.put(y.values[i]), text: plain(text), font: {size: 12, color: c(on.has(i) || !few ? "ink" : "soft")},
    ax: spots[n].to[0], ay: spots[n].to[1], showarrow: true, arrowhead: 0, arrowwidth: 1, standoff: 6,
    arrowcolor: spots[n].far ? c("faint") : "rgba(0,0,0,0)", borderpad: 0,
  }));
  Plotly.react(at, [...stairs, points, rings], layout(c, {annotations, xaxis: ax.axis, yaxis: ay.axis, uirevision: state.shown.length}), config);
  if (!at.dataset.clicks) {
    at.dataset.clicks = "yes";
    at.on("plotly_click", (event) => { const i = event.points[0].customdata; if (i !== undefined) pick(i); });
  }
}

function drawKey(c) {
  const colour = colouring(c), key = document.getElementById("key"), glyph = {circle: "●", square: "■", diamond: "◆", "triangle-up": "▲", "triangle-down": "▼", cross: "✚", star: "★", hexagon: "⬢"};
  const entry = (mark, text, tint) => { const mark_ = element("span", {className: "glyph", textContent: mark}); if (tint) mark_.style.color = tint; return element("li", {}, mark_, short(text, 32)); };
  key.replaceChildren(...colour.key.map((k) => entry(glyph[k.symbol], k.text, k.colour)));
  if (colour.scale) {
    const bar = element("span", {className: "ramp"});
    bar.style.background = `linear-gradient(to right, ${colour.scale.stops.join(", ")})`;
    key.append(element("li", {}, String(colour.scale.low), bar, String(colour.scale.high)));
  }
  if (!state.colour) key.append(entry("●", "on a front", c("accent")), entry("●", "beaten", c("dim")));
  if (columns.has("basis")) key.append(entry("●", "measured", c("soft")), entry("○", "predicted", c("soft")));
  if (everyone.some(beyond)) key.append(entry("✕", "beyond the limits", c("faint")));
}
