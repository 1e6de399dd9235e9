// Drawing: what is in sight at once, the rest when it comes into sight.
const drawings = [
  ...[...document.querySelectorAll("[data-front]")].map((at) => ({at, draw: (c) => drawFront(at, Number(at.dataset.front), c)})),
  ...[...document.querySelectorAll("[data-parallel]")].map((at) => ({at, draw: (c) => drawParallel(at, 0, c)})),
  ...[...document.querySelectorAll("[data-split]")].map((at) => ({at, draw: (c) => drawSplit(at, Number(at.dataset.split), c)})),
];
for (const drawing of drawings) Object.assign(drawing, {stale: true, seen: false});

let ready = false;
function drawSeen() {
  if (!ready) return;
  const c = paint();
  for (const drawing of drawings) if (drawing.stale && (drawing.seen || state.printing)) { drawing.stale = false; drawing.draw(c); }
}

let waiting = false;
function refresh() {
  for (const drawing of drawings) drawing.stale = true;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; drawKey(paint()); drawSeen(); });
}

function update() {
  applyFilters();
  drawTable();
  drawWinners();
  refresh();
}

makeFilters();
makeTable();
makeWinners();
const colour = document.getElementById("colour");
colour.value = state.colour;
colour.addEventListener("change", () => { state.colour = colour.value; refresh(); });
update();

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) drawings.find(({at}) => at === entry.target).seen = entry.isIntersecting;
  drawSeen();
  performance.mark("drawn");
}, {rootMargin: "100px"});
setTimeout(async () => {
  await unpack();
  ready = true;
  for (const {at} of drawings) watcher.observe(at);
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
let wide = innerWidth;
addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; refresh(); } });
addEventListener("beforeprint", () => { state.printing = true; drawTable(); for (const drawing of drawings) drawing.stale = true; drawSeen(); });
addEventListener("afterprint", () => { state.printing = false; drawTable(); refresh(); });
