// What leaves the explorer: label maps, arrays, parameter files, lines of Python. All are made here, nothing is sent.

import { colours } from "./paint.js";

const CRC = Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; ++k) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function chunk(type, data) {
  const made = new Uint8Array(data.length + 12);
  const view = new DataView(made.buffer);
  view.setUint32(0, data.length);
  made.set(new TextEncoder().encode(type), 4);
  made.set(data, 8);
  let crc = 0xffffffff;
  for (let i = 4; i < data.length + 8; ++i) crc = CRC[(crc ^ made[i]) & 255] ^ (crc >>> 8);
  view.setUint32(data.length + 8, (crc ^ 0xffffffff) >>> 0);
  return made;
}

async function png(width, height, rows, bytesPerPoint, type, palette) {
  const raw = new Uint8Array(height * (width * bytesPerPoint + 1)); // a filter type, 0, before each row
  for (let y = 0; y < height; ++y) {
    const row = rows.subarray(y * width * bytesPerPoint, (y + 1) * width * bytesPerPoint);
    raw.set(row, y * (width * bytesPerPoint + 1) + 1);
  }
  const packed = new Blob([raw]).stream().pipeThrough(new CompressionStream("deflate"));
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  [8, type, 0, 0, 0].forEach((byte, i) => header.setUint8(8 + i, byte));
  const parts = [
    new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]),
    chunk("IHDR", new Uint8Array(header.buffer)),
    ...(palette ? [chunk("PLTE", palette)] : []),
    chunk("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())),
    chunk("IEND", new Uint8Array()),
  ];
  return new Blob(parts, { type: "image/png" });
}

// Labels as indices of a palette: programs read classes, people see colours.
export function labelMap(labels, width, height, count) {
  const palette = new Uint8Array(3 * Math.max(2, count));
  for (let label = 1; label < count; ++label) palette.set(colours().subarray(4 * label, 4 * label + 3), 3 * label);
  return png(width, height, labels, 1, 3, palette);
}

// The picture as the CRF has seen it, grey or RGB without losses.
export function picturePng({ data, width, height }, grey) {
  const channels = grey ? 1 : 3;
  const rows = new Uint8Array(width * height * channels);
  for (let n = 0; n < width * height; ++n) for (let k = 0; k < channels; ++k) rows[n * channels + k] = data[4 * n + k];
  return png(width, height, rows, channels, grey ? 0 : 2);
}

// An array file of NumPy.
export function npy(values, shape) {
  const kind = values instanceof Float32Array ? "<f4" : "|u1";
  const text = `{'descr': '${kind}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padded = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + "\n";
  const header = new Uint8Array(10 + padded.length);
  header.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, padded.length & 255, padded.length >> 8]);
  header.set(new TextEncoder().encode(padded), 10);
  return new Blob([header, values]);
}

// The file that `crfrnn refine --parameters` reads.
export function parameterFile(parameters, more) {
  return JSON.stringify({ parameters, ...more }, null, 2) + "\n";
}

export function python(parameters, { image = "image", probs = "probs", spacing = null, note = "" }) {
  const given = Object.entries(parameters).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  if (spacing) given.push(`spacing=${JSON.stringify(spacing).replace("[", "(").replace("]", ")")}`);
  return `${note}refined = crfrnn.refine(${image}, ${probs}, ${given.join(", ")})`;
}
