// Strokes: pens, and what they teach.

import { button, element } from "./elements.js";
import { colour } from "./paint.js";
import { TWO_STROKES } from "./words.js";

export class Drawing {
  constructor(app) {
    this.app = app;
    this.pens = element("div", { className: "crf-row crf-wrap", role: "radiogroup", "aria-label": "Pen" });
    const name = "Size of the pen";
    const size = element("input", {
      ...{ type: "range", min: 2, max: 40, value: 8, title: name, "aria-label": name },
      oninput: () => (this.pen.radius = Number(size.value)),
    });
    this.pen = { label: 1, radius: 8 };
    this.save = element("span"); // takeaway.js has its button
    this.element = element(
      "section",
      { hidden: true, "aria-label": "Draw" },
      element("h2", {}, "Draw"),
      element("p", { className: "crf-hint" }, TWO_STROKES, " Mend the mask with more strokes where it is wrong."),
      this.pens,
      element(
        "div",
        { className: "crf-row crf-wrap" },
        size,
        button("Undo", "Undo the last stroke (Z)", () => app.stage.undo()),
        button("Clear", "Take all strokes away", () => app.stage.clearStrokes()),
        this.save,
      ),
    );
  }

  open(on) {
    this.element.hidden = !on;
    this.learned = false;
    this.app.stage.pen = null;
    if (on) this.pick(1);
  }

  // label: -1 erases; null: the pointer moves and points.
  pick(label) {
    const { app } = this;
    if (!app.case) return; // another is being opened
    if (label !== null) this.pen.label = label;
    app.stage.pen = label === null ? null : this.pen;
    const pen = (text, value, title, fill) => {
      const spoken = { role: "radio", "aria-checked": String(value === label) };
      const dot = fill ? element("i", { style: `background:${fill}` }) : null;
      return element("button", { type: "button", title, ...spoken, onclick: () => this.pick(value) }, dot, text);
    };
    const add = () => {
      app.setLabels([...app.case.labels, `object ${app.case.labels.length}`]);
      this.pick(app.case.labels.length - 1);
    };
    this.pens.replaceChildren(
      ...app.case.labels.map((name, l) => pen(name, l, `Draw ${name}`, colour(l))),
      pen("eraser", -1, "Take strokes away"),
      pen("move", null, "Move and point, do not draw"),
      button("+", "One more kind of object", add),
    );
  }

  // Strokes become probabilities; false where there are too few.
  async learn() {
    const { app } = this;
    const used = new Set(app.stage.strokes.labels);
    used.delete(0);
    this.learned = used.size > 1;
    if (this.learned) {
      await app.engine.ask("learn", { labels: app.case.labels.length }, { strokes: app.stage.strokes.labels });
      app.say("");
      return true;
    }
    const [mark] = used;
    const other = mark === 1 ? 1 : 0;
    app.say(used.size ? `Now draw a stroke on the ${app.case.labels[other]}: a mask needs two labels.` : TWO_STROKES);
    if (used.size && !app.stage.doing && this.pen.label === mark - 1) this.pick(other);
    return false;
  }
}
