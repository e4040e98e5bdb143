// The explorer that `crfrnn explore` serves on this machine.

import { Explorer } from "./app.js";
import { LocalEngine } from "./remote.js";

const root = document.getElementById("explorer");
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => root.classList.toggle("crf-dark", dark.matches);
dark.addEventListener("change", follow);
follow();
const engine = new LocalEngine("ask");
const { presets, name } = JSON.parse(document.getElementById("data").textContent);
const explorer = new Explorer(root, engine, { presets });
explorer.try(async () => explorer.open({ name, ...(await engine.ask("start")) }));
