// What is seen: labels, probabilities and changes as colours over a picture. Arrays in, ImageData out.

const KNOWN = ["#8d99ae", "#1e88e5", "#ffb000", "#00a878", "#e5446d", "#8e5cf7", "#22c5dd", "#b86b2b", "#9acd32"];
const GOLDEN = 0.618034; // of the circle of hues: each new hue falls into the largest gap

// The colour of a label; that of label 0, the background, is only used where it needs one.
export function colour(label) {
  if (label < KNOWN.length) return KNOWN[label];
  return `hsl(${Math.round(360 * (((label - KNOWN.length) * GOLDEN) % 1))} 75% 55%)`;
}

// Red, green, blue and 255 of every label, one after the other.
let table = null;
export function colours() {
  if (table) return table;
  const context = new OffscreenCanvas(256, 1).getContext("2d", { willReadFrequently: true });
  for (let label = 0; label < 256; ++label) {
    context.fillStyle = colour(label);
    context.fillRect(label, 0, 1, 1);
  }
  return (table = context.getImageData(0, 0, 256, 1).data);
}

// Label maps over the picture; outlines are opaque, so that they can be followed.
export function paintLabels(picture, labels, opacity) {
  const { width, height } = picture;
  const data = new Uint8ClampedArray(picture.data);
  const rgb = colours();
  const strong = Math.min(1, 2 * opacity);
  for (let y = 0, n = 0; y < height; ++y) {
    const down = y + 1 < height ? width : 0;
    for (let x = 0; x < width; ++x, ++n) {
      const label = labels[n];
      const right = labels[x + 1 < width ? n + 1 : n];
      const below = labels[n + down];
      const isEdge = right !== label || below !== label;
      if (!label && !isEdge) continue;
      const [to, from, share] = [4 * n, 4 * (label || right || below), isEdge ? strong : opacity];
      data[to] += share * (rgb[from] - data[to]);
      data[to + 1] += share * (rgb[from + 1] - data[to + 1]);
      data[to + 2] += share * (rgb[from + 2] - data[to + 2]);
    }
  }
  return new ImageData(data, width, height);
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

// Of each point 0: as before; 1 mended, 2 broken, 3 changed (with a truth: wrong before and after); and how many changed.
export function changes(before, after, truth) {
  const codes = new Uint8Array(before.length);
  let count = 0;
  for (let n = 0; n < codes.length; ++n) {
    if (before[n] === after[n]) continue;
    count += 1;
    codes[n] = !truth ? 3 : after[n] === truth[n] ? 1 : before[n] === truth[n] ? 2 : 3;
  }
  return { codes, count };
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
