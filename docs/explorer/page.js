// The page: opens pictures and examples, and hands them to the explorer.

import { Explorer } from "./app.js";
import { element, theme } from "./elements.js";
import { labelAxis, readArray } from "./arrays.js";
import { WorkerEngine } from "./engine.js";
import { asLabels, MOST_POINTS, readPicture } from "./files.js";
import { press } from "./keys.js";
import { classes, likelihoods, looks, Volume } from "./volumes.js";

const CONFIDENCE = 0.7; // of labels of which nothing else is known, as in probs_from_labels
const START = { theta_gamma: 3, bilateral_weight: 10, spatial_weight: 3, num_iterations: 5, normalization: "symmetric" };
const SHARE = 0.1; // theta_alpha of a picture of which nothing is known, of its longer side
const FEW = 4; // an axis as short as this has channels or labels, not slices

const ABOUT = `
<h2>What is this?</h2>
<p>A dense conditional random field (CRF) moves the labels of an image to the edges that the image shows. Here you see what each of its settings does, while you move them.</p>
<ul>
<li><b>Your own picture</b>: open it, or drop it here, and draw a stroke on the object and one on the background.</li>
<li><b>Your own labels</b>: then open a label map (PNG) or probabilities (.npy) of the same size. A truth can be opened as well.</li>
<li><b>Your own volume</b>: open a NIfTI file or an array (.npy) of three axes. Each slice is refined by itself.</li>
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
      button("Open a picture …", "PNG, JPEG, WebP, or a volume as NIfTI or .npy: it stays on this computer", () => this.input.click(), "crf-primary"),
      button("?", "What is this?", () => about.showModal()),
      this.input,
      about,
    ];
    this.asking = element("dialog", { "aria-label": "What is this picture?" });
    this.engine = new WorkerEngine(worker, module);
    this.last = Promise.resolve();
    this.engine.own = { slice: (options) => this.slice(options) };
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
    if (/\.(npy|nii|nii\.gz)$/i.test(file.name)) return this.array(await readArray(file));
    const { opened } = this;
    const picture = await readPicture(file, file.name);
    const fits = opened?.full && this.menu.value === "-1" && picture.full.join() === opened.full.join();
    const use = fits ? await this.ask(file.name, ["labels", "truth", "picture"]) : "picture";
    if (use === "picture") return this.draw(picture);
    const { map, labels } = asLabels(picture, opened.width, opened.height, file.name);
    return this.belongs(use, { labels, map: () => map }, file.name);
  }

  // What belongs to the points of the picture or volume, or else a volume.
  async array(array) {
    const { opened } = this;
    const { file, shape, spacing } = array;
    const isVolume = spacing && shape.length === 3 && opened?.grid.length === 2; // nobody keeps a picture's labels so
    const axis = opened && !isVolume ? labelAxis(shape, opened.grid) : undefined;
    if (axis === undefined) {
      if (shape.length === 3 && (spacing || Math.min(shape[0], shape[2]) > FEW)) return this.draw(new Volume(array, MOST_POINTS).slice());
      const grid = opened ? opened.grid.join(", ") : "H, W";
      throw new Error(
        `${file}: expected a volume of 3 axes, each longer than ${FEW}, or, of what is open, probabilities of shape (${grid}, L) or ` +
          `(L, ${grid}), or labels of shape (${grid}). Received shape (${shape.join(", ")}).`,
      );
    }
    if (axis !== null) return this.belongs("probs", likelihoods(array, axis), file);
    const { isWhole, isShare } = looks(array);
    const uses = [...(isWhole ? ["labels", "truth"] : []), ...(isShare || array.bytes ? ["probs"] : []), ...(shape.length === 3 ? ["picture"] : [])];
    if (!uses.length) throw new Error(`${file}: expected labels, whole numbers, or probabilities of label 1, 0 to 1. Received other numbers.`);
    const use = uses.length > 1 ? await this.ask(file, uses) : uses[0];
    if (use === "picture") return this.draw(new Volume(array, MOST_POINTS).slice());
    return this.belongs(use, use === "probs" ? likelihoods(array, null) : classes(array), file);
  }

  // Labels, probabilities or a truth of what is open: {labels: how many, map or probs: functions of a picture}.
  belongs(use, found, name) {
    if (use === "probs") return this.show(this.same(() => ({ source: found })));
    if (use === "labels") return this.show(this.same(() => ({ source: { ...found, confidence: CONFIDENCE } })));
    const { source } = this;
    if (!source) throw new Error("Open labels or probabilities first: then a truth can be compared.");
    if (found.labels > source.labels) throw new Error(`${name}: expected labels 0 to ${source.labels - 1}. Received ${found.labels - 1} as well.`);
    return this.show(this.same(() => ({ source: { ...source, truth: found.map } })));
  }

  // What a second file of the same size is.
  ask(name, uses) {
    const texts = { labels: "Labels to refine", truth: "The true labels", probs: "Probabilities of label 1", picture: "Another picture" };
    const buttons = uses.map((use) => element("button", { value: use, className: "crf-button" }, texts[use]));
    const form = element("form", { method: "dialog" }, element("p", {}, `${name} is as large as the picture. What is it?`), element("div", { className: "crf-row crf-wrap" }, buttons));
    this.asking.replaceChildren(form);
    this.asking.returnValue = uses[uses.length - 1];
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
    const more = { confidence, names, truth: known && (() => known), parameters };
    await this.show(() => ({ opened, source: { ...more, labels: names.length, map: () => source.map } }));
    return choose();
  }

  // Opens a picture, or a slice, in the engine and the page, one at a time. what: asked when its turn comes for {opened,
  // source: what it starts from; null: strokes}, or null: it is not wanted any more. more: of the case that the page opens.
  show(what, more = {}) {
    const next = async () => {
      const found = what();
      if (found) this.explorer.open({ ...(await this.described(found.opened, found.source)), ...more });
    };
    return (this.last = this.last.then(next, next));
  }
  // Another part or source of what is open now, as it is when its turn comes; not of what was opened in between.
  same(change) {
    const whole = () => this.opened.stack ?? this.opened;
    const now = whole();
    return () => (whole() === now ? { opened: this.opened, source: this.source, ...change() } : null);
  }
  async described(opened, source) {
    const { width, height, data, values, grey, spacing, unit, high, bytes, cut } = opened;
    const probs = source?.probs?.(opened);
    const map = source?.map?.(opened);
    const truth = source?.truth?.(opened);
    this.explorer.close();
    await this.engine.ask("open", { width, height, grey, spacing }, { picture: data, ...(values && { values }) });
    if (map) await this.engine.ask("labelled", { labels: source.labels, confidence: source.confidence }, { map });
    if (probs) await this.engine.ask("likely", {}, { probs });
    Object.assign(this, { opened, source });
    this.menu.value = "-1";
    this.redraw.hidden = !source;
    const theta_alpha = Number((SHARE * Math.max(height * spacing[0], width * spacing[1])).toPrecision(2));
    const named = source ? Array.from({ length: source.labels }, (_, l) => `label ${l}`) : ["background", "object 1"];
    const isWhole = Boolean(cut && source); // what is saved is for all slices of a volume
    const files = isWhole ? `${opened.file} PROBS` : `${opened.name}.${cut ? "npy" : "png"} ${opened.name}-probs.npy`;
    const output = isWhole ? (opened.hasSpacing ? "labels.nii.gz" : "labels.npy") : "labels.png";
    const note = `# in a shell: crfrnn refine ${files} -o ${output} --parameters best.json\n`;
    return {
      ...{ name: opened.name, width, height, grey, spacing, unit, high, bytes, lossless: true, note: opened.note, values },
      ...{ labels: source?.names ?? named, scribbles: !source, startAtGuess: source !== null && !source.parameters },
      parameters: source?.parameters ?? { ...START, theta_alpha, theta_beta: Number(((13 / 255) * high).toPrecision(3)) },
      volume: cut && { sizes: opened.grid, ...cut },
      workflow: isWhole ? { slice_axis: cut.axis } : opened.hasSpacing ? { spacing } : {},
      python: { note, spacing: opened.hasSpacing ? spacing : null },
      arrays: { picture: data, truth },
    };
  }

  // Strokes.
  async draw(opened) {
    await this.show(() => ({ opened, source: null }));
    if (!opened.note) this.explorer.say("Draw a stroke on the object, and one on the background.");
  }

  // Another slice of the volume, with the settings of this one.
  slice({ axis, index, parameters }) {
    const cut = () => ({ opened: this.opened.stack.slice(axis, index) });
    return this.show(this.same(cut), { parameters, startAtGuess: false });
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
