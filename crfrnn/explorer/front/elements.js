// Small pieces of the page: elements, sliders, messages.

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.startsWith("aria") && name !== "list") made[name] = value;
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function button(text, title, onclick) {
  return element("button", { type: "button", title, onclick }, text);
}

// As many digits as a reader can use.
export function short(value) {
  return String(Number(value.toPrecision(value < 100 ? 3 : 4)));
}

const STEPS = 1000;

// A slider on a logarithmic scale from low to high; with zero, its left end is 0 in place of low.
export class Slider {
  constructor({ name, title, unit, help, low, high, zero = false, whole = false, onmove, onrest }) {
    Object.assign(this, { name, unit, low, high, zero, whole, onmove, onrest });
    const id = `crf-${name}-${(Slider.made = (Slider.made ?? 0) + 1)}`;
    this.range = element("input", { type: "range", id, min: 0, max: STEPS, name, "aria-describedby": `${id}-help` });
    this.number = element("input", { type: "number", step: "any", min: 0, "aria-label": `${title}, as a number` });
    this.mark = element("button", { type: "button", className: "crf-mark", hidden: true, tabIndex: -1 });
    this.range.addEventListener("input", () => this.moved(this.at(Number(this.range.value)), false));
    this.range.addEventListener("change", () => this.onrest());
    this.range.addEventListener("dblclick", () => this.guess !== undefined && this.moved(this.guess, true));
    this.number.addEventListener("change", () => this.moved(this.inside(Number(this.number.value)), true));
    this.mark.addEventListener("click", () => this.moved(this.guess, true));
    this.element = element(
      "div",
      { className: "crf-slider" },
      element("label", { htmlFor: id, title: help }, title, element("code", {}, name)),
      element("span", { className: "crf-number" }, this.number, element("span", { className: "crf-unit" }, unit)),
      element("div", { className: "crf-track" }, this.range, this.mark),
      element("p", { id: `${id}-help`, className: "crf-help" }, help),
    );
  }

  at(step) {
    if (this.zero && step <= 0) return 0;
    const value = this.low * (this.high / this.low) ** (step / STEPS);
    return this.whole ? Math.round(value) : Number(value.toPrecision(3));
  }
  step(value) {
    if (value <= this.low) return this.zero && value > 0 ? 1 : 0;
    return Math.min(STEPS, Math.round((STEPS * Math.log(value / this.low)) / Math.log(this.high / this.low)));
  }
  inside(value) {
    if (!(value >= 0)) return this.value;
    if (this.zero && value === 0) return 0;
    const least = this.zero ? 0 : this.low / 100;
    return this.whole ? Math.max(1, Math.min(this.high, Math.round(value))) : Math.max(least, value);
  }

  set(value) {
    this.value = value;
    this.range.value = this.step(value);
    this.number.value = short(value);
    this.range.setAttribute("aria-valuetext", `${short(value)} ${this.unit}`);
    this.element.style.setProperty("--at", `${this.step(value) / (STEPS / 100)}%`);
  }
  moved(value, rests) {
    this.set(value);
    this.onmove(this.name, value);
    if (rests) this.onrest();
  }

  // Marks the first guess.
  setGuess(value) {
    this.guess = value;
    this.mark.hidden = value === undefined;
    if (value === undefined) return;
    this.mark.style.setProperty("--at", this.step(value) / STEPS);
    this.mark.title = `First guess: ${short(value)} ${this.unit}`;
    this.mark.setAttribute("aria-label", this.mark.title);
  }
}

// One of several, as a row of buttons.
export function choice(title, options, onchoose) {
  const group = `crf-${title}-${Math.random().toString(36).slice(2)}`;
  const inputs = new Map();
  const row = element(
    "fieldset",
    { className: "crf-choice" },
    element("legend", { className: "crf-hidden" }, title),
    Object.entries(options).map(([value, [text, help]]) => {
      const input = element("input", { type: "radio", name: group, value, onchange: () => onchoose(value) });
      inputs.set(value, input);
      return element("label", { title: help }, input, element("span", {}, text));
    }),
  );
  return {
    element: row,
    set: (value) => (inputs.get(value).checked = true),
    show: (value, visible) => (inputs.get(value).parentElement.hidden = !visible),
  };
}

// Follows the system's choice of light or dark.
export function theme(root) {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => root.classList.toggle("crf-dark", dark.matches);
  dark.addEventListener("change", follow);
  follow();
}

export function download(name, blob) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
