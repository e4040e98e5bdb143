// Volumes, cut into slices that are pictures; and what belongs to the points of a picture or of each slice.

import { failed, plane } from "./arrays.js";

const MOST_SAMPLE = 2 ** 20; // points that black and white are found from
const [DARK, BRIGHT] = [0.5, 99.5]; // percentiles, as of crfrnn/explorer/shown.py
const ROUNDING = 1e-3; // how far a resampled label may be from its whole number
const UNKNOWN = 255;

// Which places of an array a picture (of a volume: a slice) is; labels: the axis of labels, if there is one.
function places({ cut }, labels, label) {
  const fixed = labels === null ? {} : { [labels]: label };
  if (cut) fixed[cut.axis + (labels === 0 ? 1 : 0)] = cut.index;
  return fixed;
}

// most: points that a slice may have to be shown whole.
export class Volume {
  constructor(array, most) {
    const { file, shape, values, slope, inter, bytes } = array;
    Object.assign(this, { array, most, grid: shape });
    const step = Math.ceil(values.length / MOST_SAMPLE);
    const sample = new Float32Array(Math.ceil(values.length / step));
    let total = 0;
    for (let n = 0; n < values.length; ++n) total += values[n];
    if (!Number.isFinite(total)) throw failed(file, "expected finite intensities. Received NaN or infinite ones. Set them to a number.");
    for (let n = 0; n < sample.length; ++n) sample[n] = slope * values[n * step] + inter;
    sample.sort();
    const at = (percent) => sample[Math.round((percent / 100) * (sample.length - 1))];
    this.black = bytes ? 0 : at(DARK);
    this.white = bytes ? 255 : at(BRIGHT) > this.black ? at(BRIGHT) : this.black + 1;
  }

  // As the pictures of files.js; index null: the middle.
  slice(axis = this.grid.indexOf(Math.min(...this.grid)), index = null) {
    const { array, grid, black, white } = this;
    const cut = { axis, index: index ?? Math.floor(grid[axis] / 2) };
    const rest = [0, 1, 2].filter((other) => other !== axis);
    const sizes = rest.map((other) => grid[other]);
    const every = Math.ceil(Math.sqrt((sizes[0] * sizes[1]) / this.most));
    const [height, width] = sizes.map((size) => Math.ceil(size / every));
    const values = plane(array, places({ cut }, null), every);
    const data = new Uint8ClampedArray(4 * values.length).fill(255);
    values.forEach((value, n) => data.fill((255 * (value - black)) / (white - black), 4 * n, 4 * n + 3));
    const spacing = rest.map((other) => every * (array.spacing?.[other] ?? 1));
    return {
      ...{ stack: this, cut, every, grid, width, height, values, data, spacing, grey: true },
      ...{ name: `${array.name}-axis${axis}-slice${cut.index}`, file: array.file, unit: array.unit },
      ...{ high: white - black, bytes: array.bytes, hasSpacing: array.spacing !== null },
      note: every > 1 ? `Of each slice one point in ${every} along each axis is taken, so that sliders answer while they move.` : "",
    };
  }
}

// Of an array on the grid of a picture: whether its values are classes, and whether they may be shares.
export function looks({ values, slope, inter }) {
  let [isWhole, isShare] = [true, true];
  for (let n = 0; n < values.length && (isWhole || isShare); ++n) {
    const value = slope * values[n] + inter;
    if (!(Math.abs(value - Math.round(value)) <= ROUNDING)) isWhole = false;
    if (!(value >= 0 && value <= 1)) isShare = false;
  }
  return { isWhole, isShare };
}

// Labels of a whole array, {labels: how many, map: a function of a picture}.
export function classes(array) {
  const { file, values, slope, inter } = array;
  const counts = new Float64Array(256);
  for (let n = 0; n < values.length; ++n) {
    const label = Math.round(slope * values[n] + inter);
    if (!(label >= 0 && label <= UNKNOWN)) throw failed(file, `expected labels 0 to 254, or 255 for none. Received ${label} as well.`);
    counts[label] += 1;
  }
  const most = counts.subarray(0, UNKNOWN).findLastIndex((count) => count > 0);
  const isMask = most === 0 && counts[UNKNOWN] > 0; // 0 and 255, the usual way to store one
  const map = (opened) => Uint8Array.from(plane(array, places(opened, null), opened.every), (v) => (isMask ? v / UNKNOWN : v) + 0.5);
  return { labels: Math.max(2, most + 1), map };
}

// Probabilities of an array whose labels are along an axis (null: it is the share of label 1, of two), as a function of a
// picture.
export function likelihoods(array, axis) {
  const { file, shape, bytes } = array;
  const given = axis === null ? 1 : shape[axis];
  const labels = Math.max(2, given);
  const scale = bytes ? 1 / 255 : 1;
  const probs = (opened) => {
    const out = new Float32Array(opened.width * opened.height * labels);
    for (let l = 0; l < given; ++l) {
      plane(array, places(opened, axis, l), opened.every).forEach((p, n) => (out[n * labels + l + labels - given] = scale * p));
    }
    for (let n = 0; n < out.length; n += labels) {
      if (given < 2) out[n] = 1 - out[n + 1];
      const own = out.subarray(n, n + labels);
      const total = own.reduce((sum, p) => sum + p, 0);
      if (!(Math.abs(total - 1) < 0.02) || own.some((p) => p < -ROUNDING)) {
        const some = Array.from(own.subarray(0, 4), (p) => p.toFixed(3)).join(", ");
        throw failed(file, `expected probabilities that sum to 1 over the labels. Received ${some}. Apply a softmax to logits.`);
      }
    }
    return out;
  };
  return { labels, probs };
}
