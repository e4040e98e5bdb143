// The explorer: a picture, a CRF, and everything that shows what it does. Engines compute; see engine.js and remote.js.

import { choice, download, element, short, Slider } from "./elements.js";
import { labelMap, npy, parameterFile, picturePng, python } from "./exports.js";
import { changes, CHANGES, colour, heatStops, paintChanges, paintHeat, paintLabels } from "./paint.js";
import { History, scorer } from "./scores.js";
import { Stage } from "./stage.js";

const VIEWS = {
  labels: ["Labels", "The most likely labels over the picture (1)"],
  probability: ["Probability", "How likely one label is (2)"],
  entropy: ["Doubt", "Entropy: bright where the CRF is undecided (3)"],
  changes: ["Changes", "What the CRF has changed (4)"],
  sees: ["What the CRF sees", "Click a point: how strongly it speaks with every other (5)"],
};
const HELP = {
  theta_alpha: "How far apart like points support each other.",
  theta_beta: "How much points may differ to count as alike.",
  theta_gamma: "How far smoothing reaches, edge or not.",
  bilateral_weight: "How strongly like points speak. 0: not.",
  spatial_weight: "How strongly neighbours speak. 0: not.",
  num_iterations: "How often all points listen to each other.",
};
const TITLES = {
  theta_alpha: "Reach",
  theta_beta: "Contrast",
  theta_gamma: "Smoothing",
  bilateral_weight: "Likeness",
  spatial_weight: "Smoothness",
  num_iterations: "Iterations",
};
const QUICK = 60; // milliseconds that a picture may take while a slider moves
const STILL = 250; // milliseconds after which what moves has come to rest
const FIVE = Object.keys(TITLES).slice(0, 5);

export class Explorer {
  // engine.ask(method, options, arrays) answers with {..., arrays}; header: what stands at its right end.
  constructor(root, engine, { header = [], presets = {} } = {}) {
    Object.assign(this, { root, engine, presets, view: "labels", label: 1, opacity: 0.45, pointed: null, coarse: 1 });
    root.classList.add("crf-explorer");
    root.explorer = this; // for tests, and for the curious
    root.addEventListener("keydown", (event) => this.key(event));
    this.stage = new Stage({
      onpoint: (x, y) => this.pointAt(x, y),
      onstroke: () => this.changed("strokes"),
    });
    this.history = new History((setting) => this.use(setting));
    this.build(header);
    engine.onlost = (why) => this.say(why, "error");
  }

  // ---- The page ----

  build(header) {
    this.message = element("div", { className: "crf-message", role: "status", "aria-live": "polite" });
    this.views = choice("Show", VIEWS, (view) => this.show(view));
    this.labelChoice = element("select", {
      "aria-label": "Label whose probability is shown",
      onchange: () => ((this.label = Number(this.labelChoice.value)), this.ask()),
    });
    this.curtainButton = this.toggle("Curtain", "Before on the left, after on the right (C)", () => this.setCurtain());
    const fade = element("input", {
      ...{ type: "range", min: 5, max: 100, value: 100 * this.opacity, title: "Strength of the colours" },
      "aria-label": "Strength of the colours",
      oninput: (event) => ((this.opacity = event.target.value / 100), this.paint()),
    });
    this.scrubber = element("input", {
      ...{ type: "range", min: 0, "aria-label": "Iteration that is shown" },
      oninput: () => this.scrub(Number(this.scrubber.value)),
    });
    this.playButton = element("button", { type: "button", onclick: () => this.play(), title: "Play the iterations (P)" }, "▶");
    this.scrubText = element("output", { className: "crf-scrub" });
    this.caption = element("p", { className: "crf-caption" });
    this.volume = element("div", { className: "crf-row", hidden: true });
    this.sliders = {};
    this.presetChoice = element(
      "select",
      { "aria-label": "Settings of papers and libraries", onchange: () => this.usePreset(this.presetChoice.value) },
      element("option", { value: "" }, "Settings of papers …"),
      Object.keys(this.presets).map((name) => element("option", { value: name, title: this.presets[name].source }, name)),
    );
    this.guessButton = element(
      "button",
      { type: "button", disabled: true, title: "What is measured in the picture suggests (G)", onclick: () => this.useGuess() },
      "First guess",
    );
    this.reasons = element("p", { className: "crf-quiet" });
    this.sliderBox = element("div", { className: "crf-sliders" });
    this.numbers = element("div", { className: "crf-numbers" });
    this.code = element("pre", { tabIndex: 0, "aria-label": "The same in Python" });
    this.exports = element("div", { className: "crf-row crf-wrap" });
    this.drawing = element("section", { hidden: true, "aria-label": "Draw" });
    const section = (title, ...content) => element("section", {}, element("h2", {}, title), ...content);
    const why = { title: "What the CRF does here, in words (E)", onclick: () => this.explain() };
    const explain = element("button", { type: "button", ...why }, "Explain");
    this.explainBox = element("ul", { className: "crf-verdict" });
    this.main = element(
      "div",
      { className: "crf-main", hidden: true },
      element(
        "div",
        { className: "crf-left" },
        element("div", { className: "crf-row crf-wrap crf-bar" }, this.views.element, this.labelChoice, this.curtainButton, fade),
        this.stage.element,
        element("div", { className: "crf-row" }, this.playButton, this.scrubber, this.scrubText),
        this.volume,
        this.caption,
      ),
      element(
        "div",
        { className: "crf-right" },
        this.drawing,
        section("Settings", element("div", { className: "crf-row" }, this.presetChoice, this.guessButton), this.reasons, this.sliderBox),
        section("Result", this.numbers, this.history.element, explain, this.explainBox),
        section("Take it with you", this.exports, this.code),
      ),
    );
    const title = element("h1", {}, "crfrnn ", element("span", {}, "explorer"));
    this.root.replaceChildren(element("header", { className: "crf-header" }, title, ...header), element("div", { className: "crf-messages" }, this.message), this.main);
  }

  async explain() {
    this.explainBox.replaceChildren(element("li", { className: "crf-quiet" }, "Looking …"));
    const found = await this.try(() => this.engine.ask("diagnose", { parameters: this.parameters }));
    this.explainBox.replaceChildren(...(found?.sentences ?? []).map((text) => element("li", {}, text)));
  }

  toggle(text, title, onclick) {
    return element("button", { type: "button", title, onclick, "aria-pressed": "false" }, text);
  }

  say(text, kind = "note") {
    this.message.className = `crf-message crf-${kind}`;
    this.message.setAttribute("role", kind === "error" ? "alert" : "status");
    const close = element("button", { type: "button", "aria-label": "Close", onclick: () => this.say("") }, "×");
    this.message.replaceChildren(...(text ? [element("span", {}, text), close] : []));
  }

  async try(work) {
    try {
      return await work();
    } catch (error) {
      this.say(error.message || String(error), "error");
      return null;
    }
  }

  // ---- A picture ----

  // Until the next one is opened nothing is asked.
  close() {
    this.case = this.result = null;
  }

  // found: {width, height, spacing, unit, grey, labels: [names], high, parameters, names, volume, scribbles, arrays}
  open(found) {
    const { width, height, labels, arrays } = found;
    this.case = found;
    this.picture = new ImageData(new Uint8ClampedArray(arrays.picture), width, height);
    this.score = arrays.truth ? scorer(arrays.truth, labels.length, found) : null;
    this.guess = this.before = this.after = this.pointed = this.shownSetting = this.beforeView = this.heat = null;
    this.count = labels.length;
    this.main.hidden = false;
    this.say(found.note ?? "");
    this.makeSliders();
    this.parameters = { ...found.parameters };
    this.history.clear(Boolean(this.score));
    this.explainBox.replaceChildren();
    this.stage.open(width, height);
    this.setLabels(labels);
    this.views.show("changes", !found.scribbles);
    this.curtainButton.hidden = Boolean(found.scribbles);
    this.stage.setCurtain(null);
    this.stage.pen = null;
    this.drawing.hidden = !found.scribbles;
    if (found.scribbles) this.buildDrawing();
    this.buildVolume();
    this.buildExports();
    this.show("labels");
    this.use(this.parameters);
    if (found.scribbles) this.paint();
  }

  setLabels(labels) {
    this.case.labels = labels;
    this.count = labels.length;
    this.label = Math.min(Math.max(1, this.label), labels.length - 1);
    this.labelChoice.replaceChildren(...labels.map((name, l) => element("option", { value: l }, name)));
    this.labelChoice.value = this.label;
  }

  makeSliders() {
    const { unit, high, width, height, spacing } = this.case;
    const side = Math.min(...spacing);
    const most = side * Math.max(width, height);
    const ranges = {
      theta_alpha: { low: 0.5 * side, high: most, unit },
      theta_beta: { low: high / 1000, high: 4 * high, unit: this.case.bytes ? "grey levels" : "intensity" },
      theta_gamma: { low: 0.3 * side, high: most / 4, unit },
      bilateral_weight: { low: 0.05, high: 50, unit: "", zero: true },
      spatial_weight: { low: 0.05, high: 50, unit: "", zero: true },
      num_iterations: { low: 1, high: 30, unit: "", whole: true },
    };
    for (const [name, range] of Object.entries(ranges)) {
      this.sliders[name] = new Slider({
        ...{ name, title: TITLES[name], help: HELP[name], ...range },
        onmove: (_, value) => ((this.parameters = { ...this.parameters, [name]: value }), this.changed("parameters")),
        onrest: () => this.rest(),
      });
    }
    this.sliderBox.replaceChildren(...Object.values(this.sliders).map((slider) => slider.element));
  }

  buildVolume() {
    const { volume } = this.case;
    this.volume.hidden = !volume;
    if (!volume) return;
    const turn = (axis, index) => this.try(async () => this.open(await this.engine.ask("slice", { axis, index, parameters: this.parameters })));
    const axes = element(
      "select",
      { "aria-label": "Axis of the slices", onchange: (event) => turn(Number(event.target.value), null) },
      volume.sizes.map((size, axis) => element("option", { value: axis, selected: axis === volume.axis }, `axis ${axis}: ${size}`)),
    );
    const most = volume.sizes[volume.axis] - 1;
    const place = { type: "range", min: 0, max: most, value: volume.index, "aria-label": "Slice" };
    const text = element("output", { className: "crf-scrub" }, `slice ${volume.index} of 0–${most}`);
    const slide = element("input", { ...place, onchange: () => turn(volume.axis, Number(slide.value)) });
    this.volume.replaceChildren(axes, slide, text);
  }

  // ---- Settings ----

  use(setting) {
    this.parameters = { ...this.parameters, ...setting };
    for (const [name, slider] of Object.entries(this.sliders)) slider.set(this.parameters[name]);
    this.changed("parameters");
    this.rest();
  }
  useGuess() {
    if (this.guess) this.use(this.guess);
  }
  usePreset(name) {
    if (!name) return;
    const { parameters, intensities, source } = this.presets[name];
    this.use({ ...parameters, theta_beta: (parameters.theta_beta * this.case.high) / intensities });
    this.reasons.textContent = `${name}: ${source}.`;
    this.presetChoice.value = "";
  }
  // A setting was left alone: what it gives joins the history.
  rest() {
    this.rested = true;
    this.finish();
    if (!this.busy) this.remember();
  }
  remember() {
    if (!this.rested || !this.result || this.shownSetting !== JSON.stringify(this.parameters)) return;
    this.rested = false;
    const title = FIVE.map((name) => `${name} ${short(this.parameters[name])}`).join(", ");
    const { scores, changed } = this.result;
    this.history.add(scores ? scores.meanDice : 100 * changed, title, this.parameters);
  }

  // ---- Asking the engine: one question at a time, always the latest ----

  changed(what) {
    if (!this.case) return;
    // While something moves, and a whole picture takes too long, every second or fourth point has to do.
    this.coarse = this.cost > 4 * QUICK ? 4 : this.cost > QUICK ? 2 : 1;
    clearTimeout(this.still);
    this.still = setTimeout(() => this.finish(), STILL);
    if (what === "parameters") {
      this.iteration = this.parameters.num_iterations;
      this.writeCode();
    }
    if (what === "strokes") this.strokesChanged = true;
    this.ask();
  }
  finish() {
    clearTimeout(this.still);
    if (this.coarse === 1) return;
    this.coarse = 1;
    this.ask();
  }
  scrub(iteration) {
    this.iteration = iteration;
    this.ask();
  }

  async ask() {
    this.asked = performance.now();
    this.again = true;
    if (this.busy) return;
    this.busy = true;
    while (this.again) {
      this.again = false;
      const since = this.asked;
      if (!(await this.try(() => this.round(since)))) break;
    }
    this.busy = this.again = false;
    this.remember();
  }

  async round(since) {
    const now = this.case;
    if (!now) return true;
    const began = performance.now();
    if (this.strokesChanged) {
      this.strokesChanged = false;
      if (!(await this.learn())) return true;
    }
    if (now.scribbles && !this.learned) return this.paint(), true;
    if (!this.before) {
      this.before = await this.engine.ask("refine", { parameters: this.parameters, iterations: 0, view: "labels" });
      this.scoreBefore = this.score?.(this.before.arrays.labels);
    }
    const view = ["probability", "entropy"].includes(this.view) ? this.view : "labels";
    const iterations = Math.min(this.iteration, this.parameters.num_iterations);
    const setting = JSON.stringify(this.parameters);
    const { coarse } = this;
    const result = await this.engine.ask("refine", { parameters: this.parameters, iterations, view, label: this.label, coarse });
    if (view !== "labels" && (this.beforeView !== view + this.label || now.scribbles)) {
      this.before.layer = (await this.engine.ask("refine", { ...{ parameters: this.parameters, iterations: 0, view }, label: this.label })).arrays.layer;
      this.beforeView = view + this.label;
    }
    if (this.view === "sees" && this.pointed) {
      this.heat = (await this.engine.ask("see", { parameters: this.parameters, point: this.pointed })).arrays;
    }
    if (now !== this.case) return ((this.before = null), true);
    this.after = result;
    this.result = { ...result, scores: this.score?.(result.arrays.labels) };
    this.result.changes = changes(this.before.arrays.labels, result.arrays.labels, now.arrays.truth);
    this.result.changed = this.result.changes.reduce((sum, c) => sum + (c ? 1 : 0), 0) / this.result.changes.length;
    this.shownSetting = iterations === this.parameters.num_iterations && coarse === 1 ? setting : null;
    this.paint();
    this.writeNumbers();
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    const detail = { ms: performance.now() - since, iterations, coarse, labels: result.arrays.labels };
    if (coarse === 1) this.cost = performance.now() - began;
    this.root.dispatchEvent(new CustomEvent("painted", { detail, bubbles: true }));
    if (!this.guess && !this.again && coarse === 1) this.findGuess(now);
    return true;
  }

  async findGuess(now) {
    this.guess = {};
    const found = await this.try(() => this.engine.ask("guess", {}));
    if (!found || now !== this.case) return;
    this.guess = found.parameters;
    this.guessButton.disabled = false;
    this.reasons.textContent = found.reasons;
    for (const [name, slider] of Object.entries(this.sliders)) slider.setGuess(this.guess[name]);
    if (this.case.startAtGuess && found.parameters.bilateral_weight > 0) this.useGuess();
  }

  // ---- What is seen ----

  show(view) {
    this.view = view;
    this.views.set(view);
    this.labelChoice.hidden = view !== "probability";
    this.root.dataset.view = view;
    if (view === "sees" && this.case && !this.pointed) this.say("Click a point of the picture to see which points it listens to.");
    if (this.parameters) this.ask();
  }

  setCurtain(on = this.stage.curtain === null) {
    this.stage.setCurtain(on ? 0.5 : null);
    this.curtainButton.setAttribute("aria-pressed", String(on));
  }

  pointAt(x, y) {
    this.pointed = [x, y];
    this.stage.point = this.pointed;
    this.say("");
    if (this.view === "sees") this.ask();
    else this.show("sees");
  }

  paint() {
    if (!this.case) return;
    const { picture, before, after, opacity } = this;
    this.stage.point = this.view === "sees" ? this.pointed : null;
    if (!after || !before) return this.stage.paint(picture, picture);
    const shown = {
      labels: () => [before, after].map((found) => paintLabels(picture, found.arrays.labels, opacity)),
      probability: () => [before.layer, after.arrays.layer].map((layer) => (layer ? paintHeat(picture, layer) : picture)),
      entropy: () => [before.layer, after.arrays.layer].map((layer) => (layer ? paintHeat(picture, layer) : picture)),
      changes: () => [picture, paintChanges(picture, this.result.changes)],
      sees: () => (this.heat ? [this.heat.spatial, this.heat.bilateral].map((h) => paintHeat(picture, h, true)) : [picture, picture]),
    };
    this.stage.paint(...shown[this.view]());
    this.writeCaption();
  }

  writeCaption() {
    const { labels } = this.case;
    const key = (text, fill) => element("span", { className: "crf-key" }, element("i", { style: `background:${fill}` }), text);
    const heat = (low, high) => [low, element("i", { className: "crf-heat", style: `background:linear-gradient(90deg, ${heatStops})` }), high];
    const content = {
      labels: () => labels.map((name, l) => (l ? key(name, colour(l)) : null)),
      probability: () => heat("0 %", "100 %"),
      entropy: () => heat("sure", "undecided"),
      changes: () =>
        this.score
          ? [key("mended", CHANGES.mended), key("broken", CHANGES.broken), key("wrong before and after", CHANGES.changed)]
          : [key("changed", CHANGES.changed)],
      sees: () => heat("deaf", "listens"),
    }[this.view]();
    this.caption.replaceChildren(...content.filter(Boolean));
    const most = this.parameters.num_iterations;
    const at = Math.min(this.iteration, most);
    this.scrubber.max = most;
    this.scrubber.value = at;
    this.scrubText.textContent = at ? `after ${at} of ${most}` : "before the CRF";
    const changed = `${(100 * this.result.changed).toFixed(2)} % of the points changed`;
    this.stage.canvas.setAttribute("aria-label", `${VIEWS[this.view][0]} of a picture of ${this.case.width} by ${this.case.height} points, ${this.scrubText.textContent}: ${changed}`);
  }

  writeNumbers() {
    const { scores, changed, entropy } = this.result;
    const card = (title, value, more = "") => element("div", {}, element("b", {}, value), element("span", {}, title), element("small", {}, more));
    const percents = (value) => (Number.isNaN(value) ? "–" : `${value.toFixed(1)} %`);
    const gain = (after, before) => (Number.isNaN(after - before) ? "" : `${after >= before ? "+" : "−"}${Math.abs(after - before).toFixed(1)} from ${before.toFixed(1)}`);
    const cards = [card("changed", `${(100 * changed).toFixed(2)} %`), card("doubt", entropy.toFixed(3), "mean entropy, nats")];
    if (scores) {
      cards.unshift(
        card("Dice", percents(scores.meanDice), gain(scores.meanDice, this.scoreBefore.meanDice)),
        card("Dice at boundaries", percents(scores.meanBoundary), gain(scores.meanBoundary, this.scoreBefore.meanBoundary)),
      );
    }
    const rows = (scores?.dice ?? []).map((value, l) =>
      l ? element("tr", {}, element("th", { scope: "row" }, this.case.labels[l]), element("td", {}, percents(value)), element("td", {}, percents(scores.boundary[l]))) : null,
    );
    const head = ["label", "Dice", "at boundaries"].map((text) => element("th", { scope: "col" }, text));
    const table = scores ? element("details", {}, element("summary", {}, "Each label"), element("table", {}, element("tr", {}, head), rows)) : null;
    if (table) table.open = this.numbers.querySelector("details")?.open ?? false;
    this.numbers.replaceChildren(element("div", { className: "crf-cards" }, cards), ...(table ? [table] : []));
  }

  play() {
    clearInterval(this.playing);
    this.iteration = 0;
    this.ask();
    this.playing = setInterval(() => {
      if (this.iteration >= this.parameters.num_iterations) return clearInterval(this.playing);
      this.scrub(this.iteration + 1);
    }, 450);
  }

  // ---- Drawing ----

  buildDrawing() {
    this.learned = false;
    this.pen = { label: 1, radius: 8 };
    this.penButtons = element("div", { className: "crf-row crf-wrap", role: "radiogroup", "aria-label": "Pen" });
    const size = element("input", { type: "range", min: 2, max: 40, value: this.pen.radius, "aria-label": "Size of the pen", title: "Size of the pen", oninput: () => (this.pen.radius = Number(size.value)) });
    const button = (text, title, onclick) => element("button", { type: "button", title, onclick }, text);
    this.drawing.replaceChildren(
      element("h2", {}, "Draw"),
      element("p", { className: "crf-hint" }, "Draw a stroke on the object, and one on the background. Mend the mask with more strokes where it is wrong."),
      this.penButtons,
      element("div", { className: "crf-row" }, size, button("Undo", "Undo the last stroke (Z)", () => this.stage.undo()), button("Clear", "Take all strokes away", () => this.stage.clearStrokes())),
    );
    this.buildPens();
  }

  buildPens() {
    const pick = (label) => {
      this.pen.label = label;
      this.stage.pen = label === null ? null : this.pen;
      this.buildPens();
    };
    const pen = (text, label, fill, title) => {
      const chosen = label === null ? !this.stage.pen : Boolean(this.stage.pen) && this.pen.label === label;
      const properties = { type: "button", role: "radio", "aria-checked": String(chosen), title, onclick: () => pick(label) };
      return element("button", properties, fill ? element("i", { style: `background:${fill}` }) : null, text);
    };
    if (this.stage.pen === null && !this.pensBuilt) this.stage.pen = this.pen;
    this.pensBuilt = true;
    const add = () => {
      this.setLabels([...this.case.labels, `object ${this.count}`]);
      pick(this.count - 1);
    };
    this.penButtons.replaceChildren(
      ...this.case.labels.map((name, l) => pen(name, l, colour(l), `Draw ${name}`)),
      pen("eraser", -1, null, "Take strokes away"),
      pen("move", null, null, "Move and point, do not draw"),
      element("button", { type: "button", title: "One more kind of object", onclick: add }, "+"),
    );
  }

  // Strokes become probabilities; false where there are too few.
  async learn() {
    const used = new Set(this.stage.strokes.labels);
    used.delete(0);
    this.before = null;
    this.beforeView = null;
    this.learned = used.size > 1;
    if (!this.learned) {
      this.after = this.result = null;
      const [one] = used;
      const other = one === undefined ? "" : this.case.labels[one === 1 ? 1 : 0];
      this.say(used.size ? `Now draw a stroke on the ${other}: a mask needs two labels.` : "Draw a stroke on the object, and one on the background.");
      this.paint();
      return false;
    }
    await this.engine.ask("learn", { labels: this.count }, { strokes: this.stage.strokes.labels });
    this.say("");
    return true;
  }

  // ---- Taking it away ----

  writeCode() {
    this.code.textContent = python(this.parameters, this.case.python ?? {});
  }

  buildExports() {
    const name = this.case.name ?? "picture";
    const { width, height } = this.case;
    const button = (text, title, work) => element("button", { type: "button", title, onclick: () => this.try(work) }, text);
    const needed = () => {
      if (!this.after) throw new Error("There is no result yet: draw strokes, or open labels.");
    };
    const all = { parameters: this.parameters, iterations: 0, view: "labels" };
    const buttons = [
      button("Label map", "The labels as a PNG, whose values are the classes", async () => {
        needed();
        const found = await this.engine.ask("refine", { ...all, parameters: this.parameters, iterations: this.parameters.num_iterations });
        download(`${name}-labels.png`, await labelMap(found.arrays.labels, width, height, this.count));
      }),
      button("best.json", "The settings, for crfrnn refine --parameters", async () => {
        download("best.json", new Blob([parameterFile(this.parameters, this.case.workflow)], { type: "application/json" }));
      }),
      button("Probabilities", "What the CRF starts from, for crfrnn refine: a .npy file", async () => {
        needed();
        const { arrays } = await this.engine.ask("probabilities", {});
        download(`${name}-probs.npy`, npy(arrays.probs, [height, width, this.count]));
      }),
      this.case.lossless && button("Picture", "The picture as the CRF sees it, without losses", async () => download(`${name}.png`, await picturePng(this.picture, this.case.grey))),
      button("Copy Python", "The line below, to paste", async () => {
        await navigator.clipboard.writeText(this.code.textContent);
        this.say("Copied.");
      }),
      ...(this.case.saves ?? []).map(([text, title, method]) => button(text, title, async () => this.say((await this.engine.ask(method, { parameters: this.parameters })).note))),
    ];
    this.exports.replaceChildren(...buttons.filter(Boolean));
  }

  key(event) {
    const typing = event.target.matches("input[type=number], select, textarea") || event.ctrlKey || event.metaKey || event.altKey;
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) return this.stage.undo();
    if (typing || !this.case) return undefined;
    const views = Object.keys(VIEWS);
    const keys = {
      c: () => this.curtainButton.hidden || this.setCurtain(),
      g: () => this.useGuess(),
      p: () => this.play(),
      e: () => this.explain(),
      z: () => this.stage.undo(),
      ...Object.fromEntries(views.map((view, i) => [i + 1, () => this.show(view)])),
    };
    return keys[event.key.toLowerCase()]?.();
  }
}
