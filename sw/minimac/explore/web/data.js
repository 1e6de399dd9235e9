// What the page is about, and what all of its parts share.
const data = JSON.parse(document.getElementById("data").textContent);
const columns = new Map(data.columns.map((column) => [column.key, column]));
const names = columns.get("design").values;
const everyone = names.map((_, i) => i);
const FEW = 12, MANY = 40, SHAPED = 200;

const state = {
  text: "", filters: new Map(), sort: data.sort, page: 0, size: 50, colour: data.colour,
  picks: new Set(), open: new Set(),
  shown: everyone,     // designs that pass the filters
  eligible: everyone,  // of these, those that keep the limits of the sweep
  fronts: [],          // for each plot the designs on its front, the cheapest first
  best: new Set(),     // designs on any front
};

// Of dotted keys the end says more.
const tail = (text, length) => (text = String(text), text.length > length ? "…" + text.slice(1 - length) : text);
const short = (text, length = 48) => (text = String(text), text.length > length ? text.slice(0, length - 1) + "…" : text);
// Text of a point or an axis is markup to the plotting library.
const plain = (text) => short(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const predicted = (i) => columns.has("basis") && columns.get("basis").values[i] === "predicted";
const beyond = (i) => Object.hasOwn(data.limits, i);
const heading = (column) => [column.group, column.title].filter(Boolean).join(" ");
const measured = (column) => heading(column) + (column.unit ? ` (${column.unit})` : "");

const formats = new Map();
function shownNumber(value, digits) {
  if (!formats.has(digits)) formats.set(digits, new Intl.NumberFormat("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits}));
  return formats.get(digits).format(value);
}
function shown(column, value) {
  if (value === null || value === undefined) return "";
  if (column.kind !== "number") return String(value);
  const digits = column.significant ? column.significant - 1 - (value ? Math.floor(Math.log10(Math.abs(value))) : 0) : column.digits;
  return shownNumber(value, Math.max(digits, 0));
}
const withUnit = (column, value) => shown(column, value) + (column.unit ? " " + column.unit : "");

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function paint() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue("--" + name).trim();
}

// Distinct values of a column, in order; numbers before words.
function distinct(column) {
  const found = [...new Set(column.values.filter((value) => value !== null))];
  return found.sort((a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true}));
}
const allNumbers = (column) => column.values.every((value) => value === null || typeof value === "number");
const spans = (values) => { let low = Infinity, high = -Infinity; for (const v of values) { if (v < low) low = v; if (v > high) high = v; } return [low, high]; };

// Whether figures span so much that an axis is better logarithmic; then also where zero is put.
function scaleOf(values) {
  const [low, high] = spans(values), [least] = spans(values.filter((value) => value > 0));
  const log = low >= 0 && least < Infinity && high >= 10 * least;
  const floor = log && low === 0 ? least / 3 : null;
  return {log, floor, low: floor ?? low, high, put: (value) => log ? Math.log10(value || floor) : value};
}

// What no other beats, the cheapest first; equal points are all on the front or all off it.
function paretoFront(points, senses) {
  const [sx, sy] = senses.map((sense) => sense === "more" ? -1 : 1);
  const order = points.map((_, i) => i).filter((i) => points[i].every((value) => value !== null))
    .sort((i, j) => sx * (points[i][0] - points[j][0]) || sy * (points[i][1] - points[j][1]) || i - j);
  const front = [];
  for (const i of order) {
    const last = front.length ? points[front.at(-1)] : null;
    if (!last || sy * (points[i][1] - last[1]) < 0 || (points[i][0] === last[0] && points[i][1] === last[1])) front.push(i);
  }
  return front;
}

// Colours: by front or not, by category, or along a scale.
function colouring(c) {
  const column = columns.get(state.colour);
  if (!column) return {of: (i) => state.best.has(i) ? c("accent") : c("dim"), symbol: () => "circle", bucket: (i) => state.best.has(i) ? 1 : 0, key: []};
  const known = distinct(column), numbers = allNumbers(column);
  if (numbers && known.length > 8) {
    const stops = [0, 1, 2, 3, 4].map((i) => c("scale" + i)), {put, low, high} = scaleOf(known);
    const rgb = stops.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
    const steps = 15, share = (value) => Math.round((steps - 1) * (put(value) - put(low)) / (put(high) - put(low)));
    const mix = (bucket) => { const t = 4 * bucket / (steps - 1), k = Math.min(3, Math.floor(t)); return `rgb(${rgb[k].map((v, j) => Math.round(v + (t - k) * (rgb[k + 1][j] - v)))})`; };
    const bucket = (i) => column.values[i] === null ? -1 : share(column.values[i]);
    return {of: (i) => bucket(i) < 0 ? c("dim") : mix(bucket(i)), symbol: () => "circle", bucket, scale: {stops, low, high}, key: []};
  }
  const count = new Map();
  for (const value of column.values) count.set(value, (count.get(value) || 0) + 1);
  const kept = known.length <= 8 ? known : known.slice().sort((a, b) => count.get(b) - count.get(a)).slice(0, 7).sort((a, b) => known.indexOf(a) - known.indexOf(b));
  const place = new Map(kept.map((value, i) => [value, i]));
  const bucket = (i) => place.get(column.values[i]) ?? -1;
  // Shapes beside colours help where there are few designs, and blur a crowd.
  const symbols = state.shown.length > SHAPED ? Array(8).fill("circle") : ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "star", "hexagon"];
  const key = kept.map((value, i) => ({text: String(value), colour: c("cat" + i), symbol: symbols[i]}));
  if (kept.length < known.length) key.push({text: "others", colour: c("dim"), symbol: "circle"});
  return {of: (i) => bucket(i) < 0 ? c("dim") : c("cat" + bucket(i)), symbol: (i) => symbols[bucket(i)] || "circle", bucket, key};
}

// A file name that any system takes.
function download(i) {
  const lines = data.yaml[i].map((line) => data.lines[line]).join("\n") + "\n";
  const stem = names[i].replace(/[^A-Za-z0-9._-]+/g, "_").replace(/^[._]+/, "").slice(0, 80) || "design";
  return element("a", {download: stem + ".yaml", href: "data:application/yaml;charset=utf-8," + encodeURIComponent(lines.toWellFormed()), textContent: "YAML"});
}
