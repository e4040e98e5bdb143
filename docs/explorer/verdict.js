// What a CRF does and what looks wrong, in the words of crfrnn/diagnosis/verdicts.py and with its limits; those of its
// sentences that a page needs. `crfrnn diagnose` says the rest.

import { mostLikely } from "./crf.js";

const FEW = 1e-3;
const MANY = 0.2;
const BLIND = 1;
const NOISY = 3;
const SURE = 0.01;
const LOST = 0.8;
const DROWNED = 5;

const number = (value) => String(Number(value.toPrecision(3)));
const ratio = (value) => Number(value.toPrecision(2)).toString();
const percent = (share) => (share < 0.995 ? `${ratio(100 * share)} %` : `${(100 * share).toFixed(0)} %`);
const quantile = (values, share) => Float32Array.from(values).sort()[Math.floor(share * (values.length - 1))];

// How sure the unaries are, and how far the first messages could move them, in nats.
function strengths(before, messages, labels) {
  const points = before.length / labels;
  const [margins, reaches] = [new Float32Array(points), new Float32Array(points)];
  const row = new Float32Array(labels);
  for (let n = 0; n < points; ++n) {
    let [first, second, least, most] = [0, 0, Infinity, -Infinity];
    for (let l = 0; l < labels; ++l) {
      const p = before[n * labels + l];
      if (p > first) [first, second] = [p, first];
      else if (p > second) second = p;
      row[l] = messages.reduce((sum, message) => sum + message[n * labels + l], 0);
      least = Math.min(least, row[l]);
      most = Math.max(most, row[l]);
    }
    margins[n] = Math.log(Math.max(first, 1e-7) / Math.max(second, 1e-7));
    reaches[n] = most - least;
  }
  return { margins, reaches };
}

// Which kernel moved the points that have changed, as shares.
function culprits(before, after, messages, labels) {
  const pushes = Object.entries(messages).map(([name, message]) => {
    let sum = 0;
    before.forEach((old, n) => (sum += message[n * labels + after[n]] - message[n * labels + old]));
    return [name, Math.max(0, sum)];
  });
  const total = pushes.reduce((sum, [, push]) => sum + push, 0) || 1;
  return pushes.map(([name, push]) => [name, push / total]).sort((a, b) => b[1] - a[1]);
}

function* edges({ contrast, noise, clipped }, channels, p) {
  const ranges = contrast.map((_, k) => {
    let [low, high] = [Infinity, -Infinity];
    for (let at = k; at < clipped.length; at += channels) [low, high] = [Math.min(low, clipped[at]), Math.max(high, clipped[at])];
    return high - low;
  });
  const range = Math.hypot(...ranges) / p.theta_beta;
  const loud = Math.hypot(...noise) / p.theta_beta;
  const theta = `theta_beta = ${number(p.theta_beta)}`;
  if (range === 0) yield "The image is constant, so that the bilateral kernel has no edges to follow.";
  else if (range < BLIND) yield `${theta} is ${ratio(1 / range)} times the intensity range of the image: the CRF cannot see edges. Try the first guess.`;
  else if (loud > NOISY) {
    yield `${theta} is only ${ratio(1 / loud)} times the noise of the image: points of one region look different to the bilateral kernel, and it follows the noise in place of the edges. Try the first guess.`;
  }
}

function* strength({ margins, reaches }, p) {
  const most = reaches.reduce((a, b) => Math.max(a, b), 0);
  const reachable = margins.reduce((sum, margin, n) => sum + (reaches[n] > margin ? 1 : 0), 0) / margins.length;
  const [median, middle] = [quantile(margins, 0.5), quantile(reaches, 0.5)];
  if (most && reachable < SURE) {
    const factor = Math.max(1.5, quantile(margins, 0.1) / middle);
    yield `The unaries are so sure (median margin ${ratio(median)}, in nats) that messages of at most ${ratio(most)} can overturn only ${percent(reachable)} of them. Raise the weights about ${ratio(factor)} times, or start from softer probabilities.`;
  } else if (most && middle > DROWNED * quantile(margins, 0.95)) {
    const remedy = p.normalization === "none" ? 'Use normalization="symmetric".' : `Lower the weights about ${ratio(middle / Math.max(median, 1e-3))} times.`;
    yield `The messages (median ${ratio(middle)} nats) drown the unaries (median margin ${ratio(median)}). ${remedy}`;
  }
}

function* lost(before, after, labels) {
  for (let label = 0; label < labels; ++label) {
    const others = new Float64Array(labels);
    let [was, is] = [0, 0];
    before.forEach((old, n) => {
      was += old === label ? 1 : 0;
      is += after[n] === label ? 1 : 0;
      if (old === label && after[n] !== label) others[after[n]] += 1;
    });
    if (was >= 10 && is <= (1 - LOST) * was) {
      yield `Label ${label} lost ${percent(1 - is / was)} of its points, most of them to label ${others.indexOf(Math.max(...others))}.`;
    }
  }
}

export function verdict(crf, measured, p) {
  const { labels, points } = crf;
  const T = p.num_iterations;
  crf.run(p, 0);
  const start = crf.probabilities().slice();
  const before = mostLikely(start, labels);
  const first = strengths(start, Object.values(crf.messages(p)), labels);
  crf.run(p, T - 1);
  const last = mostLikely(crf.probabilities(), labels);
  crf.run(p, T);
  const after = mostLikely(crf.probabilities(), labels);
  const share = (one, other) => one.reduce((sum, label, n) => sum + (label !== other[n] ? 1 : 0), 0) / points;
  const [changed, flips] = [share(before, after), share(last, after)];
  const effect = changed ? `The CRF changes the label of ${percent(changed)} of the points.` : "The CRF changes no label.";
  if (!p.bilateral_weight && !p.spatial_weight) return [effect, "Both weights are 0: the CRF returns what it gets."];
  const wrong = [...(p.bilateral_weight ? edges(measured, crf.picture.channels, p) : []), ...strength(first, p)];
  const swallowed = [...lost(before, after, labels)];
  wrong.push(...swallowed);
  if (changed > MANY || swallowed.length) {
    const [[name, part]] = culprits(before, after, crf.messages(p), labels);
    const theta = { bilateral: "theta_alpha, or theta_beta", spatial: "theta_gamma" }[name];
    const culprit = part < 2 / 3 ? "Both kernels did it: lower bilateral_weight and spatial_weight." : `The ${name} kernel did ${percent(part)} of it: lower ${name}_weight, or ${theta}.`;
    wrong.push(changed > MANY ? `${percent(changed)} is much for a refinement. ${culprit}` : culprit);
  }
  if (flips > FEW) wrong.push(`${percent(flips)} of the labels still change in the last iteration. Do ${2 * T} in place of ${T}.`);
  return [effect, ...(wrong.length ? wrong : ["Nothing looks wrong."])];
}
