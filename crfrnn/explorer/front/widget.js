// The explorer in a notebook, as anywidget wants it.

import { Explorer } from "./app.js";
import { NotebookEngine } from "./remote.js";

const isDark = () => {
  const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
  if (jpThemeLight) return jpThemeLight === "false";
  if (vscodeThemeKind) return vscodeThemeKind.includes("dark");
  return document.documentElement.classList.contains("dark") || document.documentElement.getAttribute("theme") === "dark";
};

async function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "crf-widget";
  root.classList.toggle("crf-dark", isDark());
  // A notebook has keys of its own, such as C and Z, which must not hear those of the explorer.
  for (const type of ["keydown", "keyup", "keypress"]) root.addEventListener(type, (event) => event.stopPropagation());
  root.dataset.lmSuppressShortcuts = "true";
  el.append(root);
  const engine = new NotebookEngine(model);
  const explorer = new Explorer(root, engine, { presets: model.get("_presets") });
  explorer.try(async () => explorer.open(await engine.ask("start")));
  return () => engine.close();
}

export default { render };
