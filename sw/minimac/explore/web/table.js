// The table: sorted, a page at a time.
const table = document.getElementById("designs");
const heads = [...table.tHead.rows[1].cells].filter((head) => head.dataset.key !== undefined);
const listed = heads.map((head) => columns.get(head.dataset.key));

function sorted() {
  const {key, up} = state.sort, column = columns.get(key), sign = up ? 1 : -1;
  const number = allNumbers(column);
  // Empty cells last, whichever way; what is equal stays in the order of the sweep.
  return state.shown.slice().sort((i, j) => {
    const a = column.values[i], b = column.values[j];
    if (a === null || b === null) return (a === null) - (b === null) || i - j;
    return sign * (number ? a - b : String(a).localeCompare(String(b), "en", {numeric: true})) || i - j;
  });
}

function cell(column, i, bests) {
  const value = column.values[i], at = element("td");
  if (column.key === "design") {
    const open = state.open.has(i), button = element("button", {type: "button", className: "name", textContent: short(value), title: String(value).length > 48 ? short(value, 400) : ""});
    button.setAttribute("aria-expanded", open);
    button.addEventListener("click", () => { state.open.has(i) ? state.open.delete(i) : state.open.add(i); drawTable(); focusOn(i, "button.name"); });
    at.className = "design";
    at.append(button);
    if (state.best.has(i)) at.append(element("span", {className: "mark", textContent: "●", title: "on a Pareto front"}));
  } else if (column.key === "vectors" && value === null && data.failures[i]?.simulate !== undefined) {
    Object.assign(at, {className: "number bad", textContent: "failed", title: short(data.failures[i].simulate, 400)});
  } else if (column.kind === "number") {
    at.className = "number" + (value !== null && bests.get(column.key) === value ? " best" : "");
    at.textContent = shown(column, value) || "–";
  } else {
    at.className = column.kind === "axis" && allNumbers(column) ? "number" : "words";
    at.textContent = value === null ? "–" : short(value, 60);
    if (column.key === "basis" && value === "predicted") at.classList.add("hollow");
  }
  return at;
}

function details(i) {
  const list = element("dl");
  const add = (term, text, bad) => list.append(element("dt", {textContent: term, className: bad ? "bad" : ""}), element("dd", {textContent: short(text, 2000)}));
  add("design", names[i]);
  for (const column of data.columns) if (column.key !== "design" && column.values[i] !== null) add(heading(column), column.kind === "number" ? withUnit(column, column.values[i]) : column.values[i]);
  for (const limit of data.limits[i] || []) add("beyond", limit, true);
  for (const [step, reason] of Object.entries(data.failures[i] || {})) add(`${step} failed`, reason, true);
  return element("tr", {className: "more"}, element("td", {colSpan: listed.length + 2}, list));
}

const focusOn = (i, what) => table.querySelector(`tr[data-design="${i}"] ${what}`)?.focus();

function pick(i) {
  state.picks.has(i) ? state.picks.delete(i) : state.picks.add(i);
  update();
}

// The best of each column among those shown; none where all are equal.
function bestOf() {
  const bests = new Map();
  for (const column of listed) {
    if (!column.better) continue;
    const known = state.eligible.map((i) => column.values[i]).filter((value) => value !== null), [low, high] = spans(known);
    if (low < high) bests.set(column.key, column.better === "more" ? high : low);
  }
  return bests;
}

function drawTable() {
  const order = sorted(), all = state.printing && order.length <= 200, size = all ? order.length : state.size;
  const pages = Math.max(1, Math.ceil(order.length / size)), bests = bestOf();
  state.page = Math.min(state.page, pages - 1);
  const rows = [];
  for (const i of order.slice(state.page * size, (state.page + 1) * size)) {
    const box = element("input", {type: "checkbox", checked: state.picks.has(i), ariaLabel: `select ${short(names[i])}`});
    box.addEventListener("change", () => { pick(i); focusOn(i, "input"); });
    const line = element("tr", {className: (state.picks.has(i) ? "picked " : "") + (beyond(i) ? "beyond" : "")}, element("td", {className: "box"}, box), ...listed.map((column) => cell(column, i, bests)), element("td", {}, download(i)));
    line.dataset.design = i;
    rows.push(line);
    if (state.open.has(i)) rows.push(details(i));
  }
  if (!rows.length) rows.push(element("tr", {}, element("td", {colSpan: listed.length + 2, textContent: "No design passes the filters."})));
  table.tBodies[0].replaceChildren(...rows);
  for (const head of heads) {
    if (head.dataset.key === state.sort.key) head.setAttribute("aria-sort", state.sort.up ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }
  const from = order.length ? state.page * size + 1 : 0, to = Math.min(order.length, (state.page + 1) * size);
  document.getElementById("where").textContent = `${from.toLocaleString("en-US")}–${to.toLocaleString("en-US")} of ${order.length.toLocaleString("en-US")}`;
  document.getElementById("before").disabled = state.page === 0;
  document.getElementById("after").disabled = state.page === pages - 1;
  document.getElementById("pager").hidden = order.length <= 50;
  document.getElementById("picked").textContent = state.picks.size ? `${state.picks.size} selected` : "";
  document.getElementById("drop").hidden = !state.picks.size;
}

function makeTable() {
  for (const head of heads) head.querySelector("button").addEventListener("click", () => {
    const {key} = head.dataset, same = state.sort.key === key;
    state.sort = {key, up: same ? !state.sort.up : columns.get(key).better !== "more"};
    state.page = 0;
    drawTable();
  });
  const turn = (by) => { state.page += by; drawTable(); };
  document.getElementById("before").addEventListener("click", () => turn(-1));
  document.getElementById("after").addEventListener("click", () => turn(1));
  document.getElementById("size").addEventListener("change", (event) => { state.size = Number(event.target.value); state.page = 0; drawTable(); });
  document.getElementById("drop").addEventListener("click", () => { state.picks.clear(); update(); });
}
