// The keyboard, but for the picture's own keys (stage.js).

import { VIEWS } from "./words.js";

export function press(app, event) {
  const { target, ctrlKey, metaKey, altKey } = event;
  if (!app.case || altKey || target.matches("input[type=number], select, textarea")) return;
  const name = event.key.toLowerCase();
  if (name === "z") app.stage.undo();
  if (ctrlKey || metaKey) return;
  const views = Object.keys(VIEWS);
  const keys = {
    c: () => app.curtainButton.hidden || app.setCurtain(),
    e: () => app.explain(),
    g: () => app.useGuess(),
    p: () => app.play(),
    ...Object.fromEntries(views.map((view, i) => [i + 1, () => app.show(view)])),
  };
  keys[name]?.();
}
