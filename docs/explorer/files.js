// Pictures of the user's, as such and as label maps. They are read here and go nowhere.

import { failed } from "./arrays.js";

export const MOST_POINTS = 2 ** 19; // more, and sliders would no longer answer while they move

// What the header of a PNG or JPEG says and a browser does not tell: {grey, deep, palette}.
export function header(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength > 29 && view.getUint32(0) === 0x89504e47) {
    const [depth, type] = [bytes[24], bytes[25]];
    const found = { grey: type === 0 || type === 4, deep: depth > 8, palette: null };
    for (let at = 8; type === 3 && at + 8 < bytes.length; at += 12 + view.getUint32(at)) {
      if (view.getUint32(at + 4) === 0x504c5445) found.palette = bytes.subarray(at + 8, at + 8 + view.getUint32(at));
    }
    return found;
  }
  for (let at = 2; view.byteLength > 4 && view.getUint16(0) === 0xffd8 && at + 9 < bytes.length; ) {
    const marker = bytes[at + 1];
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { grey: bytes[at + 9] === 1, deep: false, palette: null };
    at += 2 + view.getUint16(at + 2);
  }
  return { grey: false, deep: false, palette: null };
}

// {name, width, height, data (RGBA), grey, note, full: [width, height], palette, ...}: also what slices have, volumes.js
export async function readPicture(blob, name, most = MOST_POINTS) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const told = header(bytes);
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw failed(name, "expected a picture (PNG, JPEG, WebP, GIF, BMP). This file is damaged, or of another kind.");
  }
  const full = [bitmap.width, bitmap.height];
  const share = Math.min(1, Math.sqrt(most / (full[0] * full[1])));
  const [width, height] = full.map((size) => Math.max(1, Math.round(size * share)));
  const notes = [];
  if (share < 1) {
    notes.push(
      `${full[0]} × ${full[1]} points were scaled down to ${width} × ${height}, so that sliders answer while they move. ` +
        `At full size, lengths (theta_alpha, theta_gamma) are ${(1 / share).toFixed(2)} times as long.`,
    );
  }
  if (told.deep) notes.push("Its 16 bits per channel are taken as 8: intensities are 0 to 255 here.");
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  Object.assign(context, { imageSmoothingEnabled: true, imageSmoothingQuality: "high" });
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const shown = { width, height, data, grid: [height, width], spacing: [1, 1], unit: "px", high: 255, bytes: true, every: 1 };
  return { name: name.replace(/\.\w+$/, ""), ...shown, full, bitmap, ...told, note: notes.join(" ") };
}

// A picture as classes, at the size of another one: indices of a palette, grey values, or colours in their order.
export function asLabels({ bitmap, palette, grey, deep }, width, height, name) {
  if (deep) throw failed(name, "expected a label map of 8 bits, of which a browser keeps all. Received one of 16 bits. Save it as uint8.");
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const colours = new Map();
  const codeOf = (r, g, b) => (r << 16) | (g << 8) | b;
  for (let at = 0; palette && at < palette.length; at += 3) {
    const code = codeOf(palette[at], palette[at + 1], palette[at + 2]);
    if (!colours.has(code)) colours.set(code, at / 3);
  }
  const codes = new Set();
  for (let at = 0; at < data.length; at += 4) codes.add(codeOf(data[at], data[at + 1], data[at + 2]));
  if (codes.size > 64) {
    throw failed(name, `expected a label map. Received a picture of ${codes.size} colours. A PNG with one value per class will do.`);
  }
  if (palette && ![...codes].every((code) => colours.has(code))) {
    throw failed(name, "expected a label map of the colours of its palette. Received others, as half transparent ones become. Save it as grey values.");
  }
  const sorted = [...codes].sort((a, b) => a - b);
  const isMask = grey && sorted.every((code) => code === 0 || code === 0xffffff);
  if (!palette) sorted.forEach((code, i) => colours.set(code, grey && !isMask ? code & 255 : i));
  const map = new Uint8Array(width * height);
  for (let n = 0; n < map.length; ++n) map[n] = colours.get(codeOf(data[4 * n], data[4 * n + 1], data[4 * n + 2]));
  const known = map.reduce((most, label) => (label < 255 && label > most ? label : most), 0);
  return { map, labels: Math.max(2, known + 1) };
}
