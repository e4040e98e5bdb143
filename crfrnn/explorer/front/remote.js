// Python as an engine, over a notebook's connection or over HTTP on this machine.

const PATIENCE = 20000; // milliseconds
const SILENT = "Python has not answered for a while: it is busy, or it was stopped. In a notebook, run the cell again.";
const GONE = "Python has stopped, so that nothing can be computed. Start it again: run the cell, or the command.";
const TYPES = { uint8: Uint8Array, float32: Float32Array };

const kindOf = (array) => (array instanceof Float32Array ? "float32" : "uint8");

// Arrays by name, from what the message says of them and from its buffers.
function named(about, buffers) {
  const made = about.map(([name, kind], i) => {
    const view = buffers[i];
    const bytes = view.buffer ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(view);
    return [name, new TYPES[kind](bytes.slice().buffer)];
  });
  return Object.fromEntries(made);
}

// In a notebook: model is what anywidget gives.
export class NotebookEngine {
  constructor(model) {
    Object.assign(this, { model, waiting: new Map(), asked: 0, onlost: () => {} });
    this.listen = (message, buffers) => this.answered(message, buffers);
    model.on("msg:custom", this.listen);
  }

  answered({ id, answer, error, arrays }, buffers) {
    const { resolve, reject, timer } = this.waiting.get(id) ?? {};
    clearTimeout(timer);
    this.waiting.delete(id);
    if (error) reject?.(new Error(error));
    else resolve?.({ ...answer, arrays: named(arrays ?? [], buffers ?? []) });
  }

  ask(method, options = {}, arrays = {}) {
    const id = `${Date.now()}-${++this.asked}`;
    const about = Object.entries(arrays).map(([name, array]) => [name, kindOf(array)]);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.onlost(SILENT), PATIENCE);
      this.waiting.set(id, { resolve, reject, timer });
      try {
        this.model.send({ id, method, options, arrays: about }, undefined, Object.values(arrays).map((array) => array.buffer));
      } catch {
        clearTimeout(timer);
        reject(new Error(GONE));
      }
    });
  }

  close() {
    this.model.off("msg:custom", this.listen);
    for (const { timer } of this.waiting.values()) clearTimeout(timer);
  }
}

// On this machine: a message is its length (4 bytes), JSON, then the arrays one after the other.
export class LocalEngine {
  constructor(address) {
    Object.assign(this, { address, onlost: () => {} });
  }

  async ask(method, options = {}, arrays = {}) {
    const about = Object.entries(arrays).map(([name, array]) => [name, kindOf(array), array.byteLength]);
    const head = new TextEncoder().encode(JSON.stringify({ method, options, arrays: about }));
    const length = new DataView(new ArrayBuffer(4));
    length.setUint32(0, head.length);
    let response, content;
    try {
      const body = new Blob([length.buffer, head, ...Object.values(arrays)]);
      response = await fetch(this.address, { method: "POST", body });
      content = await response.arrayBuffer();
    } catch {
      throw new Error(GONE);
    }
    if (!response.ok) throw new Error(new TextDecoder().decode(content));
    const size = new DataView(content).getUint32(0);
    const found = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 4, size)));
    if (found.error) throw new Error(found.error);
    let at = 4 + size;
    const buffers = found.arrays.map(([, , bytes]) => content.slice(at, (at += bytes)));
    return { ...found.answer, arrays: named(found.arrays, buffers) };
  }
}
