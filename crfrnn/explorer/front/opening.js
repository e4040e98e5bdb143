// What each picture has of its own: sliders in its units, and the slices of a volume.

import { element, Slider } from "./elements.js";
import { SETTINGS } from "./words.js";

export function makeSliders(app) {
  const { unit, high, bytes, width, height, spacing } = app.case;
  const side = Math.min(...spacing);
  const most = side * Math.max(width, height);
  const strength = { low: 0.05, high: 50, unit: "", zero: true };
  const ranges = {
    theta_alpha: { low: 0.5 * side, high: most, unit },
    theta_beta: { low: high / 1000, high: 4 * high, unit: bytes ? "grey levels" : "intensity" },
    theta_gamma: { low: 0.3 * side, high: most / 4, unit },
    bilateral_weight: strength,
    spatial_weight: strength,
    num_iterations: { low: 1, high: 30, unit: "", whole: true },
  };
  const onrest = () => app.rest();
  for (const [name, [title, help]] of Object.entries(SETTINGS)) {
    const onmove = (_, value) => app.settingChanged({ [name]: value });
    app.sliders[name] = new Slider({ name, title, help, ...ranges[name], onmove, onrest });
  }
  app.sliderBox.replaceChildren(...Object.values(app.sliders).map((slider) => slider.element));
}

export function makeVolume(app) {
  const { volume } = app.case;
  app.volume.hidden = !volume;
  if (!volume) return;
  const shown = app.case;
  let wanted = null; // one question at a time, always the latest
  const turn = async (axis, index) => {
    const isAsking = wanted !== null;
    wanted = { axis, index };
    if (isAsking) return;
    app.close(); // what is asked from now on, another slice would answer
    await app.try(async () => {
      let found, asked;
      do {
        asked = wanted;
        found = await app.engine.ask("slice", { ...asked, parameters: app.parameters });
      } while (asked !== wanted);
      if (found) app.open({ ...shown, ...found }); // else the engine has opened it
    });
    wanted = null;
  };
  const axes = element(
    "select",
    { "aria-label": "Axis of the slices", onchange: () => turn(Number(axes.value), null) },
    volume.sizes.map((size, axis) => element("option", { value: axis }, `axis ${axis}: ${size} slices`)),
  );
  axes.value = volume.axis;
  const most = volume.sizes[volume.axis] - 1;
  const place = { type: "range", min: 0, max: most, value: volume.index, "aria-label": "Slice" };
  const slide = element("input", { ...place, onchange: () => turn(volume.axis, Number(slide.value)) });
  const text = element("output", { className: "crf-scrub" }, `slice ${volume.index} of 0–${most}`);
  app.volume.replaceChildren(axes, slide, text, element("span", { className: "crf-quiet" }, "Each is refined by itself."));
}
