// Shows one photo at a time, changes its labels by keys and pointers, and keeps each change before the next one.
"use strict";

const KEYPOINTS = 21;
const DIGITS_MS = 900; // within which a second digit belongs to the first
const RETRY_MS = 2000;
const REACH = { mouse: 14, pen: 16, touch: 28 }; // pixels of the screen from a keypoint
const ROWS = 12; // of the list, before and after the photo that is shown
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ZOOMS = ["whole photo", "hand", "keypoint"];

const at = (id) => document.getElementById(id);
const stage = at("stage");
const drawing = new Drawing(stage);
const clone = (value) => JSON.parse(JSON.stringify(value));

let list = null; // names, scores, states, bones, keypoints
let photo = null; // index, version, state, hands, height, width, problem
let selected = { hand: 0, keypoint: 0 };
let zoom = 0;
let undone = []; // { index, hands, reviewed }: how a photo was before a change
let versions = new Map(); // of photos, as this tab knows them
let dirty = new Set(); // photos that are not kept yet as they are here
let saving = null;
let typed = { text: "", time: 0 };
let drag = null;

function say(text, isBad = false) {
  at("status").textContent = text;
  at("status").className = isBad ? "bad" : "";
}

// --- the server -------------------------------------------------------------------------------

async function ask(path, content) {
  const options = content === undefined ? {} : {
    method: "POST", body: JSON.stringify(content), headers: { "Content-Type": "application/json" }, keepalive: true,
  };
  const answer = await fetch(path, options);
  return { status: answer.status, content: await answer.json() };
}

function edited({ version, state, hands }) {
  const changes = hands.map(({ keypoints, visible, handedness, dropped }) => ({ keypoints, visible, handedness, dropped }));
  return { version, reviewed: state === "reviewed", hands: changes };
}

// One request at a time: what changes meanwhile goes with the next one.
function save() {
  saving ??= flush().finally(() => { saving = null; });
  return saving;
}

async function flush() {
  while (dirty.size) {
    const [sent] = dirty;
    dirty.delete(sent);
    let answer;
    try {
      answer = await ask(`photos/${sent.index}`, edited(sent));
    } catch {
      dirty.add(sent);
      say("not kept: the server does not answer; trying again", true);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      continue;
    }
    if (answer.status === 409) {
      dirty.delete(sent);
      forget(sent.index);
      if (photo === sent) take(sent.index, answer.content);
      say(`${answer.content.error}: its labels are as they are there, without your last change`, true);
      return;
    }
    if (answer.status !== 200) {
      dirty.add(sent);
      say(`not kept: ${answer.content.error}`, true);
      return;
    }
    sent.version = answer.content.version;
    versions.set(sent.index, sent.version);
    list.states[sent.index] = answer.content.state;
    say("kept");
    showList();
  }
}

// --- going from photo to photo ------------------------------------------------------------------

async function go(index) {
  await save();
  if (dirty.size) return; // it says why; nothing is left behind
  const number = Math.min(Math.max(index, 0), list.names.length - 1);
  let answer;
  try {
    answer = await ask(`photos/${number}`);
  } catch {
    say("the server does not answer; start it again", true);
    return;
  }
  if (answer.status !== 200) {
    say(answer.content.error, true);
    return;
  }
  say("");
  take(number, answer.content);
}

function take(index, content) {
  const isOther = photo?.index !== index;
  // Changed in another tab since: what this one would undo is no more.
  if (versions.has(index) && versions.get(index) !== content.version) forget(index);
  versions.set(index, content.version);
  list.states[index] = content.state;
  photo = { index, ...content };
  drag = null;
  if (isOther) selected = { hand: Math.max(photo.hands.findIndex((hand) => !hand.dropped), 0), keypoint: 0 };
  history.replaceState(null, "", `#${index + 1}`);
  drawing.load(photo.problem ? "" : `photos/${index}/picture`, photo);
  look();
  show();
}

function forget(index) {
  undone = undone.filter((entry) => entry.index !== index);
}

// The next photo that nobody has reviewed, from the one after this on and around.
function nextOpen() {
  const count = list.names.length;
  for (let step = 1; step <= count; step += 1) {
    const index = (photo.index + step) % count;
    if (list.states[index] !== "reviewed") return index;
  }
  return -1;
}

// --- what is shown ------------------------------------------------------------------------------

function look() {
  const hand = photo.hands[selected.hand];
  const point = hand?.keypoints[selected.keypoint];
  let view = { x: 0, y: 0, width: photo.width, height: photo.height };
  if (zoom === 1) view = grown(boxOf(hand, photo), 0.35, 24);
  if (zoom === 2 && point) view = grown({ x: point[0], y: point[1], width: 0, height: 0 }, 1, 60);
  drawing.look(view);
}

function show() {
  const hand = photo.hands[selected.hand];
  drawing.show(photo, list.bones, selected, list.keypoints);
  at("name").textContent = list.names[photo.index];
  at("name").title = list.names[photo.index];
  document.title = `${photo.index + 1} · Labels of hands`;
  const note = photo.problem || photo.warning || "";
  at("problem").textContent = note;
  at("problem").hidden = !note;
  at("selected").textContent = hand ? described(hand) : "no hand is labelled here";
  showHands();
  showList();
}

function described(hand) {
  const point = hand.keypoints[selected.keypoint];
  const state = !point ? "unknown" : hand.visible[selected.keypoint] ? "seen" : "hidden";
  const where = point ? ` · ${point.map((value) => value.toFixed(1)).join(", ")}` : "";
  return `${selected.keypoint} ${list.keypoints[selected.keypoint]} · ${state}${where}`;
}

function showHands() {
  at("hands").replaceChildren(...photo.hands.map((hand, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", index === selected.hand);
    button.textContent = `${hand.handedness ?? "Left or right?"}${hand.dropped ? " · dropped" : ""} · ${hand.source}`;
    button.addEventListener("click", () => { select(index, selected.keypoint); stage.focus(); });
    return button;
  }));
}

function showList() {
  const reviewed = list.states.filter((state) => state === "reviewed").length;
  at("where").textContent = `${photo.index + 1} of ${list.names.length} · ${reviewed} accepted`;
  const first = Math.max(photo.index - ROWS, 0), end = Math.min(photo.index + ROWS + 1, list.names.length);
  const rows = [];
  // Only the rows around the photo: ten thousand would be slow to lay out.
  for (let index = first; index < end; index += 1) rows.push(row(index));
  at("queue").replaceChildren(...rows);
  const queue = at("queue"), current = queue.querySelector("[aria-current]");
  queue.scrollTop = current.offsetTop - queue.offsetTop - queue.clientHeight / 2;
}

function row(index) {
  const item = document.createElement("li"), button = document.createElement("button");
  const cells = {
    mark: { "": "", changed: "•", reviewed: "✓" }[list.states[index]],
    number: index + 1,
    name: list.names[index],
    score: list.scores[index] === null ? "" : list.scores[index].toFixed(2),
  };
  for (const [key, text] of Object.entries(cells)) {
    const cell = document.createElement(key === "name" ? "bdi" : "span");
    cell.className = key;
    cell.textContent = text;
    button.append(cell);
  }
  button.type = "button";
  if (list.states[index]) button.title = list.states[index];
  if (index === photo.index) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => { go(index); stage.focus(); });
  item.append(button);
  return item;
}

// --- changes ------------------------------------------------------------------------------------

function select(hand, keypoint) {
  const isOther = hand !== selected.hand || keypoint !== selected.keypoint;
  selected = { hand, keypoint };
  if (zoom === 2 || (zoom === 1 && isOther)) look();
  show();
}

function remember() {
  undone.push({ index: photo.index, hands: clone(photo.hands), reviewed: photo.state === "reviewed" });
}

function change(action, isRepeated = false) {
  const hand = photo.hands[selected.hand];
  if (!hand) return;
  // A key that is held down is one step back.
  if (!isRepeated) remember();
  action(hand);
  changed();
}

function changed() {
  if (photo.state === "") photo.state = "changed";
  dirty.add(photo);
  show();
  save();
}

function within(value, length) {
  return Math.round(Math.min(Math.max(value, 0), length - 1) * 100) / 100;
}

function put(hand, [x, y]) {
  hand.keypoints[selected.keypoint] = [within(x, photo.width), within(y, photo.height)];
}

function move([x, y], isRepeated) {
  change((hand) => {
    const box = boxOf(hand, photo);
    const point = hand.keypoints[selected.keypoint] ?? [box.x + box.width / 2, box.y + box.height / 2];
    put(hand, [point[0] + x, point[1] + y]);
  }, isRepeated);
}

function toggleVisible() {
  change((hand) => { hand.visible[selected.keypoint] = !hand.visible[selected.keypoint]; });
}

function toggleSide() {
  change((hand) => { hand.handedness = hand.handedness === "Right" ? "Left" : "Right"; });
}

function toggleDropped() {
  change((hand) => { hand.dropped = !hand.dropped; });
}

function accept() {
  if (photo.problem) {
    say("what cannot be seen cannot be accepted", true);
    return;
  }
  remember();
  photo.state = "reviewed";
  changed();
  const next = nextOpen();
  if (next < 0) {
    save().then(() => say("all photos are accepted"));
    return;
  }
  go(next);
}

async function undo() {
  await save();
  const entry = undone.pop();
  if (!entry) {
    say("nothing to undo");
    return;
  }
  if (entry.index !== photo.index) {
    const known = versions.get(entry.index);
    await go(entry.index);
    // Another tab changed it since: this step back would undo what was done there.
    if (photo.index !== entry.index || photo.version !== known) return;
  }
  photo.hands = entry.hands;
  photo.state = entry.reviewed ? "reviewed" : "changed";
  changed();
}

function toggleZoom() {
  zoom = (zoom + 1) % ZOOMS.length;
  look();
  show();
  say(`zoom: ${ZOOMS[zoom]}`);
}

function chooseByDigit(digit, time) {
  const isSecond = time - typed.time < DIGITS_MS;
  const both = Number(typed.text + digit);
  typed = { text: isSecond && both < KEYPOINTS ? typed.text + digit : digit, time };
  select(selected.hand, Number(typed.text));
}

function toggleKeys() {
  at("keys").showModal();
}

// --- keys ---------------------------------------------------------------------------------------

const KEYS = {
  a: accept,
  n: () => go(photo.index + 1), PageDown: () => go(photo.index + 1),
  p: () => go(photo.index - 1), PageUp: () => go(photo.index - 1),
  u: undo, v: toggleVisible, h: toggleSide, x: toggleDropped, z: toggleZoom, "?": toggleKeys,
  g: () => photo.hands.length && select((selected.hand + 1) % photo.hands.length, selected.keypoint),
  Delete: () => change((hand) => { hand.keypoints[selected.keypoint] = null; }),
};
// Those that a held key may go on with.
const REPEATED = ["n", "p", "PageDown", "PageUp"];

function onPhoto() {
  return document.activeElement === stage || document.activeElement === document.body;
}

function press(event) {
  if (!photo || at("keys").open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof HTMLInputElement) {
    if (event.key === "Escape") stage.focus();
    return;
  }
  const handled = onKey(event);
  if (handled) event.preventDefault();
}

function onKey(event) {
  if (event.key === "Escape") {
    if (onPhoto()) at("actions").querySelector("button").focus();
    else stage.focus();
    return true;
  }
  // On the buttons Tab is the browser's own: there must be a way out of the photo.
  if (event.key === "Tab") {
    if (!onPhoto()) return false;
    select(selected.hand, (selected.keypoint + (event.shiftKey ? -1 : 1) + KEYPOINTS) % KEYPOINTS);
    return true;
  }
  if (event.key in ARROWS) {
    const step = event.shiftKey ? 10 : 1;
    move(ARROWS[event.key].map((value) => value * step), event.repeat);
    return true;
  }
  if (/^[0-9]$/.test(event.key)) {
    chooseByDigit(event.key, event.timeStamp);
    return true;
  }
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || (event.repeat && !REPEATED.includes(event.key))) return false;
  action();
  return true;
}

// --- pointers -----------------------------------------------------------------------------------

function grab(event) {
  if (!photo || !event.isPrimary || event.button !== 0) return;
  stage.focus();
  const place = drawing.place(event);
  const near = drawing.nearest(photo, place, REACH[event.pointerType] ?? REACH.mouse, selected.hand);
  if (near) {
    selected = near;
    const [x, y] = photo.hands[near.hand].keypoints[near.keypoint];
    // From where it was taken: a keypoint must not jump to the finger.
    drag = { offset: [x - place[0], y - place[1]], hasMoved: false };
    stage.setPointerCapture(event.pointerId);
    show();
  } else if (photo.hands[selected.hand] && !photo.hands[selected.hand].keypoints[selected.keypoint]) {
    change((hand) => put(hand, place));
  }
}

function pull(event) {
  if (!drag) return;
  if (!drag.hasMoved) remember();
  drag.hasMoved = true;
  const [x, y] = drawing.place(event);
  put(photo.hands[selected.hand], [x + drag.offset[0], y + drag.offset[1]]);
  show();
}

function letGo() {
  const hasMoved = drag?.hasMoved;
  drag = null;
  if (hasMoved) changed();
}

// --- the start ----------------------------------------------------------------------------------

function find(event) {
  event.preventDefault();
  const text = at("text").value.trim(), number = Number(text), count = list.names.length;
  stage.focus();
  if (!text) return;
  if (Number.isInteger(number) && number >= 1 && number <= count) {
    go(number - 1);
    return;
  }
  for (let step = 1; step <= count; step += 1) {
    const index = (photo.index + step) % count;
    if (list.names[index].toLowerCase().includes(text.toLowerCase())) {
      go(index);
      return;
    }
  }
  say(`no photo is named like ${text}`, true);
}

async function start() {
  list = (await ask("photos")).content;
  document.addEventListener("keydown", press);
  stage.addEventListener("pointerdown", grab);
  stage.addEventListener("pointermove", pull);
  stage.addEventListener("pointerup", letGo);
  stage.addEventListener("pointercancel", letGo);
  at("find").addEventListener("submit", find);
  for (const button of at("actions").querySelectorAll("button")) {
    button.addEventListener("click", () => { stage.focus(); KEYS[button.dataset.key](); });
  }
  new ResizeObserver(() => { if (photo) show(); }).observe(stage);
  window.addEventListener("beforeunload", (event) => { if (dirty.size) event.preventDefault(); });
  const asked = Number(location.hash.slice(1)) - 1;
  const open = list.states.findIndex((state) => state !== "reviewed");
  // From where one stopped, unless the address says which photo.
  const first = Number.isInteger(asked) && asked >= 0 && asked < list.names.length ? asked : Math.max(open, 0);
  await go(first);
  stage.focus();
}

start().catch((error) => say(`the page cannot be shown: ${error.message}`, true));
