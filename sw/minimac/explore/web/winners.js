// Two questions with sliders: the best below a cost, and the cheapest above a quality.
// A slider steps through the figures that there are, so that every step may change the answer.
const asked = {};

function question(id) {
  const root = document.getElementById(id);
  if (!root) return;
  const [quality, cost, slider] = [".quality", ".cost", "input"].map((part) => root.querySelector(part));
  const limit = () => columns.get(id === "best" ? cost.value : quality.value);
  let values = [], wanted = null;
  const answer = () => {
    const q = columns.get(quality.value), x = columns.get(cost.value), bound = limit(), other = bound === x ? q : x;
    const known = state.eligible.filter((i) => q.values[i] !== null && x.values[i] !== null);
    values = [...new Set(known.map((i) => bound.values[i]))].sort((a, b) => a - b);
    if (wanted === null && values.length) wanted = values[Math.floor((values.length - 1) / 2)];
    slider.max = Math.max(0, values.length - 1);
    slider.disabled = values.length < 2;
    let at = values.length - 1;
    for (let n = values.length - 1; n >= 0; n--) if (Math.abs(values[n] - wanted) < Math.abs(values[at] - wanted)) at = n;
    slider.value = Math.max(0, at);
    const chosen = values[at], least = bound.better === "more";
    const said = values.length ? `${least ? "at least" : "at most"} ${withUnit(bound, chosen)}` : "none here";
    root.querySelector("output").textContent = said;
    slider.setAttribute("aria-valuetext", said);
    const sign = (column) => column.better === "more" ? -1 : 1;
    const winner = known.filter((i) => least ? bound.values[i] >= chosen : bound.values[i] <= chosen)
      .sort((i, j) => sign(other) * (other.values[i] - other.values[j]) || sign(bound) * (bound.values[i] - bound.values[j]) || i - j)[0];
    const place = root.querySelector(".winner");
    place.replaceChildren();
    if (winner === undefined) return;
    const figures = element("dl");
    for (const column of [q, x, ...data.costs.filter((key) => key !== x.key).map((key) => columns.get(key))]) {
      if (column.values[winner] !== null) figures.append(element("dt", {textContent: heading(column)}), element("dd", {textContent: withUnit(column, column.values[winner])}));
    }
    const show = element("button", {type: "button", textContent: state.picks.has(winner) ? "deselect" : "select", onclick: () => { pick(winner); root.querySelector(".winner button").focus(); }});
    place.append(element("p", {className: "who"}, element("strong", {textContent: short(names[winner])}), element("span", {className: "links"}, download(winner), show)),
      element("p", {className: "what", textContent: short(columns.get("arithmetic").values[winner], 90) + (predicted(winner) ? ", predicted" : "")}), figures);
  };
  const again = () => { wanted = null; answer(); };
  quality.addEventListener("change", again);
  cost.addEventListener("change", again);
  slider.addEventListener("input", () => { wanted = values[Number(slider.value)]; answer(); });
  asked[id] = answer;
}

function makeWinners() { question("best"); question("cheapest"); }
function drawWinners() { for (const answer of Object.values(asked)) answer(); }
