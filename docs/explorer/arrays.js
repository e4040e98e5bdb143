// Arrays in files, .npy and NIfTI, as NumPy and nibabel read them: here, and they go nowhere.

const MOST_BYTES = 2 ** 30; // of the values of a file, which stay in memory

export const failed = (name, why) => new Error(`${name}: ${why}`);

const KINDS = {
  ...{ b1: Uint8Array, u1: Uint8Array, i1: Int8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array },
  ...{ u4: Uint32Array, i8: BigInt64Array, f4: Float32Array, f8: Float64Array },
};
const NIFTI_KINDS = { 2: "u1", 256: "i1", 4: "i2", 512: "u2", 8: "i4", 768: "u4", 1024: "i8", 16: "f4", 64: "f8" };
const KNOWN = "int8, uint8, int16, uint16, int32, uint32, int64, float32 or float64";

// {name, shape, strides, values, slope, inter, spacing, unit, bytes, flat}: the value at a place is slope * values[sum of
// place * strides] + inter; spacing: of NIfTI, else null; bytes: whether they are 0..255; flat: the file's own axes, where
// they are fewer.
export function readArray(file) {
  return /\.npy$/i.test(file.name) ? readNpy(file) : readNifti(file);
}

async function readNpy(file) {
  const bytes = await content(file);
  const wide = bytes[6] > 1; // versions 2 and 3 have 4 bytes of length
  const start = wide ? 12 : 10;
  const isNumpy = String.fromCharCode(...bytes.subarray(0, 6)) === "\x93NUMPY" && bytes.length > start;
  if (!isNumpy) throw failed(file.name, "expected an array of NumPy. This file is damaged, or of another kind.");
  const view = new DataView(bytes.buffer);
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const about = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const [, order, kind] = about.match(/'descr': '([<>|=])(\w+)'/) ?? [];
  const shape = about.match(/'shape': \(([\d, ]*)\)/)?.[1].split(",").filter((size) => size.trim()).map(Number);
  if (!KINDS[kind] || !shape?.length) throw failed(file.name, `expected an array of ${KNOWN}. Received ${about.trim().slice(0, 90)}`);
  const values = numbers(file.name, bytes, start + length, kind, order === ">", shape);
  const isReversed = about.includes("'fortran_order': True");
  return {
    ...{ name: file.name.replace(/\.npy$/i, ""), file: file.name, shape, strides: strides(shape, isReversed), values },
    ...{ slope: 1, inter: 0, spacing: null, unit: "px", bytes: kind === "u1" },
  };
}

async function readNifti(file) {
  const bytes = await content(file);
  const found = bytes.length >= 352 && niftiHeader(new DataView(bytes.buffer));
  if (!found) throw failed(file.name, "expected NIfTI in one file (.nii or .nii.gz). This file is damaged, or of another kind.");
  const { dim, zooms, code, offset, isBig, units } = found;
  const kind = NIFTI_KINDS[code];
  if (!kind) throw failed(file.name, `expected values of ${KNOWN}. Received NIfTI's data type ${code}. Convert it.`);
  const own = dim.slice(1, dim[0] + 1);
  if (!own.length || own.some((size) => !(size > 0))) throw failed(file.name, `expected sizes of 1 and more. Received ${own.join(" × ")}: the header is damaged.`);
  const spacing = [1, 2, 3].map((axis) => (axis <= dim[0] ? zooms[axis] : 1));
  if (!spacing.every((step) => Number.isFinite(step) && step > 0)) {
    throw failed(file.name, `expected positive distances of points. Received ${spacing.join(", ")}: repair the header.`);
  }
  // One slice is a volume as well; vectors stand behind an axis of time.
  const shape = [0, 1, 2].map((axis) => own[axis] ?? 1).concat(own.slice(3).filter((size) => size > 1));
  const isScaled = Number.isFinite(found.slope) && found.slope !== 0;
  const [slope, inter] = isScaled ? [found.slope, found.inter] : [1, 0];
  if (!Number.isFinite(inter)) throw failed(file.name, "expected an intercept of the values. Received none that is finite: repair the header.");
  return {
    ...{ name: file.name.replace(/\.nii(\.gz)?$/i, ""), file: file.name, shape, strides: strides(shape, true) },
    ...{ values: numbers(file.name, bytes, offset, kind, isBig, shape), slope, inter, spacing },
    ...{ unit: (units & 7) === 2 ? "mm" : "", bytes: kind === "u1" && !isScaled },
  };
}

// What a header says, of version 1 or 2 and of either order of bytes; null: it is none.
function niftiHeader(view) {
  const all = (read) => Array.from({ length: 8 }, (_, i) => read(i));
  const says = (at, word) => [...word].every((letter, i) => view.getUint8(at + i) === letter.charCodeAt(0));
  for (const little of [true, false]) {
    const size = view.getInt32(0, little);
    if (size === 348 && says(344, "n+1")) {
      return {
        isBig: !little,
        dim: all((i) => view.getInt16(40 + 2 * i, little)),
        zooms: all((i) => view.getFloat32(76 + 4 * i, little)),
        code: view.getInt16(70, little),
        offset: Math.max(352, view.getFloat32(108, little) || 0),
        slope: view.getFloat32(112, little),
        inter: view.getFloat32(116, little),
        units: view.getUint8(123),
      };
    }
    if (size === 540 && says(4, "n+2") && view.byteLength > 544) {
      return {
        isBig: !little,
        dim: all((i) => Number(view.getBigInt64(16 + 8 * i, little))),
        zooms: all((i) => view.getFloat64(104 + 8 * i, little)),
        code: view.getInt16(12, little),
        offset: Math.max(544, Number(view.getBigInt64(168, little))),
        slope: view.getFloat64(176, little),
        inter: view.getFloat64(184, little),
        units: view.getInt32(500, little),
      };
    }
  }
  return null;
}

// The bytes of a file, unpacked where it is compressed.
async function content(file) {
  const head = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const isPacked = head[0] === 0x1f && head[1] === 0x8b;
  const tooLarge = () => failed(file.name, `expected at most ${MOST_BYTES / 2 ** 30} GiB, which a page can hold. The command and Python take more.`);
  if (!isPacked) {
    if (file.size > MOST_BYTES + 4096) throw tooLarge();
    return new Uint8Array(await file.arrayBuffer());
  }
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const pieces = [];
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw failed(file.name, "expected a whole gzip file. This one is damaged, or ends early.");
    });
    if (done) break;
    pieces.push(value);
    total += value.length;
    if (total > MOST_BYTES + 4096) throw tooLarge();
  }
  const bytes = new Uint8Array(total);
  pieces.reduce((at, piece) => (bytes.set(piece, at), at + piece.length), 0);
  return bytes;
}

function numbers(name, bytes, start, kind, isBig, shape) {
  const type = KINDS[kind];
  const size = type.BYTES_PER_ELEMENT;
  const count = shape.reduce((product, length) => product * length, 1);
  const end = start + count * size;
  if (!count) throw failed(name, `expected an array with points. Received shape (${shape.join(", ")}).`);
  if (!(end <= bytes.length)) throw failed(name, `damaged: its header tells of ${count * size} bytes of values, and ${Math.max(0, bytes.length - start)} are there.`);
  const own = bytes.slice(start, end); // a place in memory that suits the type
  for (let at = 0; isBig && at < own.length; at += size) {
    for (let low = at, high = at + size - 1; low < high; ++low, --high) [own[low], own[high]] = [own[high], own[low]];
  }
  const values = new type(own.buffer);
  return kind === "i8" ? Float64Array.from(values, Number) : values;
}

function strides(shape, isFirstFastest) {
  const axes = shape.map((_, axis) => axis);
  const found = [];
  let step = 1;
  for (const axis of isFirstFastest ? axes : axes.reverse()) {
    found[axis] = step;
    step *= shape[axis];
  }
  return found;
}

// The values of two axes, (height, width) as float32, at fixed places of all others, by axis; of every so many-th point.
export function plane({ shape, strides, values, slope, inter }, fixed, every = 1) {
  const [down, right] = shape.map((_, axis) => axis).filter((axis) => !(axis in fixed));
  const [height, width] = [down, right].map((axis) => Math.ceil(shape[axis] / every));
  const start = Object.entries(fixed).reduce((sum, [axis, place]) => sum + place * strides[axis], 0);
  const [row, column] = [every * strides[down], every * strides[right]];
  const out = new Float32Array(height * width);
  for (let y = 0, n = 0; y < height; ++y) {
    for (let x = 0, at = start + y * row; x < width; ++x, ++n, at += column) out[n] = slope * values[at] + inter;
  }
  return out;
}

// Which axis of an array over a grid has the labels, as its last or its first; null: it has none, undefined: no fit.
export function labelAxis(shape, grid) {
  const same = (sizes) => sizes.join() === grid.join();
  if (same(shape)) return null;
  if (same(shape.slice(0, -1))) return shape.length - 1;
  return same(shape.slice(1)) ? 0 : undefined;
}
