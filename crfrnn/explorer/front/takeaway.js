// The buttons that save.

import { button, download } from "./elements.js";
import { labelMap, npy, parameterFile, picturePng } from "./exports.js";

export function saving(app) {
  const { width, height, grey, values, lossless, workflow, saves = [], name = "picture" } = app.case;
  const save = (text, title, work) => button(text, title, () => app.try(work));
  const final = () => {
    if (!app.after) throw new Error("There is no result yet: draw strokes, or open labels.");
    const { parameters } = app;
    return app.engine.ask("refine", { parameters, iterations: parameters.num_iterations, view: "labels" });
  };
  const picture = save("Picture", "The picture as the CRF sees it, without losses", async () => {
    if (values) download(`${name}.npy`, npy(values, [height, width]));
    else download(`${name}.png`, await picturePng(app.picture, grey));
  });
  const labels = (text) =>
    save(text, "The labels as a PNG, whose values are the classes", async () => {
      const { arrays } = await final();
      download(`${name}-labels.png`, await labelMap(arrays.labels, width, height, app.case.labels.length));
    });
  app.drawing.save.replaceChildren(labels("Save the mask"));
  return [
    labels("Label map"),
    save("best.json", "The settings, for crfrnn refine --parameters", async () => {
      download("best.json", new Blob([parameterFile(app.parameters, workflow)], { type: "application/json" }));
    }),
    save("Probabilities", "What the CRF starts from, for crfrnn refine: a .npy file", async () => {
      await final();
      const { probs } = (await app.engine.ask("probabilities", {})).arrays;
      download(`${name}-probs.npy`, npy(probs, [height, width, app.case.labels.length]));
    }),
    ...(lossless ? [picture] : []),
    save("Copy Python", "The line below, to paste", async () => {
      await navigator.clipboard.writeText(app.code.textContent);
      app.say("Copied.");
    }),
    ...saves.map(([text, title, method]) =>
      save(text, title, async () => app.say((await app.engine.ask(method, { parameters: app.parameters })).note)),
    ),
  ];
}
