// The engine of the page: answers questions about one picture, in a worker, so that the page never waits.

import { Core } from "./lattice.js";
import { Crf } from "./crf.js";
import { firstGuess, measure } from "./guess.js";
import { learn } from "./colours.js";
import { verdict } from "./verdict.js";

// -p log p of 0..1 in so many steps: a logarithm for every label of every point would take as long as an iteration.
const STEPS = 2 ** 16;
const disorder = Float32Array.from({ length: STEPS + 1 }, (_, i) => (i ? -(i / STEPS) * Math.log(i / STEPS) : 0));

let core = null;
let crf = null;
const small = new Map(); // the same of fewer points, for what is seen while a slider moves: by how many times fewer
let rgba = null;
let probs = null;
let measured = null;
let drawn = null; // {strokes, labels, ready}: strokes, and for how many times fewer points they have been learned from

// What is asked from now on is about other probabilities.
function start() {
  drawn = null;
  crf.setProbabilities(probs);
  small.forEach((one, times) => one.setProbabilities(thinned(probs, crf.labels, crf.picture, times)));
}

function smaller(times) {
  if (times === 1) return crf;
  if (small.has(times)) return small.get(times);
  const { width, height, channels, values, spacing } = crf.picture;
  const [w, h] = [Math.ceil(width / times), Math.ceil(height / times)];
  const picture = { width: w, height: h, channels, spacing: spacing.map((s) => times * s) };
  const made = new Crf(core, { ...picture, values: thinned(values, channels, crf.picture, times) });
  if (!drawn) made.setProbabilities(thinned(probs, crf.labels, crf.picture, times));
  small.set(times, made);
  return made;
}

// The CRF of so many times fewer points, which has learned from what was drawn.
function ready(times) {
  const used = smaller(times);
  if (!drawn || drawn.ready.has(times)) return used;
  const { width, height } = used.picture;
  const [colours, strokes] = times === 1 ? [rgba, drawn.strokes] : sampled(times, width, height);
  const learned = learn(colours, width, height, strokes, drawn.labels);
  used.setProbabilities(learned);
  if (times === 1) probs = learned;
  drawn.ready.add(times);
  return used;
}

// Every so many-th point of the picture and its strokes; a stroke that passes between them is not lost.
function sampled(times, width, height) {
  const whole = crf.picture.width;
  const colours = new Uint8ClampedArray(4 * width * height);
  const strokes = new Uint8Array(width * height);
  for (let y = 0, n = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x, ++n) {
      const from = y * times * whole + x * times;
      for (let k = 0; k < 3; ++k) colours[4 * n + k] = rgba[4 * from + k];
    }
  }
  drawn.strokes.forEach((mark, n) => {
    if (mark) strokes[Math.floor(Math.floor(n / whole) / times) * width + Math.floor((n % whole) / times)] = mark;
  });
  return [colours, strokes];
}

// Means of 2 x 2 points in the middle of squares.
function thinned(values, channels, { width, height }, times) {
  const [w, h] = [Math.ceil(width / times), Math.ceil(height / times)];
  const first = times / 2 - 1;
  const out = new Float32Array(w * h * channels);
  for (let y = 0, to = 0; y < h; ++y) {
    const rows = [0, 1].map((step) => Math.min(times * y + first + step, height - 1) * width);
    for (let x = 0; x < w; ++x) {
      const left = Math.min(times * x + first, width - 1);
      const right = Math.min(left + 1, width - 1);
      const [a, b, c, d] = [rows[0] + left, rows[0] + right, rows[1] + left, rows[1] + right].map((n) => n * channels);
      for (let k = 0; k < channels; ++k, ++to) out[to] = (values[a + k] + values[b + k] + values[c + k] + values[d + k]) / 4;
    }
  }
  return out;
}

function repeated(map, { width, height }, times) {
  const out = new Uint8Array(width * height);
  const w = Math.ceil(width / times);
  for (let y = 0, n = 0; y < height; ++y) {
    const row = Math.floor(y / times) * w;
    for (let x = 0; x < width; ++x, ++n) out[n] = map[row + Math.floor(x / times)];
  }
  return out;
}

const questions = {
  async load({ module }) {
    core = await Core.load(module);
    return {};
  },

  // options: {width, height, grey, spacing}; arrays: {picture: RGBA bytes, values: those of one channel, where bytes are not
  // all of it}
  open({ width, height, grey, spacing }, { picture, values: given }) {
    crf?.free();
    small.forEach((one) => one.free());
    small.clear();
    const channels = grey ? 1 : 3;
    const values = given ?? new Float32Array(width * height * channels);
    for (let n = 0; !given && n < width * height; ++n) for (let k = 0; k < channels; ++k) values[n * channels + k] = picture[4 * n + k];
    rgba = picture;
    probs = measured = drawn = null;
    crf = new Crf(core, { width, height, channels, values, spacing });
    return {};
  },

  // Of labels, each right with a probability, as probs_from_labels; 255: no label.
  labelled({ labels, confidence }, { map }) {
    const others = Math.fround((1 - confidence) / (labels - 1));
    probs = new Float32Array(map.length * labels).fill(others);
    map.forEach((label, n) => {
      if (label < labels) probs[n * labels + label] = confidence;
      else probs.fill(1 / labels, n * labels, (n + 1) * labels);
    });
    start();
    return {};
  },
  likely(_, arrays) {
    probs = arrays.probs;
    start();
    return {};
  },
  learn({ labels }, { strokes }) {
    drawn = { labels, strokes, ready: new Set() };
    return {};
  },

  // coarse: how many times fewer points along each axis.
  refine({ parameters, iterations, view, label, coarse = 1 }) {
    const used = ready(coarse);
    used.run(parameters, iterations);
    const q = used.probabilities();
    const { labels, points } = used;
    const [most, layer] = [new Uint8Array(points), view === "labels" ? null : new Uint8Array(points)];
    const byte = 255 / Math.log(labels);
    let entropy = 0;
    for (let n = 0, at = 0; n < points; ++n, at += labels) {
      let [best, own] = [0, 0];
      for (let l = 0; l < labels; ++l) {
        const p = q[at + l];
        own += disorder[(STEPS * p + 0.5) | 0];
        if (p > q[at + best]) best = l;
      }
      entropy += own;
      most[n] = best;
      if (view === "entropy") layer[n] = Math.min(255, byte * own + 0.5);
      if (view === "probability") layer[n] = 255 * q[at + label] + 0.5;
    }
    const full = (map) => (coarse === 1 ? map : repeated(map, crf.picture, coarse));
    const arrays = { labels: full(most), ...(layer && { layer: full(layer) }) };
    return { entropy: entropy / points, arrays };
  },

  // How strongly a point speaks with every other, by each kernel alone: exact, not through the lattice.
  see({ parameters, point: [u, v] }) {
    const { width, height, channels, values, spacing } = crf.picture;
    const [bilateral, spatial] = [new Uint8Array(width * height), new Uint8Array(width * height)];
    const { theta_alpha, theta_beta, theta_gamma } = parameters;
    const here = (v * width + u) * channels;
    for (let y = 0, n = 0; y < height; ++y) {
      for (let x = 0; x < width; ++x, ++n) {
        const square = (spacing[1] * (x - u)) ** 2 + (spacing[0] * (y - v)) ** 2;
        let tone = 0;
        for (let k = 0; k < channels; ++k) tone += (values[n * channels + k] - values[here + k]) ** 2;
        bilateral[n] = 255 * Math.exp(-0.5 * (square / theta_alpha ** 2 + tone / theta_beta ** 2)) + 0.5;
        spatial[n] = 255 * Math.exp((-0.5 * square) / theta_gamma ** 2) + 0.5;
      }
    }
    return { arrays: { bilateral, spatial } };
  },

  guess() {
    ready(1);
    measured ??= measure(crf.picture);
    return firstGuess(core, crf.picture, measured, probs);
  },

  diagnose({ parameters }) {
    ready(1);
    measured ??= measure(crf.picture);
    return { sentences: verdict(crf, measured, parameters) };
  },

  probabilities() {
    ready(1);
    return { arrays: { probs: probs.slice() } };
  },
};

self.onmessage = async ({ data: { id, method, options, arrays } }) => {
  try {
    const answer = await questions[method](options, arrays);
    self.postMessage({ id, answer }, Object.values(answer.arrays ?? {}).map((array) => array.buffer));
  } catch (error) {
    self.postMessage({ id, error: error.message || String(error) });
  }
};
