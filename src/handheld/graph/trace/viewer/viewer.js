"use strict";
// All that is drawn comes from the element "data". Names in it come from outside: they only ever
// become the text of an element, or are painted.
const DATA = JSON.parse(document.getElementById("data").textContent);
const NAMES = DATA.names;
// The fields of a call, of a wait and of an arrow.
const [NODE, METHOD, THREAD, START, TOOK, QUEUED, TIME, ERROR] = [0, 1, 2, 3, 4, 5, 6, 7];
const [WAITER, KIND, FROM, LONG, FOR] = [0, 1, 2, 3, 4];
const [SENDER, TAKER, STREAM] = [0, 1, 2];

const AXIS = 22; // pixels of the times above the lanes
const LABEL = 15; // of a lane's name
const LANE = 24; // of a lane ...
const TALLEST = 8000; // ... unless all of them were taller than this: a canvas has a limit
const NARROWEST = 0.05; // microseconds that the time line shows at least
const $ = (id) => document.getElementById(id);

const calls = DATA.calls;
const end = Math.max(1, ...ends());
const canvas = $("timeline");
const paint = canvas.getContext("2d");
let lanes = [];
let laneKind = "threads";
let left = 0; // microseconds at the left edge
let span = end; // microseconds from edge to edge
let chosen = -1; // number of a call
let only = ""; // name of the node whose calls are shown alone
let pending = false;

function* ends() {
  // Not Math.max of all: a call with 100,000 arguments is refused.
  let last = 0;
  for (const call of calls) last = Math.max(last, call[START] + call[TOOK]);
  for (const wait of DATA.waits) last = Math.max(last, wait[FROM] + wait[LONG]);
  yield last;
}

function duration(us) {
  const size = Math.abs(us);
  if (size >= 1e6) return `${(us / 1e6).toFixed(3)} s`;
  if (size >= 1e3) return `${(us / 1e3).toFixed(3)} ms`;
  return `${us.toFixed(size < 10 ? 3 : 1)} µs`;
}

function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

// ---------------------------------------------------------------- lanes

// A lane has numbers of calls by when they began, and of waits.
function lanesBy(field) {
  const byName = new Map();
  for (let number = 0; number < calls.length; number++) {
    const name = calls[number][field];
    if (!byName.has(name)) byName.set(name, { name: NAMES[name], calls: [], waits: [] });
    byName.get(name).calls.push(number);
  }
  if (field === NODE) {
    DATA.waits.forEach((wait, number) => {
      const name = wait[WAITER];
      if (!byName.has(name)) byName.set(name, { name: NAMES[name], calls: [], waits: [] });
      byName.get(name).waits.push(number);
    });
  }
  return [...byName.values()];
}

function lanesOfQueues() {
  return Object.entries(DATA.counters).map(([name, points]) => {
    points.sort((a, b) => a[0] - b[0]);
    const most = Math.max(1, points.reduce((most, point) => Math.max(most, point[1]), 0));
    return { name: `${name} (to ${most})`, calls: [], waits: [], points, most };
  });
}

function show(kind) {
  laneKind = kind;
  if (kind === "threads") lanes = lanesBy(THREAD);
  else if (kind === "nodes") lanes = lanesInOrder();
  else lanes = lanesOfQueues();
  for (const button of document.querySelectorAll("[data-lanes]")) {
    button.setAttribute("aria-pressed", String(button.dataset.lanes === kind));
  }
  resize();
}

// As the graph has them: its inputs first.
function lanesInOrder() {
  const rank = new Map(DATA.nodes.map((node, number) => [node.name, number]));
  const order = (lane) => rank.get(lane.name) ?? -1;
  return lanesBy(NODE).sort((a, b) => order(a) - order(b));
}

// ---------------------------------------------------------------- drawing

function colour(name) {
  const text = NAMES[name];
  let hash = 7;
  for (let index = 0; index < text.length; index++) hash = (hash * 31 + text.charCodeAt(index)) | 0;
  // Steps of the golden angle: names that are close to each other get hues that are not.
  return `hsl(${(Math.abs(hash) * 137.508) % 360} 52% ${styles.lightness})`;
}

let styles = {};
const colours = new Map();
function readStyles() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  styles = { lightness: read("--lightness") };
  for (const name of ["ink", "dim", "line", "panel", "back", "blue", "red", "wait", "queued", "throttled"]) {
    styles[name] = read(`--${name}`);
  }
  colours.clear();
}

function colourOf(name) {
  if (!colours.has(name)) colours.set(name, colour(name));
  return colours.get(name);
}

// Of a lane with its name; where there are hundreds, they are low and have none.
function laneHeight() {
  return Math.max(4, Math.min(LANE + LABEL, Math.floor(TALLEST / Math.max(1, lanes.length))));
}

function labelHeight() {
  return laneHeight() === LANE + LABEL ? LABEL : 0;
}

function barHeight() {
  return laneHeight() - labelHeight();
}

function resize() {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.parentElement.clientWidth;
  const height = AXIS + Math.max(1, lanes.length) * laneHeight() + 6;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  paint.setTransform(scale, 0, 0, scale, 0, 0);
  redraw();
}

function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    draw();
  });
}

function width() {
  return canvas.width / (window.devicePixelRatio || 1);
}

function toX(us) {
  return ((us - left) / span) * width();
}

function toUs(x) {
  return left + (x / width()) * span;
}

function laneTop(index) {
  return AXIS + index * laneHeight() + labelHeight();
}

// The first call of a lane that may reach past a time. Calls of a lane follow each other, but for
// those of one thread that take no time.
function firstAfter(numbers, us) {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (calls[numbers[middle]][START] < us) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

function draw() {
  const wide = width();
  const high = canvas.height / (window.devicePixelRatio || 1);
  paint.clearRect(0, 0, wide, high);
  paint.font = "12px system-ui, sans-serif";
  paint.textBaseline = "middle";
  drawAxis(wide, high);
  lanes.forEach((lane, index) => {
    const top = laneTop(index);
    paint.globalAlpha = 1;
    if (lane.points) drawCounter(lane, top, wide);
    drawWaits(lane, top, wide);
    drawCalls(lane, top, wide);
    paint.globalAlpha = 1;
    paint.fillStyle = styles.dim;
    if (labelHeight()) paint.fillText(lane.name, 6, top - LABEL / 2, wide - 12);
  });
  paint.globalAlpha = 1;
  if (chosen >= 0) drawArrows();
  const shown = `${duration(left)} to ${duration(left + span)}`;
  $("range").textContent = shown;
}

function drawAxis(wide, high) {
  const step = niceStep((span / wide) * 110);
  paint.fillStyle = styles.dim;
  paint.strokeStyle = styles.line;
  paint.lineWidth = 1;
  for (let us = Math.ceil(left / step) * step; us <= left + span; us += step) {
    const x = Math.round(toX(us)) + 0.5;
    paint.beginPath();
    paint.moveTo(x, AXIS - 6);
    paint.lineTo(x, high);
    paint.stroke();
    paint.fillText(duration(us).replace(/\.?0+ /, " "), x + 4, AXIS / 2);
  }
}

function niceStep(us) {
  const size = 10 ** Math.floor(Math.log10(us));
  for (const factor of [1, 2, 5]) if (factor * size >= us) return factor * size;
  return 10 * size;
}

function drawCounter(lane, top, wide) {
  paint.fillStyle = styles.blue;
  paint.globalAlpha = 0.55;
  const points = lane.points;
  points.forEach((point, index) => {
    const until = index + 1 < points.length ? points[index + 1][0] : end;
    if (until < left || point[0] > left + span || !point[1]) return;
    const x = Math.max(-1, toX(point[0]));
    const tall = Math.max(2, (point[1] / lane.most) * (barHeight() - 2));
    paint.fillRect(x, top + barHeight() - tall, Math.max(1, Math.min(wide + 1, toX(until)) - x), tall);
  });
}

function drawWaits(lane, top, wide) {
  for (const number of lane.waits) {
    const wait = DATA.waits[number];
    const x = toX(wait[FROM]);
    const long = (wait[LONG] / span) * wide;
    if (x > wide || x + long < 0) continue;
    const kind = NAMES[wait[KIND]];
    paint.fillStyle = kind === "waits" ? styles.wait : styles[kind];
    paint.fillRect(x, top + barHeight() / 3, Math.max(1, long), barHeight() / 3);
  }
}

function drawCalls(lane, top, wide) {
  let reached = -1; // the pixel that is painted already: of calls narrower than one, one is enough
  for (let index = firstAfter(lane.calls, left); index < lane.calls.length; index++) {
    const number = lane.calls[index];
    const call = calls[number];
    if (call[START] > left + span) break;
    const x = toX(call[START]);
    const long = (call[TOOK] / span) * wide;
    if (x + long < reached && long < 1 && number !== chosen) continue;
    reached = Math.max(reached, x + Math.max(long, 1));
    drawCall(call, number, x, top, long);
  }
}

function drawCall(call, number, x, top, long) {
  const fed = NAMES[call[METHOD]] === "add";
  paint.globalAlpha = only && NAMES[call[NODE]] !== only ? 0.15 : 1;
  paint.fillStyle = call[ERROR] && NAMES[call[ERROR]] ? styles.red : colourOf(call[NODE]);
  if (fed) paint.fillRect(x - 0.5, top - 3, 1.5, 6);
  else paint.fillRect(x, top, Math.max(1, long), barHeight() - 2);
  if (number === chosen) {
    paint.globalAlpha = 1;
    paint.strokeStyle = styles.ink;
    paint.lineWidth = 2;
    paint.strokeRect(x - 1, top - 1, Math.max(2, long) + 2, barHeight());
  }
  const from = Math.max(0, x);
  const room = Math.min(width(), x + long) - from - 8;
  if (room > 24) {
    paint.fillStyle = styles.panel;
    paint.save();
    paint.beginPath();
    paint.rect(from, top, room + 6, barHeight());
    paint.clip();
    paint.fillText(NAMES[call[NODE]], from + 5, top + barHeight() / 2 - 1);
    paint.restore();
  }
}

function laneOf(call) {
  const name = NAMES[call[laneKind === "nodes" ? NODE : THREAD]];
  return lanes.findIndex((lane) => lane.name === name);
}

function drawArrows() {
  if (laneKind === "queues") return;
  paint.strokeStyle = styles.ink;
  paint.fillStyle = styles.ink;
  paint.lineWidth = 1.5;
  for (const arrow of [...arrowsTo(chosen), ...arrowsFrom(chosen)]) {
    const sender = calls[arrow[SENDER]];
    const taker = calls[arrow[TAKER]];
    const x0 = toX(sender[START] + sender[TOOK]);
    const y0 = laneTop(laneOf(sender)) + barHeight() / 2;
    const x1 = toX(taker[START]);
    const y1 = laneTop(laneOf(taker)) + barHeight() / 2;
    const bend = Math.max(14, Math.abs(x1 - x0) / 2);
    paint.beginPath();
    paint.moveTo(x0, y0);
    paint.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
    paint.stroke();
    paint.beginPath();
    paint.moveTo(x1, y1);
    paint.lineTo(x1 - 7, y1 - 4);
    paint.lineTo(x1 - 7, y1 + 4);
    paint.fill();
  }
}

// ---------------------------------------------------------------- packets

const incoming = new Map();
const outgoing = new Map();
for (const arrow of DATA.arrows) {
  for (const [map, number] of [[incoming, arrow[TAKER]], [outgoing, arrow[SENDER]]]) {
    if (!map.has(number)) map.set(number, []);
    map.get(number).push(arrow);
  }
}

function arrowsTo(number) {
  return incoming.get(number) ?? [];
}

function arrowsFrom(number) {
  return outgoing.get(number) ?? [];
}

// ---------------------------------------------------------------- choosing

function choose(number, { move = true } = {}) {
  chosen = number;
  if (number >= 0 && laneKind === "queues") show("threads");
  describe();
  if (number >= 0 && move) bringInto(calls[number]);
  redraw();
}

function bringInto(call) {
  const inside = call[START] >= left && call[START] + call[TOOK] <= left + span;
  // Wide enough to be seen, and with what is around it.
  if (call[TOOK] > 0 && call[TOOK] / span < 0.002) span = Math.min(end, call[TOOK] * 60);
  else if (inside) return;
  left = call[START] + call[TOOK] / 2 - span / 2;
  keepInside();
}

function describe() {
  const panel = $("details");
  panel.replaceChildren();
  if (chosen < 0) {
    panel.append(element("p", "Choose a call to see where its packets came from.", { class: "note" }));
    return;
  }
  const call = calls[chosen];
  panel.append(element("h3", `${NAMES[call[NODE]]}, ${NAMES[call[METHOD]]}`));
  const list = document.createElement("dl");
  for (const [term, value] of factsOf(call)) {
    const pair = document.createElement("div");
    pair.append(element("dt", term), element("dd", value));
    list.append(pair);
  }
  panel.append(list);
  const links = document.createElement("ul");
  for (const arrow of arrowsTo(chosen)) links.append(linkTo(arrow[SENDER], `← ${NAMES[arrow[STREAM]]} from`));
  for (const arrow of arrowsFrom(chosen)) links.append(linkTo(arrow[TAKER], `→ ${NAMES[arrow[STREAM]]} to`));
  panel.append(links);
}

function factsOf(call) {
  const facts = [
    ["timestamp", String(call[TIME])],
    ["took", duration(call[TOOK])],
    ["queued", duration(call[QUEUED])],
    ["began", duration(call[START])],
    ["thread", NAMES[call[THREAD]]],
  ];
  if (NAMES[call[ERROR]]) facts.push(["raised", NAMES[call[ERROR]]]);
  return facts;
}

function linkTo(number, words) {
  const item = document.createElement("li");
  const button = element("button", `${words} ${NAMES[calls[number][NODE]]}`, { type: "button" });
  button.addEventListener("click", () => choose(number));
  item.append(button);
  return item;
}

// The calls that one goes through: of the chosen node, else all.
function step(direction) {
  let number = chosen;
  if (number < 0) number = direction > 0 ? firstShown() - 1 : calls.length;
  for (number += direction; number >= 0 && number < calls.length; number += direction) {
    if (!only || NAMES[calls[number][NODE]] === only) return choose(number);
  }
}

function firstShown() {
  const index = calls.findIndex((call) => call[START] + call[TOOK] >= left);
  return index < 0 ? 0 : index;
}

function longest() {
  let found = -1;
  calls.forEach((call, number) => {
    if (only && NAMES[call[NODE]] !== only) return;
    if (found < 0 || call[TOOK] > calls[found][TOOK]) found = number;
  });
  if (found >= 0) choose(found);
}

function alone(name) {
  only = only === name ? "" : name;
  for (const part of document.querySelectorAll("[data-node]")) {
    const is = only !== "" && part.dataset.node === only;
    part.classList.toggle("chosen", is);
    if (part.hasAttribute("aria-pressed")) part.setAttribute("aria-pressed", String(is));
  }
  redraw();
}

// ---------------------------------------------------------------- moving

function keepInside() {
  span = Math.min(end, Math.max(NARROWEST, span));
  left = Math.min(end - span, Math.max(0, left));
}

function zoom(factor, x = width() / 2) {
  const at = toUs(x);
  span = Math.min(end, Math.max(NARROWEST, span * factor));
  left = at - (x / width()) * span;
  keepInside();
  redraw();
}

function pan(us) {
  left += us;
  keepInside();
  redraw();
}

function fit() {
  left = 0;
  span = end;
  redraw();
}

// What is under a point: a call, or else a wait.
function under(x, y) {
  const index = Math.floor((y - AXIS) / laneHeight());
  const lane = lanes[index];
  if (!lane || y < laneTop(index) - 4) return null;
  const slack = (3 / width()) * span;
  const us = toUs(x);
  let best = null;
  for (let at = firstAfter(lane.calls, us - slack); at < lane.calls.length; at++) {
    const number = lane.calls[at];
    const call = calls[number];
    if (call[START] > us + slack) break;
    const distance = Math.max(call[START] - us, us - call[START] - call[TOOK], 0);
    if (distance <= slack && (!best || distance <= best.distance)) best = { call: number, distance };
  }
  if (best) return best;
  for (const number of lane.waits) {
    const wait = DATA.waits[number];
    if (wait[FROM] <= us && us <= wait[FROM] + wait[LONG]) return { wait: number };
  }
  return lane.points ? { counter: lane, us } : null;
}

function tipOf(target) {
  if (target.call !== undefined) {
    const call = calls[target.call];
    const lines = [NAMES[call[NODE]], ...factsOf(call).slice(0, 3).map((fact) => fact.join(" "))];
    if (NAMES[call[METHOD]] !== "process") lines[0] += `, ${NAMES[call[METHOD]]}`;
    if (NAMES[call[ERROR]]) lines.push(`raised ${NAMES[call[ERROR]]}`);
    return lines.join("\n");
  }
  if (target.wait !== undefined) {
    const wait = DATA.waits[target.wait];
    const stream = NAMES[wait[FOR]] ? ` for ${NAMES[wait[FOR]]}` : "";
    return `${NAMES[wait[WAITER]]} ${NAMES[wait[KIND]]}${stream}\n${duration(wait[LONG])}`;
  }
  let value = 0;
  for (const point of target.counter.points) if (point[0] <= target.us) value = point[1];
  return `${target.counter.name}\n${value} at ${duration(target.us)}`;
}

function hover(event) {
  const tip = $("tip");
  const { x, y } = placeOf(event);
  const target = under(x, y);
  tip.hidden = !target;
  if (!target) return;
  tip.textContent = tipOf(target);
  const box = tip.getBoundingClientRect();
  const tall = canvas.getBoundingClientRect().height;
  tip.style.left = `${Math.max(4, Math.min(x + 14, width() - box.width - 4))}px`;
  tip.style.top = `${Math.max(2, y + 16 + box.height > tall ? y - box.height - 10 : y + 16)}px`;
}

function placeOf(event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

const fingers = new Map();
let moved = 0;
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event.clientX);
  moved = 0;
});
canvas.addEventListener("pointermove", (event) => {
  if (!fingers.has(event.pointerId)) return hover(event);
  const before = [...fingers.values()];
  const delta = event.clientX - fingers.get(event.pointerId);
  fingers.set(event.pointerId, event.clientX);
  moved += Math.abs(delta);
  canvas.classList.add("dragging");
  $("tip").hidden = true;
  if (fingers.size === 1) return pan((-delta / width()) * span);
  const after = [...fingers.values()];
  const middle = (after[0] + after[1]) / 2 - canvas.getBoundingClientRect().left;
  const apart = Math.max(8, Math.abs(after[0] - after[1]));
  zoom(Math.max(8, Math.abs(before[0] - before[1])) / apart, middle);
});
for (const kind of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(kind, (event) => {
    fingers.delete(event.pointerId);
    canvas.classList.remove("dragging");
    if (kind === "pointercancel" || moved > 4) return;
    const { x, y } = placeOf(event);
    const target = under(x, y);
    choose(target && target.call !== undefined ? target.call : -1, { move: false });
  });
}
canvas.addEventListener("pointerleave", () => ($("tip").hidden = true));
canvas.addEventListener("wheel", (event) => {
  const { x } = placeOf(event);
  // The wheel alone goes on moving the page, as everywhere.
  if (event.ctrlKey || event.metaKey) zoom(1.0015 ** event.deltaY, x);
  else if (event.shiftKey) pan((event.deltaY / width()) * span);
  else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX / width()) * span);
  else return;
  event.preventDefault();
}, { passive: false });

const KEYS = {
  ArrowLeft: () => pan(-span / 8),
  ArrowRight: () => pan(span / 8),
  Home: () => pan(-end),
  End: () => pan(end),
  "+": () => zoom(1 / 1.6),
  "=": () => zoom(1 / 1.6),
  "-": () => zoom(1.6),
  0: fit,
  n: () => step(1),
  p: () => step(-1),
  u: () => arrowsTo(chosen).length && choose(arrowsTo(chosen)[0][SENDER]),
  d: () => arrowsFrom(chosen).length && choose(arrowsFrom(chosen)[0][TAKER]),
  Escape: () => choose(-1),
};
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  action();
  event.preventDefault();
});

// ---------------------------------------------------------------- graph and table

function svg(tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

function drawGraph() {
  const picture = DATA.picture;
  const margin = 10;
  const size = { width: picture.width + 2 * margin, height: picture.height + 2 * margin };
  const box = `${-margin} ${-margin} ${size.width} ${size.height}`;
  const drawing = svg("svg", { viewBox: box, ...size, role: "group", "aria-label": "The graph" });
  const marker = svg("marker", {
    id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto",
  });
  marker.append(svg("path", { d: "M0 0L8 4L0 8z", class: "tip" }));
  drawing.append(marker);
  for (const line of picture.lines) {
    const kind = line.back ? "line back" : "line";
    drawing.append(svg("path", { d: line.path, class: kind, "marker-end": "url(#arrow)" }));
    if (line.label) drawing.append(svg("text", { x: line.x, y: line.y, class: "stream" }, line.label));
  }
  const busy = Math.max(1, ...DATA.nodes.map((node) => node.busy));
  const heat = new Map(DATA.nodes.map((node) => [node.name, node.busy / busy]));
  for (const entry of picture.boxes) drawing.append(boxOf(entry, heat.get(entry.name) ?? 0));
  $("graph").append(drawing);
}

function boxOf(entry, heat) {
  const frame = {
    x: entry.x, y: entry.y, width: entry.width, height: entry.height,
    rx: entry.input ? entry.height / 2 : 6,
  };
  const middle = entry.x + entry.width / 2;
  const group = svg("g", {});
  group.append(svg("rect", { ...frame, class: "frame" }));
  if (!entry.input) {
    group.append(svg("rect", { ...frame, class: "heat", opacity: (0.05 + 0.4 * heat).toFixed(3) }));
    asButton(group, entry.name);
  }
  const y = entry.y + entry.height / 2;
  group.append(svg("text", { x: middle, y: entry.figures ? y - 3 : y + 4 }, entry.name));
  if (entry.figures) group.append(svg("text", { x: middle, y: y + 12, class: "figures" }, entry.figures));
  return group;
}

function asButton(group, name) {
  group.classList.add("node");
  group.dataset.node = name;
  group.setAttribute("tabindex", "0");
  group.setAttribute("role", "button");
  group.setAttribute("aria-pressed", "false");
  group.setAttribute("aria-label", `Calls of ${name} alone`);
  group.addEventListener("click", () => alone(name));
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    alone(name);
    event.preventDefault();
  });
}

function drawTable() {
  const table = $("nodes");
  const head = document.createElement("tr");
  const columns = ["node", "calls", "mean", "of the time", "queued, mean", "longest queue", "dropped", "skipped", "errors"];
  for (const column of columns) head.append(element("th", column, { scope: "col" }));
  const body = document.createElement("tbody");
  for (const node of [...DATA.nodes].sort((a, b) => b.busy - a.busy)) body.append(rowOf(node));
  const top = document.createElement("thead");
  top.append(head);
  table.append(top, body);
}

function rowOf(node) {
  const row = document.createElement("tr");
  row.dataset.node = node.name;
  const name = element("th", "", { scope: "row" });
  const button = element("button", node.name, { type: "button" });
  button.addEventListener("click", () => alone(node.name));
  name.append(button);
  row.append(name);
  const cells = [
    node.calls.toLocaleString("en"), duration(node.mean), `${((100 * node.busy) / end).toFixed(1)} %`,
    duration(node.queued), node.peak, node.drops, node.skips,
  ];
  for (const cell of cells) row.append(element("td", String(cell)));
  row.append(element("td", String(node.errors), node.errors ? { class: "bad" } : {}));
  return row;
}

function summarise() {
  const drops = DATA.nodes.reduce((sum, node) => sum + node.drops, 0);
  const work = calls.filter((call) => NAMES[call[METHOD]] !== "add").length;
  const words = [count(DATA.nodes.length, "node"), count(work, "call"), duration(end)];
  words.push(count(drops, "dropped packet"));
  $("summary").textContent = words.join(", ");
  if (DATA.lost) {
    $("lost").textContent = `${count(DATA.lost, "call")} came faster than the trace was written, and are not in it.`;
    $("lost").hidden = false;
  }
}

for (const button of document.querySelectorAll("[data-lanes]")) {
  button.addEventListener("click", () => show(button.dataset.lanes));
}
$("in").addEventListener("click", () => zoom(1 / 1.6));
$("out").addEventListener("click", () => zoom(1.6));
$("fit").addEventListener("click", fit);
$("next").addEventListener("click", () => step(1));
$("previous").addEventListener("click", () => step(-1));
$("longest").addEventListener("click", longest);
window.addEventListener("resize", resize);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readStyles();
  redraw();
});
readStyles();
summarise();
drawGraph();
drawTable();
show("threads");
