// The offline CRF of one picture: what crfrnn/meanfield and crfrnn/offline do, step by step in float32, for Potts.

import { Lattice } from "./lattice.js";

const TINY_NORM = 1e-20; // _TINY_NORM of filtering/normalized.py
const round = Math.fround;

// The features of every point, as positions.py has them: x, y, then the channels, times 1 / bandwidth.
function writePositions(out, { height, width, channels, values, spacing }, theta, beta) {
  const features = beta ? 2 + channels : 2;
  const inverse = round(1 / round(theta));
  const tone = beta && round(1 / round(beta));
  const [down, right] = spacing.map(round);
  for (let y = 0, at = 0, from = 0; y < height; ++y) {
    const row = round(round(y * down) * inverse);
    for (let x = 0; x < width; ++x, at += features) {
      out[at] = round(round(x * right) * inverse);
      out[at + 1] = row;
      for (let k = 2; k < features; ++k) out[at + k] = values[from++] * tone;
    }
  }
}

export function lattice(core, picture, theta, beta) {
  const features = beta ? 2 + picture.channels : 2;
  const points = picture.height * picture.width;
  return new Lattice(core, points, features, (out) => writePositions(out, picture, theta, beta));
}

// A lattice with the scales of its normalisation: NormalizedFilter.
class Kernel {
  constructor(core, picture, theta, beta, normalization) {
    this.core = core;
    this.lattice = lattice(core, picture, theta, beta);
    const { points } = this.lattice;
    const ones = core.take(4 * points);
    this.scale = core.take(4 * points);
    core.float32(ones, points).fill(1);
    this.lattice.apply(ones, 1, this.scale);
    core.free(ones);
    const norm = core.float32(this.scale, points);
    for (let n = 0; n < points; ++n) {
      const total = round(norm[n] + TINY_NORM);
      norm[n] = 1 / (normalization === "symmetric" ? round(Math.sqrt(total)) : total);
    }
    this.scaleIn = normalization === "after" ? 0 : this.scale;
    this.scaleOut = normalization === "before" ? 0 : this.scale;
  }

  free() {
    this.lattice.free();
    this.core.free(this.scale);
  }
}

export class Crf {
  // picture: {height, width, channels, values: Float32Array, spacing: [down, right]}
  constructor(core, picture) {
    Object.assign(this, { core, picture, points: picture.height * picture.width, labels: 0 });
    this.kernels = {}; // by name, with the key of what they were built for
    this.done = null; // iterations that q has behind it; null: it has to start again
  }

  // probs: Float32Array (points, labels).
  setProbabilities(probs) {
    const labels = probs.length / this.points;
    if (labels !== this.labels) {
      this.core.free(this.unaries, this.first, this.q, this.mixing);
      this.unaries = this.core.take(4 * probs.length);
      this.first = this.core.take(4 * probs.length); // their softmax, from which every setting starts
      this.q = this.core.take(4 * probs.length);
      this.mixing = this.core.take(8 * labels);
      this.labels = labels;
    }
    const least = round(1e-7);
    const most = round(1 - 1e-7);
    const logits = this.core.float32(this.unaries, probs.length);
    for (let i = 0; i < probs.length; ++i) {
      const p = probs[i];
      logits[i] = Math.log(p < least ? least : p > most ? most : p);
    }
    this.core.softmax(this.unaries, this.points, labels, this.first);
    this.done = null;
  }

  // The state before the first iteration.
  start() {
    const size = this.points * this.labels;
    this.core.float32(this.q, size).set(this.core.float32(this.first, size));
  }

  kernel(name, theta, beta, normalization) {
    const key = [theta, beta, normalization].join();
    if (this.kernels[name]?.key === key) return this.kernels[name].kernel;
    this.kernels[name]?.kernel.free();
    delete this.kernels[name]; // should the next line throw
    this.kernels[name] = { key, kernel: new Kernel(this.core, this.picture, theta, beta, normalization) };
    return this.kernels[name].kernel;
  }

  // Brings q to the state after so many iterations with parameters named as those of refine.
  run(p, iterations) {
    if (!iterations) {
      this.start();
      this.done = null;
      return;
    }
    const terms = [];
    if (p.bilateral_weight) {
      terms.push([this.kernel("bilateral", p.theta_alpha, p.theta_beta, p.normalization), p.bilateral_weight]);
    }
    if (p.spatial_weight) terms.push([this.kernel("spatial", p.theta_gamma, 0, p.normalization), p.spatial_weight]);
    const used = JSON.stringify([p.theta_alpha, p.theta_beta, p.theta_gamma, p.normalization, terms.map((t) => t[1])]);
    if (this.done === null || used !== this.used || iterations < this.done) {
      this.start();
      this.done = 0;
      this.used = used;
    }
    if (!terms.length) return;
    const struct = this.core.take(56 * terms.length); // crfrnn::PairwiseTerm of pairwise_term.h
    terms.forEach(([kernel, weight], k) => {
      const mixing = this.mixing + 4 * k * this.labels;
      this.core.float32(mixing, this.labels).fill(-weight);
      kernel.lattice.write(struct + 56 * k);
      this.core.int32(struct + 56 * k + 40, 4).set([kernel.scaleIn, kernel.scaleOut, mixing, 1]);
    });
    const left = iterations - this.done;
    try {
      if (left) {
        const sizes = [this.labels, left].map(BigInt);
        this.core.call("crfrnn_mean_field", struct, BigInt(terms.length), this.unaries, ...sizes, this.q, this.q);
      }
      this.done = iterations;
    } finally {
      this.core.free(struct);
    }
  }

  // The probabilities (points, labels) as they are now: a view, to be read at once.
  probabilities() {
    return this.core.float32(this.q, this.points * this.labels);
  }

  // What each kernel adds to the logits (points, labels) of the next iteration, by name.
  messages(p) {
    const size = this.points * this.labels;
    const out = this.core.take(4 * size);
    const found = {};
    for (const name of ["bilateral", "spatial"]) {
      const weight = p[`${name}_weight`];
      if (!weight) continue;
      const theta = name === "bilateral" ? [p.theta_alpha, p.theta_beta] : [p.theta_gamma, 0];
      const kernel = this.kernel(name, ...theta, p.normalization);
      kernel.lattice.apply(this.q, this.labels, out, kernel.scaleIn, kernel.scaleOut);
      found[name] = this.core.float32(out, size).map((v) => weight * v);
    }
    this.core.free(out);
    return found;
  }

  free() {
    for (const { kernel } of Object.values(this.kernels)) kernel.free();
    this.core.free(this.unaries, this.first, this.q, this.mixing);
    this.kernels = {};
  }
}

// The most likely label of every point, of labels last; the first of equals, as argmax.
export function mostLikely(probs, labels) {
  const found = new Uint8Array(probs.length / labels);
  for (let n = 0, at = 0; n < found.length; ++n, at += labels) {
    let best = 0;
    for (let l = 1; l < labels; ++l) if (probs[at + l] > probs[at + best]) best = l;
    found[n] = best;
  }
  return found;
}
