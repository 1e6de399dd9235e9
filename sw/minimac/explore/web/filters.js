// Filters: one for each axis, and ranges of figures. Table and plots all follow them.
const asChoices = (column) => column.kind === "word" || (column.kind === "axis" && (!allNumbers(column) || distinct(column).length <= 16));
const haystack = everyone.map((i) => data.columns.filter((column) => column.kind !== "number").map((column) => column.values[i]).join(" ").toLowerCase());
const controls = new Map();

function passes(i) {
  for (const [key, filter] of state.filters) {
    const value = columns.get(key).values[i];
    if (filter.values ? !filter.values.has(value) : value === null || value < (filter.low ?? -Infinity) || value > (filter.high ?? Infinity)) return false;
  }
  return state.words.every((word) => haystack[i].includes(word));
}

function setFilter(key, filter) {
  if (filter && (filter.values || filter.low !== null || filter.high !== null)) state.filters.set(key, filter);
  else state.filters.delete(key);
  state.page = 0;
  update();
}

function clearFilters() {
  state.filters.clear();
  state.text = "";
  document.getElementById("text").value = "";
  state.page = 0;
  update();
}

function menu(title, ...children) {
  const details = element("details", {className: "menu"}, element("summary", {textContent: title}), element("div", {className: "choices"}, ...children));
  details.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && details.open) { details.open = false; details.firstChild.focus(); }
  });
  return details;
}

function choices(column) {
  const boxes = new Map(distinct(column).map((value) => [value, element("input", {type: "checkbox", checked: true})]));
  const changed = () => {
    const kept = [...boxes].filter(([, box]) => box.checked).map(([value]) => value);
    setFilter(column.key, kept.length === boxes.size ? null : {values: new Set(kept)});
  };
  const set = (on) => { for (const box of boxes.values()) box.checked = on; changed(); };
  for (const box of boxes.values()) box.addEventListener("change", changed);
  const buttons = element("div", {className: "both"}, element("button", {type: "button", textContent: "all", onclick: () => set(true)}), element("button", {type: "button", textContent: "none", onclick: () => set(false)}));
  const made = menu(column.title, buttons, ...[...boxes].map(([value, box]) => element("label", {}, box, short(value, 40))));
  controls.set(column.key, (filter) => {
    for (const [value, box] of boxes) box.checked = !filter || filter.values.has(value);
    made.firstChild.textContent = short(column.title, 24) + (filter ? `: ${filter.values.size === 1 ? short([...filter.values][0], 20) : `${filter.values.size} of ${boxes.size}`}` : "");
    made.classList.toggle("on", Boolean(filter));
  });
  return made;
}

function rangeInputs(column, told) {
  const [low, high] = ["at least", "at most"].map((word) => element("input", {type: "number", step: "any", placeholder: word, ariaLabel: `${heading(column)} ${word}`}));
  const number = (input) => input.value === "" || Number.isNaN(input.valueAsNumber) ? null : input.valueAsNumber;
  for (const input of [low, high]) input.addEventListener("change", () => setFilter(column.key, {low: number(low), high: number(high)}));
  controls.set(column.key, (filter) => {
    low.value = filter?.low ?? "";
    high.value = filter?.high ?? "";
    told?.();
  });
  return element("div", {className: "range"}, element("span", {textContent: measured(column)}), low, high);
}

function makeFilters() {
  const bar = document.getElementById("filters");
  for (const key of data.filters) {
    const column = columns.get(key);
    if (asChoices(column)) bar.append(choices(column));
    else {
      const made = menu(column.title, rangeInputs(column, () => made.classList.toggle("on", state.filters.has(key))));
      bar.append(made);
    }
  }
  const figures = data.columns.filter((column) => column.kind === "number" && column.better && column.brief);
  if (figures.length) {
    const told = () => {
      const count = figures.filter((column) => state.filters.has(column.key)).length;
      made.firstChild.textContent = count ? `ranges: ${count}` : "ranges";
      made.classList.toggle("on", count > 0);
    };
    const made = menu("ranges", ...figures.map((column) => rangeInputs(column, told)));
    bar.append(made);
  }
  const text = document.getElementById("text");
  text.addEventListener("input", () => { state.text = text.value; state.page = 0; update(); });
  document.getElementById("clear").addEventListener("click", clearFilters);
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(event.target)) open.open = false;
  });
}

function applyFilters() {
  state.words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  state.shown = everyone.filter(passes);
  state.eligible = state.shown.filter((i) => !beyond(i));
  state.fronts = data.fronts.map(({x, y}) => {
    const [cx, cy] = [columns.get(x), columns.get(y)];
    return paretoFront(state.eligible.map((i) => [cx.values[i], cy.values[i]]), [cx.better, cy.better]).map((n) => state.eligible[n]);
  });
  state.best = new Set(state.fronts.flat());
  const narrowed = state.shown.length < everyone.length, count = (n) => n.toLocaleString("en-US");
  document.getElementById("count").textContent = narrowed ? `${count(state.shown.length)} of ${count(everyone.length)} designs` : `${count(everyone.length)} design${everyone.length === 1 ? "" : "s"}`;
  document.getElementById("clear").hidden = !narrowed && !state.filters.size;
  for (const [key, sync] of controls) sync(state.filters.get(key));
}
