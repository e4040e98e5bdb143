// The page: opens pictures and examples, and hands them to the explorer.

import { Explorer } from "./app.js";
import { element, theme } from "./elements.js";
import { WorkerEngine } from "./engine.js";
import { press } from "./keys.js";
import { asLabels, readPicture, readProbabilities } from "./files.js";

const CONFIDENCE = 0.7; // of labels of which nothing else is known, as in probs_from_labels
const START = { theta_gamma: 3, theta_beta: 13, bilateral_weight: 10, spatial_weight: 3, num_iterations: 5, normalization: "symmetric" };
const SHARE = 0.1; // theta_alpha of a picture of which nothing is known, of its longer side

const ABOUT = `
<h2>What is this?</h2>
<p>A dense conditional random field (CRF) moves the labels of an image to the edges that the image shows. Here you see what each of its settings does, while you move them.</p>
<ul>
<li><b>Your own picture</b>: open it, or drop it here, and draw a stroke on the object and one on the background.</li>
<li><b>Your own labels</b>: then open a label map (PNG) or probabilities (.npy) of the same size. A truth can be opened as well.</li>
<li><b>What the CRF sees</b>: click a point, and its kernels light up.</li>
</ul>
<p>Nothing leaves your computer: the page makes no request once it is there. You can save it and use it offline.</p>
<p><kbd>1</kbd>–<kbd>5</kbd> views &nbsp; <kbd>C</kbd> curtain &nbsp; <kbd>G</kbd> first guess &nbsp; <kbd>P</kbd> play &nbsp; <kbd>Z</kbd> undo &nbsp; <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom</p>`;

class Page {
  // data: {module, worker, presets, examples}
  constructor(root, { module, worker, presets, examples }) {
    theme(root);
    this.examples = examples;
    this.input = element("input", { type: "file", hidden: true, multiple: true, onchange: () => this.files([...this.input.files]) });
    const button = (text, title, onclick, className = "") => element("button", { type: "button", title, onclick, className }, text);
    this.menu = element(
      "select",
      { "aria-label": "Examples", onchange: () => this.example(examples[this.menu.value]) },
      examples.map(({ title }, i) => element("option", { value: i }, title)),
      element("option", { value: -1, hidden: true }, "Your picture"),
    );
    this.redraw = button("Draw labels", "Draw strokes in place of the labels", () => this.draw(this.opened));
    const about = element("dialog", { innerHTML: ABOUT });
    about.append(element("form", { method: "dialog" }, element("button", { className: "crf-primary" }, "Close")));
    const header = [
      this.menu,
      this.redraw,
      button("Open a picture …", "PNG, JPEG, WebP: it stays on this computer", () => this.input.click(), "crf-primary"),
      button("?", "What is this?", () => about.showModal()),
      this.input,
      about,
    ];
    this.asking = element("dialog", { "aria-label": "What is this picture?" });
    this.engine = new WorkerEngine(worker, module);
    this.explorer = new Explorer(root, this.engine, { header, presets });
    root.append(this.asking);
    document.addEventListener("keydown", (event) => event.target === document.body && press(this.explorer, event));
    this.drops(root);
  }

  drops(root) {
    const over = (on) => root.classList.toggle("crf-drop", on);
    root.addEventListener("dragover", (event) => (event.preventDefault(), over(true)));
    root.addEventListener("dragleave", (event) => event.relatedTarget || over(false));
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      this.files([...event.dataTransfer.files]);
    });
    root.addEventListener("paste", (event) => event.clipboardData?.files.length && this.files([...event.clipboardData.files]));
  }

  async start() {
    await this.explorer.try(async () => {
      await this.engine.ready;
      await this.example(this.examples[0]);
    });
  }

  files(files) {
    this.input.value = "";
    return this.explorer.try(async () => {
      for (const file of files) await this.file(file);
    });
  }

  async file(file) {
    const { opened } = this;
    if (/\.npy$/i.test(file.name)) {
      if (!opened) throw new Error(`${file.name}: open the picture first.`);
      const { probs, labels } = await readProbabilities(file, opened.width, opened.height);
      return this.show(opened, { labels, probs });
    }
    const picture = await readPicture(file, file.name);
    const fits = opened && this.menu.value === "-1" && picture.full.join() === opened.full.join();
    const use = fits ? await this.ask(file.name) : "picture";
    if (use === "picture") return this.draw(picture);
    const { map, labels } = asLabels(picture, opened.width, opened.height, file.name);
    if (use === "labels") return this.show(opened, { labels, map, confidence: CONFIDENCE });
    if (!this.source) throw new Error("Open labels or probabilities first, or draw: then a truth can be compared.");
    if (labels > this.source.labels) throw new Error(`${file.name}: expected labels 0 to ${this.source.labels - 1}. Received ${labels - 1} as well.`);
    return this.show(opened, { ...this.source, truth: map });
  }

  // What a second picture of the same size is.
  ask(name) {
    const options = { labels: "Labels to refine", truth: "The true labels", picture: "Another picture" };
    const buttons = Object.entries(options).map(([value, text]) => element("button", { value, className: "crf-button" }, text));
    const form = element("form", { method: "dialog" }, element("p", {}, `${name} is as large as the picture. What is it?`), element("div", { className: "crf-row crf-wrap" }, buttons));
    this.asking.replaceChildren(form);
    this.asking.returnValue = "picture";
    this.asking.showModal();
    return new Promise((resolve) => this.asking.addEventListener("close", () => resolve(this.asking.returnValue), { once: true }));
  }

  async example({ title, name, picture, labels, truth, confidence, names, parameters }) {
    this.explorer.close();
    const fetched = (address) => readPicture(blobOf(address), name);
    const opened = await fetched(picture);
    const { width, height } = opened;
    const choose = () => (this.menu.value = this.examples.findIndex((example) => example.title === title));
    if (!labels) return await this.draw(opened), choose();
    const source = asLabels(await fetched(labels), width, height, name);
    const known = truth && asLabels(await fetched(truth), width, height, name).map;
    await this.show(opened, { ...source, labels: names.length, confidence, names, truth: known, parameters });
    return choose();
  }

  async describe(opened, more) {
    const { width, height, data, grey } = opened;
    this.explorer.close();
    await this.engine.ask("open", { width, height, grey }, { picture: data });
    this.opened = opened;
    this.menu.value = "-1";
    const named = { image: `${opened.name}.png`, probs: `${opened.name}-probs.npy` };
    const note = `# in a shell: crfrnn refine ${named.image} ${named.probs} -o labels.png --parameters best.json\n`;
    return { name: opened.name, width, height, grey, spacing: [1, 1], unit: "px", high: 255, bytes: true, lossless: true, note: opened.note, python: { note }, ...more };
  }

  // Strokes.
  async draw(opened) {
    this.source = null;
    const labels = ["background", "object 1"];
    const parameters = { ...START, theta_alpha: Math.round(SHARE * Math.max(opened.width, opened.height)) };
    const found = await this.describe(opened, { labels, parameters, scribbles: true });
    this.redraw.hidden = true;
    this.explorer.open({ ...found, arrays: { picture: opened.data } });
    if (!opened.note) this.explorer.say("Draw a stroke on the object, and one on the background.");
  }

  // Labels, or probabilities, to refine.
  async show(opened, source) {
    const { labels, map, probs, confidence, truth } = source;
    const start = { ...START, theta_alpha: Math.round(SHARE * Math.max(opened.width, opened.height)) };
    const names = source.names ?? Array.from({ length: labels }, (_, l) => `label ${l}`);
    const given = { labels: names, parameters: source.parameters ?? start, startAtGuess: !source.parameters };
    const found = await this.describe(opened, given);
    if (map) await this.engine.ask("labelled", { labels, confidence }, { map });
    else await this.engine.ask("likely", {}, { probs });
    this.source = source;
    this.redraw.hidden = false;
    this.explorer.open({ ...found, arrays: { picture: opened.data, truth } });
  }
}

// A data: address as a file, without a request.
function blobOf(address) {
  const [, type, content] = address.match(/^data:([^;]+);base64,(.*)$/);
  return new Blob([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], { type });
}

// packed: the WebAssembly module, compressed, as text.
async function unpacked(packed) {
  const stream = blobOf(`data:application/gzip;base64,${packed}`).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
