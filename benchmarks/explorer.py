"""How long the explorer takes to answer, in a real browser: a slider that moves, a stroke.

    python -m benchmarks.explorer [--repeats 20]

Needs Chromium, its driver and Selenium; README.md explains the numbers. Writes JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import measure
from tools.explorer import page
from tools.explorer.browser import Browser, started

SIZE, LABELS, ITERATIONS = 512, 3, 5
# Slider positions of 0..1000, as far apart as a pointer's are: the bandwidths that they stand for
# are usual ones. theta_beta rebuilds the larger lattice, a weight none.
SLIDERS = {"theta_beta": 440, "theta_alpha": 640, "theta_gamma": 400, "bilateral_weight": 600}
BARS = {"slider": 100.0, "stroke": 300.0}  # milliseconds, medians

_HEARD = """
  const once = {once: true};
  const heard = () => new Promise((found) => app.root.addEventListener("painted", found, once));
"""
_MOVES = """(async () => {HEARD
  const [name, first, whole, count] = given, found = [];
  const slider = document.querySelector(`input[name=${name}]`);
  for (let i = 0; i < count; ++i) {
    const painted = heard();
    if (whole) app.cost = 0;
    slider.value = first + 3 * i;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    found.push((await painted).detail);
  }
  app.finish();
  return found.map(({ms, coarse}) => [ms, coarse]);
})()"""
# From the end of a stroke to the mask.
_STROKE = """(async () => {HEARD
  const {canvas, scale, left, top} = app.stage, box = canvas.getBoundingClientRect();
  const send = (type, u, v) => canvas.dispatchEvent(new PointerEvent(type, {
    pointerId: 7, button: 0, bubbles: true,
    clientX: box.left + left + scale * u, clientY: box.top + top + scale * v}));
  const [label, u, v, waits] = given;
  app.drawing.pick(label);
  app.stage.canvas.setPointerCapture = undefined;
  send("pointerdown", u, v);
  const painted = waits && heard();
  const began = performance.now();
  send("pointermove", u + 20, v + 30);
  send("pointerup", u + 20, v + 30);
  const {coarse} = (await painted)?.detail ?? {};
  return [performance.now() - began, coarse];
})()"""
_MOVES, _STROKE = (text.replace("HEARD", _HEARD) for text in (_MOVES, _STROKE))


def measured(browser: Browser, folder: Path, repeats: int) -> dict[str, Any]:
    """Times of sliders and strokes, on a photograph of SIZE x SIZE points."""
    from PIL import Image
    from skimage.data import astronaut

    import crfrnn

    photograph = astronaut()
    coarse = np.digitize(photograph.mean(-1)[::16, ::16], [85, 170]).repeat(16, 0).repeat(16, 1)
    Image.fromarray(photograph).save(folder / "photo.png")
    np.save(folder / "probs.npy", crfrnn.probs_from_labels(coarse, LABELS, confidence=0.6))
    page.write(folder / "index.html")
    browser.open((folder / "index.html").as_uri())
    browser.rest()
    browser.upload(folder / "photo.png")
    browser.wait("document.querySelector('.crf-message').textContent.includes('Draw a stroke')")
    strokes = _strokes(browser, repeats)
    browser.upload(folder / "probs.npy")
    browser.wait("document.querySelector('.crf-explorer').explorer.case?.startAtGuess")
    browser.wait("document.querySelector('.crf-explorer').explorer.guess?.theta_alpha")
    browser.rest()
    crf = dict(theta_alpha=51, theta_beta=13, theta_gamma=3, bilateral_weight=10, spatial_weight=3)
    browser.run(f"app.use({crf | dict(num_iterations=ITERATIONS, normalization='symmetric')})")
    browser.rest()
    sliders = {}
    for name, first in SLIDERS.items():
        for kind, whole in (("first picture", False), ("whole picture", True)):
            browser.run(_MOVES, name, first, whole, 1)  # may leave a lattice to be built
            before = _processor_ms(browser)
            found = browser.run(_MOVES, name, first + 3, whole, repeats)
            spent = (_processor_ms(browser) - before) / repeats
            browser.rest()
            sliders.setdefault(name, {})[kind] = {
                **_summary(found),
                "processor_ms": round(spent, 1),
            }
    return {"sliders": sliders, "stroke": strokes}


def _processor_ms(browser: Browser) -> float:
    """What the threads of the pages have computed so far: the same however busy others are."""
    processes = psutil.Process(browser.driver.service.process.pid).children(recursive=True)
    pages = [p for p in processes if "--type=renderer" in p.cmdline()]
    times = [p.cpu_times() for p in pages]
    return float(1000 * sum(t.user + t.system for t in times))


def _strokes(browser: Browser, repeats: int) -> dict[str, Any]:
    browser.run(_STROKE, 0, 20, 20, False)
    browser.run(_STROKE, 1, 250, 300, True)
    browser.rest()
    found = []
    for i in range(repeats):
        label = i % 2
        at = (60 + 3 * i, 40) if not label else (230 + 2 * i, 320)
        found.append(browser.run(_STROKE, label, *at, True))
        browser.rest()
    return _summary(found)


def _summary(found: list[list[float]]) -> dict[str, Any]:
    times = [ms for ms, _ in found]
    return {
        "ms": measure.median(times),
        "times_ms": [round(ms, 1) for ms in times],
        "every": sorted({int(coarse) for _, coarse in found}),  # which points, of a picture
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    measure.add_run_options(parser)
    parser.set_defaults(device="cpu", backend="chromium")
    options = parser.parse_args(arguments)
    path = measure.output_path(options, "explorer")
    measure.wait_until_quiet(options.wait)
    with tempfile.TemporaryDirectory() as name, started(Path(name)) as browser:
        with measure.Load() as load:
            result = measured(browser, Path(name), options.repeats)
        result["browser"] = browser.driver.capabilities["browserVersion"]
    slider = max(times["first picture"]["ms"] for times in result["sliders"].values())
    medians = {"slider": slider, "stroke": result["stroke"]["ms"]}
    result["bars"] = [
        {"what": what, "bar_ms": bar, "ms": medians[what], "met": medians[what] <= bar}
        for what, bar in BARS.items()
    ]
    case = {"size": SIZE, "labels": LABELS, "iterations": ITERATIONS}
    about = measure.circumstances(options.device, options.backend)
    measure.write_json(path, {**about, "case": case, "load": load.report, **result})
    kinds = ("first picture", "whole picture")
    rows = [
        [name, *(f"{times[kind][ms]:.0f}" for ms in ("ms", "processor_ms") for kind in kinds)]
        for name, times in result["sliders"].items()
    ]
    columns = [f"{kind}, {what}" for what in ("ms", "ms of computing") for kind in kinds]
    measure.print_table(["slider", *columns], rows)
    print(f"stroke to mask: {result['stroke']['ms']:.0f} ms. Written: {path}")


if __name__ == "__main__":
    main()
