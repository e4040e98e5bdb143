// A result in words and numbers.

import { element } from "./elements.js";
import { CHANGES, colour, heatStops } from "./paint.js";

const percents = (value) => (Number.isNaN(value) ? "–" : `${value.toFixed(1)} %`);

function gained(after, before) {
  const gain = after - before;
  return Number.isNaN(gain) ? "" : `${gain >= 0 ? "+" : "−"}${Math.abs(gain).toFixed(1)} from ${before.toFixed(1)}`;
}

// result: {changed, entropy, scores}; before: scores before the CRF; both scores only where there is a truth.
export function cards({ changed, entropy, scores }, before) {
  const card = (title, value, more = "") =>
    element("div", {}, element("b", {}, value), element("span", {}, title), element("small", {}, more));
  const made = [card("changed", `${(100 * changed).toFixed(2)} %`), card("doubt", entropy.toFixed(3), "mean entropy, nats")];
  if (scores) {
    made.unshift(
      card("Dice", percents(scores.meanDice), gained(scores.meanDice, before.meanDice)),
      card("Dice at boundaries", percents(scores.meanBoundary), gained(scores.meanBoundary, before.meanBoundary)),
    );
  }
  return element("div", { className: "crf-cards" }, made);
}

export function eachLabel({ dice, boundary }, labels, open) {
  const head = ["label", "Dice", "at boundaries"].map((text) => element("th", { scope: "col" }, text));
  const rows = labels.slice(1).map((name, i) => {
    const numbers = [dice[i + 1], boundary[i + 1]].map((value) => element("td", {}, percents(value)));
    return element("tr", {}, element("th", { scope: "row" }, name), numbers);
  });
  const table = element("table", {}, element("tr", {}, head), rows);
  return element("details", { open }, element("summary", {}, "Each label"), table);
}

// What the colours of a view mean.
export function legend(view, labels, known) {
  const key = (text, fill) =>
    element("span", { className: "crf-key" }, element("i", { style: `background:${fill}` }), text);
  const scale = element("i", { className: "crf-heat", style: `background:linear-gradient(90deg, ${heatStops})` });
  return {
    labels: () => labels.slice(1).map((name, i) => key(name, colour(i + 1))),
    probability: () => ["0 %", scale, "100 %"],
    entropy: () => ["sure", scale, "undecided"],
    changes: () =>
      known
        ? [key("mended", CHANGES.mended), key("broken", CHANGES.broken), key("wrong before and after", CHANGES.changed)]
        : [key("changed", CHANGES.changed)],
    sees: () => ["deaf", scale, "listens"],
  }[view]();
}
