// Parallel coordinates: a line for each design through its place on every axis and objective.
const SVG = "http://www.w3.org/2000/svg";
const svg = (tag, attributes, text) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

// Where the values of a column are, from 0 below to 1 above; of figures the better is above.
const dimensions = data.parallel.map((key) => {
  const column = columns.get(key), known = distinct(column), numbers = allNumbers(column);
  if (!numbers || column.kind === "word") {
    const place = new Map(known.map((value, n) => [value, known.length > 1 ? n / (known.length - 1) : 0.5]));
    const step = Math.ceil(known.length / 16);
    return {column, known, numbers: false, put: (value) => place.get(value), ticks: known.filter((_, n) => n % step === 0).map((value) => [place.get(value), String(value)])};
  }
  const scale = scaleOf(known), width = scale.put(scale.high) - scale.put(scale.low) || 1, flip = column.better === "less";
  const put = (value) => { const t = (scale.put(value) - scale.put(scale.low)) / width; return flip ? 1 - t : t; };
  const back = (t) => { const v = scale.put(scale.low) + (flip ? 1 - t : t) * width; return scale.log ? 10 ** v : v; };
  const ticks = column.kind === "axis" && known.length <= 8 ? known.map((value) => [put(value), String(value)])
    : [0, 0.25, 0.5, 0.75, 1].map((t) => [t, Number(back(t).toPrecision(3)).toLocaleString("en-US", {maximumSignificantDigits: 3})]);
  return {column, known, numbers: true, put, back, ticks};
});

function drawParallel(at, _, c) {
  const width = Math.max(at.clientWidth, 108 * dimensions.length), height = 340, top = 52, foot = 14, side = 54, colour = colouring(c);
  const gap = dimensions.length > 1 ? (width - 2 * side) / (dimensions.length - 1) : 0;
  const x = (n) => side + n * gap, y = (t) => top + (1 - t) * (height - top - foot);
  const picture = svg("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Parallel coordinates of ${state.shown.length} designs`});
  const path = (i) => {
    let text = "", pen = "M";
    dimensions.forEach(({column, put}, n) => {
      const value = column.values[i];
      if (value === null) { pen = "M"; return; }
      text += `${pen}${x(n).toFixed(1)} ${y(put(value)).toFixed(1)}`;
      pen = "L";
    });
    return text;
  };
  // One path for all lines that look the same: a thousand lines are then a dozen elements.
  const looks = new Map(), inside = new Set(state.shown);
  for (const i of everyone) {
    const out = !inside.has(i) || beyond(i), strong = !out && (state.best.has(i) || state.picks.has(i));
    const look = out ? "out" : [strong ? 2 : 1, colour.bucket(i), predicted(i)].join(" ");
    if (!looks.has(look)) looks.set(look, {out, strong, stroke: out ? c("grid") : colour.of(i), dash: !out && predicted(i), lines: []});
    looks.get(look).lines.push(path(i));
  }
  const dense = state.shown.length > MANY;
  for (const look of [...looks.values()].sort((a, b) => b.out - a.out || a.strong - b.strong)) {
    picture.append(svg("path", {
      d: look.lines.join(""), fill: "none", stroke: look.stroke, "stroke-width": look.strong ? 2 : 1,
      "stroke-opacity": look.out ? 1 : look.strong ? 0.95 : dense ? 0.28 : 0.85, ...(look.dash ? {"stroke-dasharray": "4 3"} : {}),
    }));
  }
  dimensions.forEach((dimension, n) => {
    const {column, ticks, put} = dimension, group = svg("g", {class: "dimension"});
    group.append(svg("text", {x: x(n), y: 16, class: "title"}, tail(column.title, Math.max(10, Math.floor((gap - 12) / 8)))));
    group.append(svg("text", {x: x(n), y: 32, class: "unit"}, short([column.group, column.unit].filter(Boolean).join(" "), 20)));
    group.append(svg("line", {x1: x(n), x2: x(n), y1: y(1), y2: y(0), class: "axis"}));
    for (const [t, text] of ticks) group.append(svg("text", {x: x(n) + 6, y: y(t) + 4, class: "tick"}, short(text, 14)));
    const filter = state.filters.get(column.key);
    const ends = !filter ? null : filter.values ? spans([...filter.values].map(put)) : spans([filter.low ?? dimension.known[0], filter.high ?? dimension.known.at(-1)].map((v) => Math.min(1, Math.max(0, put(v)))));
    if (ends && ends[0] <= ends[1]) group.append(svg("rect", {x: x(n) - 5, y: y(ends[1]) - 3, width: 10, height: y(ends[0]) - y(ends[1]) + 6, class: "brush"}));
    const hit = svg("rect", {x: x(n) - 16, y: y(1) - 8, width: 32, height: y(0) - y(1) + 16, class: "hit"});
    hit.append(svg("title", {}, `${heading(column)}: drag to filter, double-click to clear`));
    hit.addEventListener("pointerdown", (event) => brush(event, dimension, picture, hit, x(n), y));
    hit.addEventListener("dblclick", () => setFilter(column.key, null));
    group.append(hit);
    picture.append(group);
  });
  at.replaceChildren(picture);
}

function brush(event, dimension, picture, hit, x, y) {
  const box = picture.getBoundingClientRect(), share = (e) => Math.min(1, Math.max(0, (y(0) - (e.clientY - box.top)) / (y(0) - y(1))));
  const from = share(event), mark = svg("rect", {x: x - 5, y: 0, width: 10, height: 0, class: "brush"});
  let ends = [from, from];
  picture.append(mark);
  hit.setPointerCapture(event.pointerId);
  const move = (e) => {
    ends = [from, share(e)].sort((a, b) => a - b);
    mark.setAttribute("y", y(ends[1]));
    mark.setAttribute("height", y(ends[0]) - y(ends[1]));
  };
  const stop = () => {
    hit.removeEventListener("pointermove", move);
    mark.remove();
    if (ends[1] - ends[0] < 0.01) return;
    const {column, known, numbers, put, back} = dimension;
    if (numbers && !asChoices(column)) {
      const [low, high] = ends.map(back).sort((a, b) => a - b).map((value) => Number(value.toPrecision(4)));
      setFilter(column.key, {low, high});
    } else setFilter(column.key, {values: new Set(known.filter((value) => put(value) >= ends[0] - 0.01 && put(value) <= ends[1] + 0.01))});
  };
  hit.addEventListener("pointermove", move);
  hit.addEventListener("pointerup", stop, {once: true});
  hit.addEventListener("pointercancel", stop, {once: true});
}
