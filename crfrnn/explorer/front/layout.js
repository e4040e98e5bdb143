// Where everything stands. What changes later becomes attributes of the explorer.

import { button, choice, element } from "./elements.js";
import { VIEWS } from "./words.js";

const FRAME = 450; // milliseconds of an iteration that is played

// header: what stands at its right end.
export function layOut(app, header) {
  app.message = element("div", { className: "crf-message", role: "status", "aria-live": "polite" });
  app.volume = element("div", { className: "crf-row crf-wrap", hidden: true });
  app.caption = element("p", { className: "crf-caption" });
  const left = element("div", { className: "crf-left" }, bar(app), app.stage.element, scrubber(app), app.volume, app.caption);
  const section = (title, ...content) => element("section", {}, element("h2", {}, title), ...content);
  app.reasons = element("p", { className: "crf-quiet" });
  app.sliderBox = element("div", { className: "crf-sliders" });
  app.numbers = element("div");
  app.verdict = element("ul", { className: "crf-verdict" });
  app.exports = element("div", { className: "crf-row crf-wrap" });
  app.code = element("pre", { tabIndex: 0, "aria-label": "The same in Python" });
  const explain = button("Explain", "What the CRF does here, in words (E)", () => app.explain());
  const right = element(
    "div",
    { className: "crf-right" },
    app.drawing.element,
    section("Settings", starts(app), app.reasons, app.sliderBox),
    section("Result", app.numbers, app.history.element, explain, app.verdict),
    section("Take it with you", app.exports, app.code),
  );
  app.main = element("div", { className: "crf-main", hidden: true }, left, right);
  const title = element("h1", {}, "crfrnn ", element("span", {}, "explorer"));
  const top = element("header", { className: "crf-header" }, title, ...header);
  app.root.replaceChildren(top, element("div", { className: "crf-messages" }, app.message), app.main);
}

// Above the picture.
function bar(app) {
  app.views = choice("Show", VIEWS, (view) => app.show(view));
  app.labelChoice = element("select", {
    "aria-label": "Label whose probability is shown",
    onchange: () => ((app.label = Number(app.labelChoice.value)), app.ask()),
  });
  app.curtainButton = button("Curtain", "Before on the left, after on the right (C)", () => app.setCurtain());
  const name = "Strength of the colours";
  const fade = element("input", {
    ...{ type: "range", min: 5, max: 100, value: 100 * app.opacity, title: name, "aria-label": name },
    oninput: () => ((app.opacity = fade.value / 100), app.paint()),
  });
  return element("div", { className: "crf-row crf-wrap crf-bar" }, app.views.element, app.labelChoice, app.curtainButton, fade);
}

function scrubber(app) {
  app.scrubber = element("input", {
    ...{ type: "range", min: 0, value: 0, "aria-label": "Iteration that is shown" },
    oninput: () => app.scrub(Number(app.scrubber.value)),
  });
  app.scrubText = element("output", { className: "crf-scrub" });
  app.play = () => {
    clearInterval(app.playing);
    app.scrub(0);
    app.playing = setInterval(() => {
      if (app.iteration >= app.parameters.num_iterations) clearInterval(app.playing);
      else app.scrub(app.iteration + 1);
    }, FRAME);
  };
  const play = button("▶", "Play the iterations (P)", app.play);
  return element("div", { className: "crf-row" }, play, app.scrubber, app.scrubText);
}

function starts(app) {
  const names = Object.entries(app.presets);
  app.presetChoice = element(
    "select",
    { "aria-label": "Settings of papers and libraries", onchange: () => app.usePreset(app.presetChoice.value) },
    element("option", { value: "" }, "Settings of papers …"),
    names.map(([name, { source }]) => element("option", { value: name, title: source }, name)),
  );
  app.guessButton = button("First guess", "What is measured in the picture suggests (G)", () => app.useGuess());
  return element("div", { className: "crf-row" }, app.presetChoice, app.guessButton);
}
