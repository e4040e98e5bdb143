// What is seen: labels, probabilities and changes as colours over a picture. Arrays in, ImageData out.

const KNOWN = ["#8d99ae", "#1e88e5", "#ffb000", "#00a878", "#e5446d", "#8e5cf7", "#22c5dd", "#b86b2b", "#9acd32"];
const GOLDEN = 0.618034; // of the circle of hues: each new hue falls into the largest gap

// The colour of a label; that of label 0, the background, is only used where it needs one.
export function colour(label) {
  if (label < KNOWN.length) return KNOWN[label];
  return `hsl(${Math.round(360 * (((label - KNOWN.length) * GOLDEN) % 1))} 75% 55%)`;
}

const rgb = new Map();
function bytes(label) {
  if (!rgb.has(label)) {
    const canvas = new OffscreenCanvas(1, 1);
    const context = canvas.getContext("2d");
    context.fillStyle = colour(label);
    context.fillRect(0, 0, 1, 1);
    rgb.set(label, context.getImageData(0, 0, 1, 1).data.slice(0, 3));
  }
  return rgb.get(label);
}

// Label maps over the picture; outlines are opaque, so that they can be followed.
export function paintLabels(picture, labels, opacity) {
  const { width, height, data } = picture;
  const out = new ImageData(new Uint8ClampedArray(data), width, height);
  const strong = Math.min(1, 2 * opacity);
  for (let y = 0, n = 0; y < height; ++y) {
    for (let x = 0; x < width; ++x, ++n) {
      const label = labels[n];
      const right = x + 1 < width ? labels[n + 1] : label;
      const below = y + 1 < height ? labels[n + width] : label;
      const edge = right !== label || below !== label;
      if (!label && !edge) continue;
      const [r, g, b] = bytes(label || right || below);
      const share = edge ? strong : opacity;
      out.data[4 * n] += share * (r - out.data[4 * n]);
      out.data[4 * n + 1] += share * (g - out.data[4 * n + 1]);
      out.data[4 * n + 2] += share * (b - out.data[4 * n + 2]);
    }
  }
  return out;
}

// From black over violet and orange to light yellow: even steps of lightness, also for the colour-blind.
const HEAT = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];
const heat = Array.from({ length: 256 }, (_, i) => {
  const place = (i / 255) * (HEAT.length - 1);
  const below = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[below].map((v, k) => v + (HEAT[below + 1][k] - v) * (place - below));
});
export const heatStops = HEAT.map((c) => `rgb(${c})`).join(", ");

// Numbers 0..255 as heat; where `over` is given, the picture shows through where there is none.
export function paintHeat({ width, height, data }, values, over = false) {
  const out = new ImageData(width, height);
  for (let n = 0, at = 0; n < values.length; ++n, at += 4) {
    const colours = heat[values[n]];
    const grey = over ? 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2] : 0;
    const share = over ? 0.25 + 0.75 * Math.sqrt(values[n] / 255) : 1;
    for (let k = 0; k < 3; ++k) out.data[at + k] = grey + share * (colours[k] - grey);
    out.data[at + 3] = 255;
  }
  return out;
}

export const CHANGES = { mended: "#17a34a", broken: "#e11d48", changed: "#f59e0b" };
const CODES = Object.values(CHANGES).map((text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16)));

// 0: as before; 1 mended, 2 broken, 3 changed (with a truth: wrong before and after).
export function changes(before, after, truth) {
  return before.map((b, n) => {
    if (b === after[n]) return 0;
    if (!truth) return 3;
    return after[n] === truth[n] ? 1 : b === truth[n] ? 2 : 3;
  });
}

export function paintChanges({ width, height, data }, found) {
  const out = new ImageData(width, height);
  for (let n = 0, at = 0; n < found.length; ++n, at += 4) {
    const grey = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
    for (let k = 0; k < 3; ++k) out.data[at + k] = found[n] ? CODES[found[n] - 1][k] : 60 + 0.6 * grey;
    out.data[at + 3] = 255;
  }
  return out;
}
