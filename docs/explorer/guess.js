// The first guess of the parameters of one picture: crfrnn/parameters/{measures,agreement,formulas,trust}.py.

import { lattice, mostLikely } from "./crf.js";

const C = { alpha: 0.54, detail: 0.58, explained: 20, beta: 0.31, gamma: 0.92, bilateral: 7.4, spatial: 1.9, rough: 0.88 };
const ABOVE_NOISE = 0.62;
const LARGEST_SHARE = 1 / 4;
const ONE_SCALE = 30; // beyond, channels are measured one by one, which a picture of colours does not need
const USUAL_ROUGHNESS = 0.1;
const LEAST_ROUGHNESS = 0.02;
const [LOWEST, FULL, MORE, LEFT, NOISE] = [0.85, 0.9, 0.08, 0.5, 0.5];
const MOST_POINTS = 500000;

const mean = (numbers) => numbers.reduce((a, b) => a + b, 0) / numbers.length;

function percentile(sorted, percent) {
  const place = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

// Of the picture alone, which stays the same while probabilities change: clipped values, contrast, noise, detail.
export function measure({ height, width, channels, values }) {
  const points = height * width;
  const clipped = new Float64Array(values.length);
  const contrast = [];
  const noise = [];
  for (let k = 0; k < channels; ++k) {
    const sorted = new Float32Array(points);
    for (let n = 0; n < points; ++n) sorted[n] = values[n * channels + k];
    const differences = new Float32Array(2 * points);
    let found = 0;
    for (let n = 0; n < points; ++n) {
      const here = sorted[n];
      const right = (n + 1) % width ? Math.abs(sorted[n + 1] - here) : 0;
      const below = n + width < points ? Math.abs(sorted[n + width] - here) : 0;
      if (right > 0) differences[found++] = right;
      if (below > 0) differences[found++] = below;
    }
    noise.push(found ? percentile(differences.subarray(0, found).sort(), 50) / (0.6745 * Math.SQRT2) : 0);
    sorted.sort();
    const [low, high] = [percentile(sorted, 0.5), percentile(sorted, 99.5)];
    let sum = 0;
    let squares = 0;
    for (let n = 0, at = k; n < points; ++n, at += channels) {
      sum += clipped[at] = Math.min(Math.max(values[at], low), high);
    }
    for (let n = 0, at = k; n < points; ++n, at += channels) squares += (clipped[at] - sum / points) ** 2;
    contrast.push(Math.sqrt(squares / points));
  }
  const varies = contrast.some((c) => c > 0) ? contrast.map((c) => c > 0) : contrast.map(() => true);
  const usual = contrast.some((c) => c > 0) ? mean(contrast.filter((c) => c > 0)) : 1;
  const scale = contrast.map((c) => (c > 0 ? c : usual));
  const detail = mean(scale.map((c, k) => Math.min(Math.max(noise[k] / c, 0.01), 1)).filter((_, k) => varies[k]));
  return { clipped, contrast: scale, noise, detail };
}

function explained({ clipped }, channels, probs, labels) {
  const points = clipped.length / channels;
  const shares = [];
  for (let k = 0; k < channels; ++k) {
    let centre = 0;
    for (let at = k; at < clipped.length; at += channels) centre += clipped[at] / points;
    const mass = new Float64Array(labels);
    const sums = new Float64Array(labels);
    let total = 0;
    for (let n = 0; n < points; ++n) {
      const value = clipped[n * channels + k] - centre;
      total += value * value;
      for (let l = 0; l < labels; ++l) {
        mass[l] += probs[n * labels + l];
        sums[l] += probs[n * labels + l] * value;
      }
    }
    const between = sums.reduce((sum, s, l) => sum + (s * s) / Math.max(mass[l], 1e-9), 0);
    if (total > 0) shares.push(between / total);
  }
  return shares.length ? mean(shares) : 0;
}

// Sums over 3 points along each axis, the border repeated.
function blurred(probs, height, width, labels) {
  let from = probs;
  for (const [step, size, row] of [[width, height, (n) => Math.floor(n / width)], [1, width, (n) => n % width]]) {
    const to = new Float32Array(probs.length);
    for (let n = 0; n < height * width; ++n) {
      const before = (row(n) ? n - step : n) * labels;
      const after = (row(n) < size - 1 ? n + step : n) * labels;
      for (let l = 0; l < labels; ++l) {
        to[n * labels + l] = Math.fround(from[before + l] + from[n * labels + l]) + from[after + l];
      }
    }
    from = to;
  }
  return from;
}

function boundaries(map, width) {
  let found = 0;
  for (let n = 0; n < map.length; ++n) {
    found += (n + 1) % width && map[n + 1] !== map[n] ? 1 : 0;
    found += n + width < map.length && map[n + width] !== map[n] ? 1 : 0;
  }
  return found;
}

// The middle of at most MOST_POINTS points, of values with so many channels.
function middle(values, channels, height, width) {
  const share = Math.min(1, Math.sqrt(MOST_POINTS / (height * width)));
  const [h, w] = [height, width].map((size) => Math.max(1, Math.floor(size * share)));
  if (share === 1) return { values, height, width };
  const [top, left] = [Math.floor((height - h) / 2), Math.floor((width - w) / 2)];
  const cut = new Float32Array(h * w * channels);
  for (let y = 0; y < h; ++y) {
    const from = ((top + y) * width + left) * channels;
    cut.set(values.subarray(from, from + w * channels), y * w * channels);
  }
  return { values: cut, height: h, width: w };
}

function agreement(core, picture, probs, labels, theta_alpha, theta_beta) {
  const { channels, spacing } = picture;
  const part = middle(picture.values, channels, picture.height, picture.width);
  const { height, width } = part;
  const q = middle(probs, labels, picture.height, picture.width).values;
  const points = height * width;
  const centre = new Float64Array(channels);
  part.values.forEach((value, at) => (centre[at % channels] += value / points));
  const values = part.values.map((value, at) => (value - centre[at % channels]) / theta_beta);
  const kernel = lattice(core, { height, width, channels, values, spacing }, theta_alpha, 1);
  const own = mostLikely(blurred(q, height, width, labels), labels);
  const found = own.slice();
  const [sent, got] = [core.take(4 * q.length), core.take(4 * q.length)];
  for (const colour of [1, 0]) {
    const isSender = (n) => (((Math.floor(n / width) + (n % width)) & 1) === 1) === (colour === 1);
    const sending = core.float32(sent, q.length);
    for (let n = 0, at = 0; n < points; ++n) {
      const sends = isSender(n);
      for (let l = 0; l < labels; ++l, ++at) sending[at] = sends ? q[at] : 0;
    }
    kernel.apply(sent, labels, got);
    const message = core.float32(got, q.length);
    const best = mostLikely(message, labels);
    for (let n = 0; n < points; ++n) {
      if (!isSender(n) && message[n * labels + best[n]] > 0) found[n] = best[n];
    }
  }
  kernel.free();
  core.free(sent, got);
  const present = new Set(mostLikely(q, labels));
  return mean([...present].map((label) => dice(own, found, label)));
}

function dice(one, other, label) {
  let [both, total] = [0, 0];
  for (let n = 0; n < one.length; ++n) {
    const [a, b] = [one[n] === label, other[n] === label];
    both += a && b ? 1 : 0;
    total += (a ? 1 : 0) + (b ? 1 : 0);
  }
  return (2 * both) / Math.max(total, 1);
}

// The agreement of a picture that shows nothing.
function nearness(core, picture, probs, labels, theta_alpha) {
  const values = new Float32Array(picture.height * picture.width);
  return agreement(core, { ...picture, channels: 1, values }, probs, labels, theta_alpha, 1);
}

// measured: of `measure`; probs: Float32Array (points, labels). Arguments of refine, and why.
export function firstGuess(core, picture, measured, probs) {
  const { height, width, channels } = picture;
  const labels = probs.length / (height * width);
  const before = boundaries(mostLikely(probs, labels), width);
  const after = before && boundaries(mostLikely(blurred(probs, height, width, labels), labels), width);
  const roughness = Math.max(before ? Math.max(0, 1 - after / before) : 0, LEAST_ROUGHNESS);
  const { contrast, noise, detail } = measured;
  const reach = C.alpha * detail ** -C.detail * (1 + C.explained * explained(measured, channels, probs, labels));
  const side = Math.min(...picture.spacing);
  const scale = Math.max(...contrast) > ONE_SCALE * Math.min(...contrast) ? Math.min(...contrast) : mean(contrast);
  const between = Math.sqrt(noise.reduce((sum, n) => sum + 2 * n * n, 0));
  const theta_alpha = side * Math.min(reach, Math.max(1, LARGEST_SHARE * Math.max(height, width)));
  const theta_beta = Math.max(C.beta * scale, ABOVE_NOISE * between);
  const strength = (roughness / USUAL_ROUGHNESS) ** C.rough;
  const agrees = agreement(core, picture, probs, labels, theta_alpha, theta_beta);
  const near = nearness(core, picture, probs, labels, theta_alpha);
  const isNear = 1 - agrees > LEFT * (1 - near) && roughness < NOISE;
  const trusted = (agrees - (isNear ? MORE : 0) - LOWEST) / (FULL - LOWEST);
  const share = Math.round(100 * Math.min(Math.max(trusted, 0), 1)) / 100;
  const alone = share < 1 && isNear ? `, and nearness alone ${Math.round(100 * near)} %` : "";
  const measuredAs = `The image gives back ${Math.round(100 * agrees)} % of the labels (mean Dice)${alone}`;
  const reasons =
    share === 0
      ? `${measuredAs}: too little of what the probabilities say, so no CRF.`
      : share < 1
        ? `${measuredAs}: not all that the probabilities say, so weak weights.`
        : `${measuredAs}: it shows what the probabilities say, so a CRF should help.`;
  return {
    parameters: {
      theta_alpha,
      theta_beta,
      theta_gamma: side * C.gamma,
      bilateral_weight: share * C.bilateral * strength,
      spatial_weight: share * C.spatial * strength,
      num_iterations: 5,
      normalization: "after",
    },
    reasons,
  };
}
