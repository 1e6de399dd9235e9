// Bars: what area and energy are made of.
const BARS = 40;

function drawSplit(at, k, c) {
  const split = data.splits[k], total = (i) => split.parts.reduce((sum, part) => sum + (part.values[i] || 0), 0);
  const known = state.shown.filter((i) => total(i) > 0);
  let rows = known, what = "";
  const picked = known.filter((i) => state.picks.has(i));
  if (picked.length) [rows, what] = [picked, "the selected designs"];
  else if (known.length > FEW * 2) [rows, what] = [known.filter((i) => state.best.has(i)), "designs on a front"];
  rows = rows.slice().sort((a, b) => total(a) - total(b));
  if (rows.length > BARS) [rows, what] = [rows.slice(0, BARS), `the ${BARS} least of ${rows.length} ${what}`];
  at.parentElement.querySelector(".which").textContent = what;
  at.classList.toggle("empty", !rows.length);
  if (!rows.length) return Plotly.purge(at), void (at.textContent = "No design here says its parts.");
  if (!at.classList.contains("js-plotly-plot")) at.textContent = "";
  at.style.height = 96 + (rows.length <= FEW ? 40 : 22) * rows.length + "px";
  // Names are cut short, so bars stand at numbers: two names may look the same.
  const where = rows.map((_, n) => n);
  const traces = split.parts.map((part) => ({
    type: "bar", orientation: "h", name: plain(part.name), y: where, x: rows.map((i) => part.values[i] || 0),
    marker: {color: c("part" + part.colour % 5), line: {width: 0}},
    hovertemplate: rows.map((i) => `<b>${plain(names[i])}</b>, ${plain(part.name)}<br>${shownNumber(part.values[i] || 0, split.digits)} ${plain(split.unit)} (${(100 * (part.values[i] || 0) / total(i)).toFixed(1)} %)<extra></extra>`),
  }));
  Plotly.react(at, traces, layout(c, {
    barmode: "stack", bargap: 0.38, showlegend: true, legend: {orientation: "h", x: 0, y: 1, yref: "container", yanchor: "top", traceorder: "normal", font: {color: c("soft")}},
    margin: {l: 20, r: 20, t: 40, b: 44}, xaxis: {title: plain(split.unit), rangemode: "tozero"},
    yaxis: {range: [rows.length - 0.5, -0.5], tickvals: where, ticktext: rows.map((i) => plain(short(names[i], 28)) + "  "), tickfont: {color: c("ink")}, gridcolor: "rgba(0,0,0,0)", ticklen: 0},
  }), config);
}
