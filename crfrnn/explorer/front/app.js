// The explorer: a picture, a CRF, and everything that shows what it does. Engines compute: docs/explorer/engine.js in
// the page, remote.js where there is Python.

import { Drawing } from "./drawing.js";
import { element, short } from "./elements.js";
import { python } from "./exports.js";
import { press } from "./keys.js";
import { layOut } from "./layout.js";
import { changes, paintChanges, paintHeat, paintLabels } from "./paint.js";
import { makeSliders, makeVolume } from "./opening.js";
import { cards, eachLabel, legend } from "./results.js";
import { History, scorer } from "./scores.js";
import { Stage } from "./stage.js";
import { saving } from "./takeaway.js";
import { SETTINGS, VIEWS } from "./words.js";

const QUICK = 60; // milliseconds that a picture may take while a slider moves
const STILL = 250; // milliseconds after which what moves has come to rest

export class Explorer {
  // engine.ask(method, options, arrays) answers with {..., arrays}; header: what stands at its right end.
  constructor(root, engine, { header = [], presets = {} } = {}) {
    Object.assign(this, { root, engine, presets, view: "labels", label: 1, opacity: 0.45, coarse: 1, sliders: {} });
    root.classList.add("crf-explorer");
    root.explorer = this; // for tests, and for the curious
    root.addEventListener("keydown", (event) => press(this, event));
    this.stage = new Stage({
      onpoint: (x, y) => this.pointAt(x, y),
      onstroke: () => ((this.strokesChanged = true), this.changed()),
    });
    this.history = new History((setting) => this.use(setting));
    this.drawing = new Drawing(this);
    layOut(this, header);
    engine.onlost = (why) => this.say(why, "error");
  }

  say(text, kind = "note") {
    this.message.className = `crf-message crf-${kind}`;
    this.message.setAttribute("role", kind === "error" ? "alert" : "status");
    const close = element("button", { type: "button", "aria-label": "Close", onclick: () => this.say("") }, "×");
    this.message.replaceChildren(...(text ? [element("span", {}, text), close] : []));
  }

  // What goes wrong is said in the page; null then.
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

  // found: {width, height, spacing, unit, labels: [names], high: range of intensities, parameters, scribbles: whether
  // labels are drawn, arrays: {picture: RGBA, truth}}, and optionally grey, bytes, lossless, values, name, note, volume,
  // workflow, python, saves, startAtGuess.
  open(found) {
    const { width, height, labels, arrays, scribbles } = found;
    this.case = found;
    this.picture = new ImageData(new Uint8ClampedArray(arrays.picture), width, height);
    this.score = arrays.truth ? scorer(arrays.truth, labels.length, found) : null;
    this.forget();
    this.guess = this.pointed = this.heat = null;
    this.guessButton.disabled = true;
    for (const part of [this.verdict, this.numbers, this.caption, this.reasons, this.scrubText]) part.replaceChildren();
    this.main.hidden = false;
    this.say(found.note ?? "");
    makeSliders(this);
    this.parameters = { ...found.parameters };
    this.iteration = this.parameters.num_iterations;
    this.history.clear(Boolean(this.score));
    this.stage.open(width, height);
    this.setLabels(labels);
    this.views.show("changes", !scribbles);
    this.curtainButton.hidden = Boolean(scribbles);
    this.setCurtain(false);
    this.drawing.open(Boolean(scribbles));
    makeVolume(this);
    this.exports.replaceChildren(...saving(this));
    this.show("labels");
    this.use(this.parameters);
    this.paint();
  }

  forget() {
    this.before = this.beforeView = this.after = this.result = this.shownSetting = null;
  }

  setLabels(labels) {
    this.case.labels = labels;
    this.label = Math.min(Math.max(1, this.label), labels.length - 1);
    this.labelChoice.replaceChildren(...labels.map((name, l) => element("option", { value: l }, name)));
    this.labelChoice.value = this.label;
  }

  // ---- Settings ----

  use(setting) {
    this.settingChanged(setting);
    for (const [name, slider] of Object.entries(this.sliders)) slider.set(this.parameters[name]);
    this.rest();
  }
  useGuess() {
    if (this.guess?.theta_alpha) this.use(this.guess);
  }
  usePreset(name) {
    if (!name || !this.case) return;
    const { parameters, intensities, source } = this.presets[name];
    this.use({ ...parameters, theta_beta: (parameters.theta_beta * this.case.high) / intensities });
    this.reasons.textContent = `${name}: ${source}.`;
    this.presetChoice.value = "";
  }
  settingChanged(setting) {
    this.parameters = { ...this.parameters, ...setting };
    if (!this.case) return;
    this.iteration = this.parameters.num_iterations;
    this.code.textContent = python(this.parameters, this.case.python ?? {});
    this.changed();
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
    const names = Object.keys(SETTINGS);
    const title = names.map((name) => `${name} ${short(this.parameters[name])}`).join(", ");
    const { scores, changed, entropy } = this.result;
    this.history.add(scores?.meanDice ?? (changed === null ? entropy : 100 * changed), title, this.parameters);
  }

  // ---- Asking the engine: one question at a time, always the latest ----

  changed() {
    if (!this.case) return;
    // While something moves, and a whole picture takes too long, every second or fourth point has to do.
    this.coarse = this.cost > 4 * QUICK ? 4 : this.cost > QUICK ? 2 : 1;
    clearTimeout(this.still);
    this.still = setTimeout(() => this.finish(), STILL);
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

  // One question, answered and painted; true unless something went wrong.
  async round(since) {
    const now = this.case;
    if (!now) return true;
    const began = performance.now();
    if (this.strokesChanged) {
      this.strokesChanged = false;
      this.before = this.beforeView = null;
      if (!(await this.drawing.learn())) this.forget();
    }
    if (now.scribbles && !this.drawing.learned) return (this.paint(), true);
    const { coarse, parameters } = this;
    const iterations = Math.min(this.iteration, parameters.num_iterations);
    const layered = ["probability", "entropy"].includes(this.view);
    const asked = { parameters, view: layered ? this.view : "labels", label: this.label };
    const view = `${asked.view} ${this.label}`;
    if (!now.scribbles && (!this.before || (layered && this.beforeView !== view))) {
      const before = await this.engine.ask("refine", { ...asked, iterations: 0 });
      Object.assign(this, { before, beforeView: view, scoreBefore: this.score?.(before.arrays.labels) });
    }
    const result = await this.engine.ask("refine", { ...asked, iterations, coarse });
    if (this.view === "sees" && this.pointed) {
      this.heat = (await this.engine.ask("see", { parameters, point: this.pointed })).arrays;
    }
    if (now !== this.case) return (this.forget(), true);
    if (now.scribbles) this.before = result; // strokes have no labels of before that anybody had seen
    this.take(result);
    this.shownSetting = iterations === parameters.num_iterations && coarse === 1 ? JSON.stringify(parameters) : null;
    this.paint();
    this.writeNumbers(iterations);
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    if (coarse === 1) this.cost = performance.now() - began;
    const detail = { ms: performance.now() - since, iterations, coarse, labels: result.arrays.labels };
    this.root.dispatchEvent(new CustomEvent("painted", { detail, bubbles: true }));
    if (!this.guess && !this.again && coarse === 1) this.findGuess(now);
    return true;
  }

  take(result) {
    const { labels } = result.arrays;
    const { codes, count } = changes(this.before.arrays.labels, labels, this.case.arrays.truth);
    const changed = this.case.scribbles ? null : count / codes.length;
    this.after = result;
    this.result = { entropy: result.entropy, changes: codes, changed, scores: this.score?.(labels) };
  }

  async findGuess(now) {
    this.guess = {};
    const found = await this.try(() => this.engine.ask("guess", {}));
    if (!found || now !== this.case) return;
    this.guess = found.parameters;
    this.guessButton.disabled = false;
    this.reasons.textContent = found.reasons;
    for (const [name, slider] of Object.entries(this.sliders)) slider.setGuess(this.guess[name]);
    if (this.case.startAtGuess && this.guess.bilateral_weight > 0) this.useGuess();
  }

  async explain() {
    this.verdict.replaceChildren(element("li", { className: "crf-quiet" }, "Looking …"));
    const found = await this.try(() => this.engine.ask("diagnose", { parameters: this.parameters }));
    this.verdict.replaceChildren(...(found?.sentences ?? []).map((text) => element("li", {}, text)));
  }

  // ---- What is seen ----

  show(view) {
    this.view = view;
    this.views.set(view);
    this.labelChoice.hidden = view !== "probability";
    if (view === "sees" && !this.pointed) this.say("Click a point of the picture to see which points it listens to.");
    if (this.parameters) this.ask();
  }

  setCurtain(on = this.stage.curtain === null) {
    this.curtainButton.setAttribute("aria-pressed", String(on));
    this.stage.setCurtain(on ? 0.5 : null);
    this.paint();
  }

  pointAt(x, y) {
    this.pointed = [x, y];
    this.say("");
    this.show("sees");
  }

  paint() {
    if (!this.case) return;
    const { picture, before, after, heat, opacity, stage } = this;
    const sees = this.view === "sees";
    stage.point = sees ? this.pointed : null;
    stage.sides = sees ? ["smoothing", "likeness"] : ["before", "after"];
    if (!after || !before) return stage.paint(picture, picture);
    const two = (paint) => [stage.curtain === null ? picture : paint(before.arrays), paint(after.arrays)];
    const layer = () => two((arrays) => (arrays.layer ? paintHeat(picture, arrays.layer) : picture));
    const shown = {
      labels: () => two((arrays) => paintLabels(picture, arrays.labels, opacity)),
      probability: layer,
      entropy: layer,
      changes: () => [picture, paintChanges(picture, this.result.changes)],
      sees: () => ["spatial", "bilateral"].map((name) => (heat ? paintHeat(picture, heat[name], true) : picture)),
    };
    stage.paint(...shown[this.view]());
  }

  writeNumbers(iterations) {
    const { labels, width, height } = this.case;
    const most = this.parameters.num_iterations;
    Object.assign(this.scrubber, { max: most, value: iterations });
    this.scrubText.textContent = iterations ? `after ${iterations} of ${most}` : "before the CRF";
    this.caption.replaceChildren(...legend(this.view, labels, Boolean(this.score)));
    const { scores, changed } = this.result;
    const open = this.numbers.querySelector("details")?.open ?? false;
    const more = scores ? [eachLabel(scores, labels, open)] : [];
    this.numbers.replaceChildren(cards(this.result, this.scoreBefore), ...more);
    const what = `${VIEWS[this.view][0]} of a picture of ${width} by ${height} points, ${this.scrubText.textContent}`;
    const moved = changed === null ? "" : `: ${(100 * changed).toFixed(2)} % of the points changed`;
    this.stage.canvas.setAttribute("aria-label", what + moved);
  }
}
