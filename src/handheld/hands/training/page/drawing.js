// Draws a photo with its hands into an SVG whose units are the photo's pixels, and says what a pointer is at.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const FINGERS = ["palm", "thumb", "index", "middle", "ring-finger", "pinky"];
const POINT_RADIUS = 5; // on the screen, as all lengths here
const SELECTED_RADIUS = 11;
const TAG_SIZE = 14;
// Whole coordinates are the middles of pixels; in an SVG they are their corners.
const MIDDLE = 0.5;

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function fingerOf(index) {
  return FINGERS[index === 0 ? 0 : Math.ceil(index / 4)];
}

function boneClass(start, end) {
  const isPalm = start === 0 || fingerOf(start) !== fingerOf(end);
  return isPalm ? "palm" : fingerOf(end);
}

// The box around the known keypoints of a hand, or the whole photo.
function boxOf(hand, photo) {
  const known = hand ? hand.keypoints.filter(Boolean) : [];
  if (!known.length) return { x: 0, y: 0, width: photo.width, height: photo.height };
  const x = known.map((point) => point[0]), y = known.map((point) => point[1]);
  const left = Math.min(...x), top = Math.min(...y);
  return { x: left, y: top, width: Math.max(...x) - left, height: Math.max(...y) - top };
}

function grown(box, share, least) {
  const side = Math.max(box.width, box.height, least) * share;
  const width = Math.max(box.width + side, least), height = Math.max(box.height + side, least);
  return { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
}

class Drawing {
  constructor(stage) {
    this.stage = stage;
    this.image = element("image", { preserveAspectRatio: "none" });
    this.layer = element("g", {});
    this.stage.append(this.image, this.layer);
  }

  load(address, photo) {
    this.image.setAttribute("width", photo.width);
    this.image.setAttribute("height", photo.height);
    this.image.setAttribute("href", address);
    this.image.toggleAttribute("hidden", !address);
  }

  look(view) {
    this.view = view;
    this.stage.setAttribute("viewBox", [view.x, view.y, view.width, view.height].join(" "));
  }

  // Pixels of the photo in a pixel of the screen.
  get scale() {
    const box = this.stage.getBoundingClientRect();
    return Math.max(this.view.width / Math.max(box.width, 1), this.view.height / Math.max(box.height, 1));
  }

  // Where a pointer is, in pixels of the photo.
  place(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.stage.getScreenCTM().inverse());
    return [at.x - MIDDLE, at.y - MIDDLE];
  }

  show(photo, bones, selected, names) {
    const groups = photo.hands.map((hand, index) => this.hand(hand, index, bones, selected));
    // The hand that is worked on lies above the others.
    groups.push(groups[selected.hand] ?? "");
    this.layer.replaceChildren(...groups.filter(Boolean));
    const point = photo.hands[selected.hand]?.keypoints[selected.keypoint];
    if (point) this.layer.append(...this.marker(point, names[selected.keypoint]));
  }

  hand(hand, index, bones, selected) {
    const isSelected = index === selected.hand;
    const group = element("g", { class: `hand ${isSelected ? "" : "other"} ${hand.dropped ? "dropped" : ""}`, "data-hand": index });
    const known = bones.filter(([start, end]) => hand.keypoints[start] && hand.keypoints[end]);
    for (const name of ["halo", "bone"]) {
      for (const [start, end] of known) {
        const [x1, y1] = hand.keypoints[start], [x2, y2] = hand.keypoints[end];
        const finger = name === "bone" ? boneClass(start, end) : "";
        group.append(element("line", { class: `${name} ${finger}`, x1: x1 + MIDDLE, y1: y1 + MIDDLE, x2: x2 + MIDDLE, y2: y2 + MIDDLE }));
      }
    }
    hand.keypoints.forEach((point, number) => {
      if (!point) return;
      const isHere = isSelected && number === selected.keypoint;
      const classes = ["point", fingerOf(number), hand.visible[number] ? "" : "hidden", isHere ? "selected" : ""];
      group.append(element("circle", {
        class: classes.filter(Boolean).join(" "), "data-point": number,
        cx: point[0] + MIDDLE, cy: point[1] + MIDDLE, r: POINT_RADIUS * this.scale,
      }));
    });
    return group;
  }

  marker([x, y], name) {
    const scale = this.scale;
    const ring = element("circle", { class: "ring", cx: x + MIDDLE, cy: y + MIDDLE, r: SELECTED_RADIUS * scale });
    const tag = element("text", { class: "tag", x: x + 15 * scale, y: y - 9 * scale, "font-size": TAG_SIZE * scale, "stroke-width": 3 * scale });
    tag.textContent = name;
    return [ring, tag];
  }

  // The hand and keypoint nearest to a place, if it is within so many pixels of the screen.
  nearest(photo, [x, y], reach, selectedHand) {
    let best = null, least = reach * this.scale;
    photo.hands.forEach((hand, index) => hand.keypoints.forEach((point, keypoint) => {
      if (!point) return;
      // Of two that lie on one another, that of the hand which is worked on.
      const distance = Math.hypot(point[0] - x, point[1] - y) * (index === selectedHand ? 1 : 1.5);
      if (distance < least) { least = distance; best = { hand: index, keypoint }; }
    }));
    return best;
  }
}
