"""The page of a run works in a browser."""

import html
import html.parser
import json
import re
import shutil
import subprocess

import pytest

from tests.experiments.report.made_up import ROW

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FRAME = """<!DOCTYPE html><meta charset="utf-8">
<iframe src="page.html" style="width: 360px; height: 900px"></iframe><pre id="outcome"></pre>
<script>
addEventListener("message", (event) => {
  document.getElementById("outcome").textContent = JSON.stringify(event.data);
});
</script>"""
WATCH = """<script>
const problems = [];
addEventListener("error", (event) => problems.push(`${event.message ?? event.target}`), true);
</script>"""
CLICK = """<script>
(async () => {
  const find = (id) => document.getElementById(id);
  const style = (id) => getComputedStyle(find(id));
  const tell = (id, name) => find(id).dispatchEvent(new Event(name));
  const press = (target, key) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const seen = () => ({
    position: find("position").textContent,
    listed: [...find("list").querySelectorAll("[aria-current=true]")].map((one) => one.textContent),
    sources: ["image", "left", "right"].map((id) => find(id).src),
    clips: ["left", "right"].map((id) => style(id).clipPath),
    divider: find("divider").getBoundingClientRect().x - find("stage").getBoundingClientRect().x,
    badges: ["left", "right"].map((side) => find(`badge-${side}`).textContent),
    numbers: [...find("numbers").rows].map((row) => [...row.cells].map((one) => one.textContent)),
    outline: style("truth").display,
    strength: style("left").opacity,
  });
  const outcome = { problems };
  try {
    await Promise.all([...document.images].map((image) => image.decode()));
    outcome.widths = [...document.images].map((image) => image.naturalWidth);
    outcome.overflow = document.documentElement.scrollWidth - innerWidth;
    outcome.stage = find("stage").getBoundingClientRect().toJSON();
    outcome.first = seen();
    find("wipe").value = 20;
    tell("wipe", "input");
    outcome.wiped = seen();
    const clientX = outcome.stage.x + 0.75 * outcome.stage.width;
    find("stage").dispatchEvent(new PointerEvent("pointermove", { clientX, buttons: 1 }));
    outcome.dragged = seen();
    find("next").click();
    outcome.next = seen();
    press(document.body, "ArrowLeft");
    outcome.back = seen();
    press(find("wipe"), "ArrowRight");
    outcome.on_slider = seen();
    find("previous").click();
    outcome.last = seen();
    find("list").querySelectorAll("button")[2].click();
    outcome.listed = seen();
    find("choose-right").value = 2;
    tell("choose-right", "change");
    find("outlined").click();
    find("strength").value = 100;
    tell("strength", "input");
    outcome.chosen = seen();
    await Promise.all([...document.images].map((image) => image.decode()));
  } catch (error) {
    problems.push(`${error.stack}`);
  }
  parent.postMessage(outcome, "*");
})();
</script>"""


def test_in_a_browser(text, browser, tmp_path):
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)} on the path")
    head, body = text.split("<head>", 1)
    checked = f"{head}<head>{WATCH}{body}".replace("</body>", f"{CLICK}</body>")
    (tmp_path / "page.html").write_text(checked, "utf-8")
    (tmp_path / "frame.html").write_text(FRAME, "utf-8")
    done = subprocess.run(
        [
            *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=60000"),
            f"--user-data-dir={tmp_path / 'profile'}",
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=240,
    )
    outcome = json.loads(html.unescape(re.search(r'id="outcome">(.*?)</pre>', done.stdout)[1]))
    assert outcome["problems"] == []
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []

    assert len(outcome["widths"]) == 6 and min(outcome["widths"]) > 0
    assert outcome["overflow"] <= 0  # 360 pixels are enough
    width, height = browser["cases"][0]["size"]
    stage = outcome["stage"]
    assert stage["width"] > 300
    assert stage["width"] / stage["height"] == pytest.approx(width / height, rel=0.01)

    def sources(rank, *sides):
        one = browser["cases"][rank]
        return [one["image"], *(one["maps"][side] for side in sides)]

    first, wiped, dragged = (outcome[name] for name in ("first", "wiped", "dragged"))
    ids = [one["id"] for one in browser["cases"]]
    assert first["position"] == f"{ids[0]}: +4.50 Dice, rank 1 of 5"
    assert first["sources"] == sources(0, 0, 1)
    assert first["badges"] == [f"{ROW}: 81.00", "U-Net & CRF: 85.50"]
    assert first["numbers"][0] == [ROW, *browser["cases"][0]["numbers"][0]]
    assert first["clips"] == ["inset(0px 50% 0px 0px)", "inset(0px 0px 0px 50%)"]
    assert wiped["clips"] == ["inset(0px 80% 0px 0px)", "inset(0px 0px 0px 20%)"]
    assert dragged["clips"] == ["inset(0px 25% 0px 0px)", "inset(0px 0px 0px 75%)"]
    assert wiped["divider"] < first["divider"] < dragged["divider"]

    assert outcome["next"]["sources"] == sources(1, 0, 1)
    assert outcome["next"]["listed"] == [f"{ids[1]} +3.00"]
    assert outcome["back"]["position"] == first["position"]
    assert outcome["on_slider"]["position"] == first["position"]  # there, arrows move the slider
    assert outcome["last"]["sources"] == sources(4, 0, 1)
    assert outcome["listed"]["sources"] == sources(2, 0, 1)
    chosen = outcome["chosen"]
    assert chosen["sources"] == sources(2, 0, 2)
    assert chosen["badges"][1] == "ground truth"
    assert (first["outline"], chosen["outline"]) == ("block", "none")
    assert (first["strength"], chosen["strength"]) == ("0.45", "1")
