// Which label each point may have, from strokes: mixtures of Gaussians of the colours under each label's strokes, as in
// GrabCut (Rother, Kolmogorov, Blake 2004), of the points themselves and of their surroundings (fur, grass, bricks), and
// how near its strokes are.

const COMPONENTS = 5;
const ROUNDS = 8; // of expectation and maximisation
const MOST = 1200; // points of a label that it learns from
const BITS = 5; // of a colour: of 32^3 the model is asked once, and the points look up
const SHIFT = 8 - BITS;
const CELLS = 64; // of the longer side of the picture, for distances
const NEAR = 7; // cells, standard deviation
const FAR = 0.02; // what is left of a label far from its strokes
const SURE = [0.02, 0.999]; // least probability of a label; that of a stroke
const TEMPER = 0.6; // of log likelihoods: neighbouring points are no independent witnesses
const AROUND = 0.012; // of the longer side: half the width of what surrounds a point

// Mean and, in place of the covariance, what its inverse's Cholesky factor makes of differences; log of the weight.
function gaussian(points, shares) {
  const total = shares.reduce((a, b) => a + b, 0) + 1e-9;
  const mean = [0, 0, 0];
  points.forEach((p, i) => {
    for (let k = 0; k < 3; ++k) mean[k] += (shares[i] * p[k]) / total;
  });
  const c = [0, 0, 0, 0, 0, 0]; // the lower triangle, row by row
  points.forEach((p, i) => {
    for (let k = 0, at = 0; k < 3; ++k) {
      for (let j = 0; j <= k; ++j, ++at) c[at] += (shares[i] * (p[k] - mean[k]) * (p[j] - mean[j])) / total;
    }
  });
  for (const k of [0, 2, 5]) c[k] += 36; // grey levels squared: no component is a single colour
  const l00 = Math.sqrt(c[0]);
  const l10 = c[1] / l00;
  const l11 = Math.sqrt(c[2] - l10 * l10);
  const l20 = c[3] / l00;
  const l21 = (c[4] - l20 * l10) / l11;
  const l22 = Math.sqrt(c[5] - l20 * l20 - l21 * l21);
  const constant = Math.log(total / points.length) - Math.log(l00 * l11 * l22);
  return (r, g, b) => {
    const x = (r - mean[0]) / l00;
    const y = (g - mean[1] - l10 * x) / l11;
    const z = (b - mean[2] - l20 * x - l21 * y) / l22;
    return constant - 0.5 * (x * x + y * y + z * z);
  };
}

const logSum = (numbers) => {
  const most = Math.max(...numbers);
  return most + Math.log(numbers.reduce((sum, v) => sum + Math.exp(v - most), 0));
};

function mixture(points) {
  // Starts at colours far from each other: the same strokes give the same model.
  const centres = [points[0]];
  const apart = (p, q) => p.reduce((sum, v, k) => sum + (v - q[k]) ** 2, 0);
  const nearest = points.map(() => Infinity);
  while (centres.length < Math.min(COMPONENTS, points.length)) {
    let [far, best] = [0, 0];
    points.forEach((p, i) => {
      nearest[i] = Math.min(nearest[i], apart(p, centres[centres.length - 1]));
      if (nearest[i] > best) [far, best] = [i, nearest[i]];
    });
    if (best < 64) break; // grey levels squared: there are no more colours
    centres.push(points[far]);
  }
  let shares = centres.map(() => new Float64Array(points.length));
  points.forEach((p, i) => {
    const distances = centres.map((c) => apart(p, c));
    shares[distances.indexOf(Math.min(...distances))][i] = 1;
  });
  let parts = shares.map((share) => gaussian(points, share));
  for (let round = 0; round < ROUNDS && parts.length > 1; ++round) {
    points.forEach((p, i) => {
      const logs = parts.map((part) => part(...p));
      const all = logSum(logs);
      logs.forEach((v, k) => (shares[k][i] = Math.exp(v - all)));
    });
    parts = shares.map((share) => gaussian(points, share));
  }
  return (r, g, b) => logSum(parts.map((part) => part(r, g, b)));
}

// How near strokes of a label are, FAR..1, on a coarse grid: their places, blurred.
function nearness(places, width, height, cell) {
  const [w, h] = [Math.ceil(width / cell), Math.ceil(height / cell)];
  let grid = new Float32Array(w * h);
  for (const n of places) grid[Math.floor(n / width / cell) * w + Math.floor((n % width) / cell)] = 1;
  const reach = 3 * NEAR;
  const fades = Array.from({ length: reach + 1 }, (_, d) => Math.exp((-0.5 * d * d) / (NEAR * NEAR)));
  for (const [step, size, every] of [[1, w, 1], [w, h, w]]) {
    const to = new Float32Array(w * h);
    for (let n = 0; n < grid.length; ++n) {
      const at = Math.floor(n / every) % size;
      for (let d = Math.max(-reach, -at); d <= Math.min(reach, size - 1 - at); ++d) {
        to[n] = Math.max(to[n], grid[n + d * step] * fades[Math.abs(d)]);
      }
    }
    grid = to;
  }
  return { grid: grid.map((v) => FAR + (1 - FAR) * v), w, h };
}

// Means over squares of 2 radius + 1 points, the border cut off: running sums along rows, then along columns.
function surroundings(rgba, width, height, radius) {
  let from = rgba;
  for (const [count, length, step, row] of [[height, width, 4, 4 * width], [width, height, 4 * width, 4]]) {
    const to = new Uint8ClampedArray(rgba.length);
    for (let line = 0; line < count; ++line) {
      for (let k = 0; k < 3; ++k) {
        const at = line * row + k;
        let [sum, number] = [0, 0];
        for (let i = -radius; i < length; ++i) {
          if (i + radius < length) (sum += from[at + (i + radius) * step]), ++number;
          if (i - radius > 0) (sum -= from[at + (i - radius - 1) * step]), --number;
          if (i >= 0) to[at + i * step] = sum / number;
        }
      }
    }
    from = to;
  }
  return from;
}

// Likelihoods of a colour under each label, relative to the likeliest: what they were once is looked up.
class Likelihoods {
  constructor(rgba, under) {
    this.rgba = rgba;
    this.models = under.map((places) => {
      if (!places.length) return null;
      const every = Math.ceil(places.length / MOST);
      const kept = places.filter((_, i) => i % every === 0);
      return mixture(kept.map((n) => [rgba[4 * n], rgba[4 * n + 1], rgba[4 * n + 2]]));
    });
    this.table = new Float32Array((1 << (3 * BITS)) * under.length);
    this.known = new Uint8Array(1 << (3 * BITS));
  }

  // Where in the table those of a point stand.
  at(n) {
    const { rgba, models, table, known } = this;
    const [r, g, b] = [rgba[4 * n] >> SHIFT, rgba[4 * n + 1] >> SHIFT, rgba[4 * n + 2] >> SHIFT];
    const colour = (((r << BITS) | g) << BITS) | b;
    const at = colour * models.length;
    if (known[colour]) return at;
    known[colour] = 1;
    const middles = [r, g, b].map((v) => (v + 0.5) * (1 << SHIFT));
    const logs = models.map((model) => (model ? TEMPER * model(...middles) : -Infinity));
    const most = Math.max(...logs);
    logs.forEach((log, l) => (table[at + l] = Math.exp(log - most)));
    return at;
  }
}

// rgba: bytes; strokes: 1 + label of each point, 0 without; labels: L. Probabilities (points, L).
export function learn(rgba, width, height, strokes, labels) {
  const under = Array.from({ length: labels }, () => []);
  strokes.forEach((mark, n) => mark && under[mark - 1].push(n));
  const side = Math.max(width, height);
  const own = new Likelihoods(rgba, under);
  const around = new Likelihoods(surroundings(rgba, width, height, Math.ceil(AROUND * side)), under);
  const cell = side / CELLS;
  const near = under.map((places) => places.length && nearness(places, width, height, cell));
  const probs = new Float32Array(width * height * labels);
  const [least, sure] = SURE;
  for (let y = 0, n = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x, ++n) {
      const [i, j] = [own.at(n), around.at(n)];
      let total = 0;
      for (let l = 0; l < labels; ++l) {
        const close = near[l] ? between(near[l], (x + 0.5) / cell - 0.5, (y + 0.5) / cell - 0.5) : 0;
        total += probs[n * labels + l] = own.table[i + l] * around.table[j + l] * close + (near[l] ? 1e-12 : 0);
      }
      for (let l = 0; l < labels; ++l) {
        const drawn = strokes[n] === l + 1 ? sure : (1 - sure) / (labels - 1);
        probs[n * labels + l] = strokes[n] ? drawn : least / labels + ((1 - least) * probs[n * labels + l]) / total;
      }
    }
  }
  return probs;
}

function between({ grid, w, h }, x, y) {
  const [u, v] = [Math.min(Math.max(x, 0), w - 1), Math.min(Math.max(y, 0), h - 1)];
  const [left, top] = [Math.floor(u), Math.floor(v)];
  const [right, below] = [Math.min(left + 1, w - 1), Math.min(top + 1, h - 1)];
  const upper = grid[top * w + left] + (grid[top * w + right] - grid[top * w + left]) * (u - left);
  const lower = grid[below * w + left] + (grid[below * w + right] - grid[below * w + left]) * (u - left);
  return upper + (lower - upper) * (v - top);
}
