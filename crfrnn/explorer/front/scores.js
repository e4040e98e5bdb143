// Numbers about label maps, as crfrnn/parameters/scores.py defines them, and the plot of a session.

import { element, short } from "./elements.js";

const WIDTH = 2; // of the band around a boundary, in the unit of the spacing
const UNKNOWN = 255;

// Points whose nearest point on the other side of a boundary of a label is at most WIDTH away.
function band(truth, label, { width, height, spacing }) {
  const [down, right] = spacing;
  const steps = [];
  for (let dy = -Math.ceil(WIDTH / down); dy <= Math.ceil(WIDTH / down); ++dy) {
    for (let dx = -Math.ceil(WIDTH / right); dx <= Math.ceil(WIDTH / right); ++dx) {
      if ((dy || dx) && Math.hypot(dy * down, dx * right) <= WIDTH) steps.push([dy, dx]);
    }
  }
  const found = [];
  for (let y = 0, n = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x, ++n) {
      if (truth[n] === UNKNOWN) continue;
      const inside = truth[n] === label;
      const crosses = ([dy, dx]) => {
        const [v, u] = [y + dy, x + dx];
        if (v < 0 || v >= height || u < 0 || u >= width) return false;
        const other = truth[v * width + u];
        return other !== UNKNOWN && (other === label) !== inside;
      };
      if (steps.some(crosses)) found.push(n);
    }
  }
  return found;
}

const percent = (both, total) => (total ? (200 * both) / total : NaN);
const meanOf = (numbers) => {
  const known = numbers.filter((v) => !Number.isNaN(v));
  return known.length ? known.reduce((a, b) => a + b, 0) / known.length : NaN;
};

// A function of a label map to {dice: [per label], boundary: [per label], and the means over labels 1, 2, ...}.
export function scorer(truth, labels, sizes) {
  const bands = Array.from({ length: labels }, (_, label) => (label ? band(truth, label, sizes) : []));
  return (map) => {
    const [both, own, other] = [0, 1, 2].map(() => new Float64Array(labels));
    for (let n = 0; n < map.length; ++n) {
      if (truth[n] >= labels) continue; // not known
      own[truth[n]] += 1;
      other[map[n]] += 1;
      if (map[n] === truth[n]) both[truth[n]] += 1;
    }
    const dice = Array.from(both, (b, l) => percent(b, own[l] + other[l]));
    const boundary = bands.map((points, label) => {
      let [hits, total] = [0, 0];
      for (const n of points) {
        const [a, b] = [truth[n] === label, map[n] === label];
        hits += a && b ? 1 : 0;
        total += (a ? 1 : 0) + (b ? 1 : 0);
      }
      return percent(hits, total);
    });
    return { dice, boundary, meanDice: meanOf(dice.slice(1)), meanBoundary: meanOf(boundary.slice(1)) };
  };
}

// The session so far: one dot per setting, in the order they were tried; a click takes a setting back.
export class History {
  constructor(onchoose) {
    this.trials = [];
    this.onchoose = onchoose;
    this.element = element("div", { className: "crf-history" });
    this.clear();
  }

  // scored: whether more is better, as of Dice.
  clear(scored) {
    this.scored = scored;
    this.trials = [];
    this.element.replaceChildren(element("p", { className: "crf-quiet" }, "Settings that you try appear here."));
  }

  add(score, title, setting) {
    const key = JSON.stringify(setting);
    const known = this.trials.some((trial) => trial.key === key);
    if (!known) this.trials = [...this.trials, { score, title, setting, key }].slice(-60);
    this.current = key;
    this.draw();
  }

  draw() {
    const scores = this.trials.map((trial) => trial.score).filter((s) => !Number.isNaN(s));
    const [low, high] = [Math.min(...scores), Math.max(...scores)];
    const [w, h] = [300, 84];
    const x = (i) => 12 + (i * (w - 60)) / Math.max(1, this.trials.length - 1);
    const y = (score) => h - 12 - ((score - low) / (high - low || 1)) * (h - 24);
    const svg = (tag, attributes, ...children) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
      made.append(...children);
      return made;
    };
    const line = this.trials.map((trial, i) => `${x(i)},${y(trial.score)}`).join(" ");
    const dots = this.trials.map((trial, i) => {
      const best = trial.score === high && this.scored;
      const text = `${trial.title}: take this setting back`;
      const place = { cx: x(i), cy: y(trial.score), r: best ? 5 : 3.5, class: best ? "crf-best" : "crf-dot" };
      const spoken = { tabindex: 0, role: "button", "aria-label": text, "aria-current": trial.key === this.current };
      const dot = svg("circle", { ...place, ...spoken });
      dot.append(svg("title", {}, text));
      const take = () => this.onchoose(trial.setting);
      dot.addEventListener("click", take);
      dot.addEventListener("keydown", (event) => (event.key === "Enter" || event.key === " ") && take());
      return dot;
    });
    const picture = svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "group", "aria-label": "Settings tried so far" });
    picture.append(svg("polyline", { points: line }), ...dots);
    const scale = (score) => svg("text", { x: w - 2, y: y(score) + 4, "text-anchor": "end" }, short(score));
    picture.append(scale(high), ...(low < high ? [scale(low)] : []));
    this.element.replaceChildren(picture);
  }
}
