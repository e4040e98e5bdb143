// The picture: painted, zoomed, moved, covered by a curtain, pointed at, drawn on.

import { element } from "./elements.js";
import { colour } from "./paint.js";

const GRIP = 16; // pixels of the screen on both sides of the curtain
const CLICK = 5; // a pointer that moves less has pointed
const UNDO = 40; // strokes

export class Stage {
  // onpoint(x, y): a point was clicked; onstroke(): strokes have changed.
  constructor({ onpoint, onstroke }) {
    Object.assign(this, { onpoint, onstroke });
    this.canvas = element("canvas", { tabIndex: 0, role: "img", className: "crf-canvas" });
    this.element = element("div", { className: "crf-stage" }, this.canvas);
    this.layers = { before: new OffscreenCanvas(1, 1), after: new OffscreenCanvas(1, 1) };
    this.strokes = { canvas: new OffscreenCanvas(1, 1), labels: new Uint8Array(1), past: [] };
    this.curtain = null; // 0..1 of the picture's width
    this.pen = null; // {label, radius}; label -1 erases; null: the pointer looks
    this.pointers = new Map();
    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, (event) => this.up(event));
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("dblclick", () => this.pen || this.fit());
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  open(width, height) {
    Object.assign(this, { width, height, point: null });
    for (const layer of [...Object.values(this.layers), this.strokes.canvas]) Object.assign(layer, { width, height });
    Object.assign(this.strokes, { labels: new Uint8Array(width * height), past: [] });
    this.element.style.setProperty("--ratio", width / height);
    this.resize();
    this.fit();
  }

  paint(before, after) {
    if (this.curtain !== null) this.layers.before.getContext("2d").putImageData(before, 0, 0);
    this.layers.after.getContext("2d").putImageData(after, 0, 0);
    this.draw();
  }

  resize() {
    const { clientWidth, clientHeight } = this.element;
    if (!this.width || !clientWidth) return;
    const fitted = !this.scale || Math.abs(this.scale - this.fitting()) < 1e-6;
    this.size = [clientWidth, clientHeight];
    this.ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(clientWidth * this.ratio);
    this.canvas.height = Math.round(clientHeight * this.ratio);
    if (fitted) this.fit();
    else this.draw();
  }

  fitting() {
    return this.size ? Math.min(this.size[0] / this.width, this.size[1] / this.height) : 0;
  }
  fit() {
    if (!this.size) return;
    this.scale = this.fitting();
    this.left = (this.size[0] - this.scale * this.width) / 2;
    this.top = (this.size[1] - this.scale * this.height) / 2;
    this.draw();
  }
  zoom(factor, x = this.size[0] / 2, y = this.size[1] / 2) {
    const scale = Math.min(40, Math.max(this.fitting() / 2, this.scale * factor));
    this.left = x - ((x - this.left) * scale) / this.scale;
    this.top = y - ((y - this.top) * scale) / this.scale;
    this.scale = scale;
    this.draw();
  }
  pan(dx, dy) {
    const keep = 40; // pixels of the picture that stay in sight
    this.left = Math.min(this.size[0] - keep, Math.max(keep - this.scale * this.width, this.left + dx));
    this.top = Math.min(this.size[1] - keep, Math.max(keep - this.scale * this.height, this.top + dy));
    this.draw();
  }

  draw() {
    if (!this.size) return;
    const context = this.canvas.getContext("2d");
    const { width, height, scale, left, top, ratio } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * left, ratio * top);
    context.imageSmoothingEnabled = scale < 2;
    context.drawImage(this.layers.after, 0, 0);
    if (this.curtain !== null) {
      const at = this.curtain * width;
      if (at > 0) context.drawImage(this.layers.before, 0, 0, at, height, 0, 0, at, height);
    }
    context.drawImage(this.strokes.canvas, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.curtain !== null) this.drawCurtain(context);
    if (this.point) this.drawPoint(context);
  }
  drawCurtain(context) {
    const x = this.left + this.curtain * this.scale * this.width;
    const [top, bottom] = [Math.max(0, this.top), Math.min(this.size[1], this.top + this.scale * this.height)];
    const middle = (top + bottom) / 2;
    context.fillStyle = "rgb(0 0 0 / 35%)";
    context.fillRect(x - 2.5, top, 5, bottom - top);
    context.fillStyle = "#fff";
    context.fillRect(x - 1, top, 2, bottom - top);
    context.beginPath();
    context.arc(x, middle, 13, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = "#334";
    for (const side of [-1, 1]) {
      context.beginPath();
      context.moveTo(x + 8 * side, middle);
      context.lineTo(x + 3 * side, middle - 4.5);
      context.lineTo(x + 3 * side, middle + 4.5);
      context.fill();
    }
    context.font = "600 12px system-ui, sans-serif";
    for (const [text, side] of [[this.sides[0], -1], [this.sides[1], 1]]) {
      const { width } = context.measureText(text);
      const from = side < 0 ? x - 10 - width : x + 10;
      context.fillStyle = "rgb(0 0 0 / 60%)";
      context.fillRect(from - 5, top + 8, width + 10, 20);
      context.fillStyle = "#fff";
      context.fillText(text, from, top + 22);
    }
  }
  drawPoint(context) {
    const [x, y] = [0, 1].map((i) => [this.left, this.top][i] + (this.point[i] + 0.5) * this.scale);
    for (const [style, width] of [["#000", 5], ["#fff", 2]]) {
      context.beginPath();
      context.arc(x, y, 7, 0, 2 * Math.PI);
      Object.assign(context, { strokeStyle: style, lineWidth: width });
      context.stroke();
    }
  }

  // Where on the picture an event is; may be outside of it.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    return { x, y, u: (x - this.left) / this.scale, v: (y - this.top) / this.scale };
  }
  nearCurtain({ x }) {
    return this.curtain !== null && Math.abs(x - this.left - this.curtain * this.scale * this.width) < GRIP;
  }

  down(event) {
    this.canvas.setPointerCapture?.(event.pointerId);
    const place = this.place(event);
    this.pointers.set(event.pointerId, place);
    if (this.pointers.size > 1) {
      if (this.doing === "draw") this.undo();
      this.doing = "pinch";
    } else if (this.nearCurtain(place)) this.doing = "curtain";
    else if (this.pen && event.button !== 1) {
      this.doing = "draw";
      this.remember();
      this.stroke(place, place);
    } else this.doing = "look";
    this.began = place;
    this.moved = 0;
  }

  move(event) {
    const place = this.place(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.canvas.style.cursor = this.nearCurtain(place) ? "ew-resize" : this.pen ? "crosshair" : "grab";
      return;
    }
    this.moved = Math.max(this.moved, Math.hypot(place.x - this.began.x, place.y - this.began.y));
    if (this.doing === "draw") this.stroke(before, place);
    if (this.doing === "curtain") this.setCurtain(Math.min(1, Math.max(0, place.u / this.width)));
    if (this.doing === "look" && this.moved >= CLICK) this.pan(place.x - before.x, place.y - before.y);
    if (this.doing === "pinch" && this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
      const apart = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
      this.pan((place.x - before.x) / 2, (place.y - before.y) / 2);
      this.zoom(apart(place) / apart(before), (place.x + other.x) / 2, (place.y + other.y) / 2);
    }
    this.pointers.set(event.pointerId, place);
  }

  up(event) {
    const place = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (!place) return;
    const [x, y] = [Math.floor(place.u), Math.floor(place.v)];
    const inside = x >= 0 && y >= 0 && x < this.width && y < this.height;
    if (this.doing === "look" && this.moved < CLICK && inside) this.onpoint(x, y);
    if (this.pointers.size) return;
    const drawn = this.doing === "draw";
    this.doing = null;
    if (drawn) this.onstroke();
  }

  wheel(event) {
    event.preventDefault();
    const { x, y } = this.place(event);
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), x, y);
  }

  key(event) {
    const step = 40;
    const keys = {
      "+": () => this.zoom(1.25),
      "=": () => this.zoom(1.25),
      "-": () => this.zoom(0.8),
      0: () => this.fit(),
      ArrowLeft: () => (this.curtain === null ? this.pan(step, 0) : this.setCurtain(Math.max(0, this.curtain - 0.05))),
      ArrowRight: () => (this.curtain === null ? this.pan(-step, 0) : this.setCurtain(Math.min(1, this.curtain + 0.05))),
      ArrowUp: () => this.pan(0, step),
      ArrowDown: () => this.pan(0, -step),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  }

  setCurtain(at) {
    this.curtain = at;
    this.draw();
  }

  // ---- Strokes ----

  remember() {
    this.strokes.past.push(this.strokes.labels.slice());
    if (this.strokes.past.length > UNDO) this.strokes.past.shift();
  }
  undo() {
    if (!this.strokes.past.length) return;
    this.strokes.labels = this.strokes.past.pop();
    this.repaintStrokes();
    this.onstroke();
  }
  clearStrokes() {
    this.remember();
    this.strokes.labels = new Uint8Array(this.width * this.height);
    this.repaintStrokes();
    this.onstroke();
  }
  repaintStrokes() {
    const context = this.strokes.canvas.getContext("2d");
    context.clearRect(0, 0, this.width, this.height);
    this.strokes.labels.forEach((mark, n) => mark && this.dot(context, mark, n % this.width, Math.floor(n / this.width), 1));
    this.draw();
  }
  dot(context, mark, x, y, length) {
    if (!mark) return context.clearRect(x, y, length, 1);
    context.fillStyle = colour(mark - 1);
    context.fillRect(x, y, length, 1);
  }

  // A line of discs between two places; marks are 1 + label, 0 where there is none.
  stroke(from, to) {
    const context = this.strokes.canvas.getContext("2d");
    const mark = this.pen.label + 1;
    const radius = Math.max(0.5, this.pen.radius / this.scale);
    const steps = Math.ceil(Math.hypot(to.u - from.u, to.v - from.v) / Math.max(1, radius / 2)) || 1;
    for (let i = 1; i <= steps; ++i) {
      const u = from.u + ((to.u - from.u) * i) / steps;
      const v = from.v + ((to.v - from.v) * i) / steps;
      const [first, last] = [Math.max(0, Math.floor(v - radius)), Math.min(this.height - 1, Math.floor(v + radius))];
      for (let y = first; y <= last; ++y) {
        const half = Math.sqrt(Math.max(0, radius ** 2 - (y + 0.5 - v) ** 2));
        const begin = Math.max(0, Math.floor(u - half));
        const end = Math.min(this.width, Math.floor(u + half) + 1);
        if (end <= begin) continue;
        this.strokes.labels.fill(mark, y * this.width + begin, y * this.width + end);
        this.dot(context, mark, begin, y, end - begin);
      }
    }
    this.draw();
    this.onstroke();
  }
}
