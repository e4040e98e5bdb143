// The worker as an engine: questions go in one by one, each answer comes back to who has asked.

export class WorkerEngine {
  constructor(script, module) {
    this.waiting = new Map();
    this.asked = 0;
    this.onlost = () => {};
    this.own = {}; // questions that the page answers itself, by name
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    this.worker = new Worker(address);
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id) ?? {};
      this.waiting.delete(data.id);
      if (data.error) reject?.(new Error(data.error));
      else resolve?.(data.answer);
    };
    this.worker.onerror = (event) => this.lose(event.message || "it does not say why");
    this.ready = this.ask("load", { module });
  }

  lose(why) {
    const text = `The part of the page that computes has stopped (${why}). Load the page again.`;
    for (const { reject } of this.waiting.values()) reject(new Error(text));
    this.waiting.clear();
    this.lost = text;
    this.onlost(text);
  }

  ask(method, options = {}, arrays = {}) {
    if (this.lost) return Promise.reject(new Error(this.lost));
    if (this.own[method]) return this.own[method](options);
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, method, options, arrays });
    });
  }
}
