// The explorer that `crfrnn explore` serves on this machine.

import { Explorer } from "./app.js";
import { theme } from "./elements.js";
import { LocalEngine } from "./remote.js";

const root = document.getElementById("explorer");
theme(root);
const engine = new LocalEngine("ask");
const { presets, name } = JSON.parse(document.getElementById("data").textContent);
const explorer = new Explorer(root, engine, { presets });
explorer.try(async () => explorer.open({ name, ...(await engine.ask("start")) }));
