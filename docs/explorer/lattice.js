// The C++ core (crfrnn/native, compiled to WebAssembly) seen from JavaScript, as native/library.py sees it from Python.

const PARTS = 64; // kParts of helpers.h
const MESSAGE = 1024;

export class Core {
  // module: bytes of crfrnn.wasm.
  static async load(module) {
    const core = new Core();
    const nothing = () => 0;
    const { instance } = await WebAssembly.instantiate(module, {
      env: { emscripten_notify_memory_growth: nothing },
      wasi_snapshot_preview1: {
        clock_time_get: nothing,
        environ_get: nothing,
        // No variables: their number and the size of their text are 0.
        environ_sizes_get: (count, size) => (core.int32(count, 1).fill(0), core.int32(size, 1).fill(0), 0),
        proc_exit: (code) => {
          throw new Error(`The lattice stopped with code ${code}.`);
        },
      },
    });
    core.exports = instance.exports;
    core.exports._initialize();
    core.message = core.take(MESSAGE);
    return core;
  }

  take(bytes) {
    const address = this.exports.malloc(bytes);
    if (!address) throw new Error("There is not enough memory for a picture of this size. Open a smaller one.");
    return address;
  }
  free(...addresses) {
    for (const address of addresses) if (address) this.exports.free(address);
  }

  // Views of the memory: valid until it grows, that is until the next call.
  float32(address, length) {
    return new Float32Array(this.exports.memory.buffer, address, length);
  }
  int32(address, length) {
    return new Int32Array(this.exports.memory.buffer, address, length);
  }
  int64(address, length) {
    return new BigInt64Array(this.exports.memory.buffer, address, length);
  }

  call(name, ...given) {
    if (!this.exports[name](...given, this.message, BigInt(MESSAGE))) return;
    const bytes = new Uint8Array(this.exports.memory.buffer, this.message, MESSAGE);
    throw new Error(new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0))));
  }

  softmax(logits, points, labels, out) {
    this.call("crfrnn_softmax", logits, BigInt(points), BigInt(labels), out);
  }
}

// A lattice over positions (points, features), which are written by fill(Float32Array).
export class Lattice {
  constructor(core, points, features, fill) {
    Object.assign(this, { core, points, features });
    const corners = points * (features + 1);
    const positions = core.take(4 * points * features);
    const neighbours = core.take(4);
    fill(core.float32(positions, points * features));
    this.ids = core.take(4 * corners);
    this.weights = core.take(4 * corners);
    this.splits = core.take(8 * (features + 2));
    this.seen = core.take(8 * (PARTS + 1));
    this.chains = 0;
    try {
      core.call(
        "crfrnn_build",
        ...[positions, 1n, BigInt(points), BigInt(features)],
        ...[this.ids, this.weights, this.splits, this.seen, neighbours],
      );
      this.chains = core.take(4 * Math.max(1, Number(core.int64(this.splits, features + 2)[features + 1])));
      core.call("crfrnn_write_chains", core.int32(neighbours, 1)[0], this.splits, this.chains);
    } catch (error) {
      this.free();
      throw error;
    } finally {
      core.exports.crfrnn_delete_neighbours(core.int32(neighbours, 1)[0]);
      core.free(positions, neighbours);
    }
  }

  // As the struct crfrnn::Lattice of lattice.h, 40 bytes.
  write(address) {
    this.core.int64(address, 2).set([BigInt(this.points), BigInt(this.features)]);
    this.core.int32(address + 16, 5).set([this.ids, this.weights, this.chains, this.splits, this.seen]);
  }

  // out = diag(scaleOut) K diag(scaleIn) values; addresses of (points, channels), of scales (points) or 0.
  apply(values, channels, out, scaleIn = 0, scaleOut = 0) {
    const struct = this.core.take(40);
    this.write(struct);
    try {
      this.core.call("crfrnn_filter", struct, values, 1n, BigInt(channels), scaleIn, scaleOut, 0, out);
    } finally {
      this.core.free(struct);
    }
  }

  free() {
    this.core.free(this.ids, this.weights, this.splits, this.seen, this.chains);
  }
}
