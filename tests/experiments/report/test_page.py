"""The page of a run, from a made-up run and tiny images: what it holds, and that it works in a
browser."""

import base64
import dataclasses
import html
import html.parser
import io
import json
import re
import shlex
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

import data
from experiments import compare, report, runs
from experiments import config as configuration
from experiments.config import Config
from experiments.rows import Comparison, Row
from experiments.score.metrics import METRICS
from experiments.show import cases
from experiments.show.report import browser as case_browser
from experiments.show.report import page
from experiments.show.report.command import command
from experiments.studies import plan
from experiments.train import inputs

# Names as nobody should give them.
DATASET, CASE, ROW = 'cells <i>"&', "x<u>'", "U-Net <b>$"
LABELS = ("background", "plasma", "<s>nucleus")
COMPARED = Comparison(
    {
        "plain": Row(ROW, "the reference", "network"),
        "joint": Row("U-Net & CRF", "both [here](http://example.org)", "joint", ("plain",)),
    },
    [("joint", "plain")],
    ("plain", "joint"),
    ("joint", "plain"),
)
GAINS = (1.0, 4.5, -2.0, 3.0, 0.0)  # of the test cases; Dice of U-Net is 80 + index
BEST_FIRST = (1, 3, 0, 4, 2)

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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run of two seeds, with its data set beside it."""
    parent = tmp_path_factory.mktemp("report")
    dataset, folder = parent / DATASET, parent / "runs" / "made-up"
    make_data(dataset)
    config = Config(dataset=str(dataset), seeds=2, test_cases=5, pretrain_steps=20)
    identity = {
        **{"config": dataclasses.asdict(config), "comparison": dataclasses.asdict(COMPARED)},
        "backend": "tensorflow",
    }
    runs.open_run(folder, identity)
    tested = inputs.split(config, seed=0)["test"]
    for name, shift in (("plain", 2), ("joint", 1)):
        maps = {f"{i:05d}": np.roll(case.label, shift, axis=1) for i, case in enumerate(tested)}
        runs.write_arrays(folder / "seed-0" / f"{name}.npz", maps)
    environment = {
        **{"python": "3.12.1", "packages": {"keras": "3.15", "numpy": "2.4"}},
        **{"commit": "abc1234", "machine": "a machine", "cores": 2, "seconds": 1800},
    }
    seeds = [rows_of_seed(tested) for _ in range(2)]
    runs.write_json(folder / "results.json", {**identity, **environment, "seeds": seeds})
    return folder


def make_data(folder):
    """Twelve RGB images of different sizes, two structures in each."""
    rng = np.random.default_rng(3)
    items = []
    for index in range(12):
        shape = (13 + index % 2, 18 - index % 3)
        label = np.zeros(shape, "uint8")
        label[3:9, 4:12] = 1
        label[4:7, 6:9] = 2
        image = (60 * label[..., None] + rng.integers(0, 99, (*shape, 3))).astype("uint8")
        item = {kind: f"{kind}s/{CASE}{index}.png" for kind in ("image", "label")}
        for array, path in ((image, item["image"]), (label, item["label"])):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / path)
        items.append(item)
    labels = {str(index): name for index, name in enumerate(LABELS)}
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "training": items}))


def rows_of_seed(tested):
    def scores(dice):
        others = {metric: 1.0 for metric in METRICS}
        return [
            {"id": case.id, "group": case.group, "changed": 2.5, **others, "dice": float(value)}
            for case, value in zip(tested, dice, strict=True)
        ]

    plain = 80 + np.arange(len(tested))
    points = [{"step": step, "loss": 1 / step, "validation_dice": 80.0} for step in (10, 20)]
    best = {"theta_alpha": 5.0, "theta_beta": 0.1, "theta_gamma": 2.0}
    best |= {"bilateral_weight": 3.0, "spatial_weight": 1.0}
    crf = {"spatial": 1.0, "bilateral": 2.0, "compatibility": [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]}
    with_nan = scores(plain)
    with_nan[0]["hd95"] = np.nan
    return {
        "plain": {"cases": with_nan, "pretraining": points, "history": points},
        "joint": {
            "cases": scores(plain + GAINS),
            "history": [{**point, "crf": crf} for point in points],
            "search": {"best": best, "use": True},
        },
    }


@pytest.fixture(scope="module")
def text(run):
    return page.render(run, number=5)


@pytest.fixture(scope="module")
def browser(text):
    """What the page's script gets."""
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )


@pytest.fixture(scope="module")
def tested(run):
    config = configuration.make(runs.read_json(run / "run.json")["config"])
    return inputs.split(config, seed=0)["test"]


class Reader(html.parser.HTMLParser):
    """The tags of a page with their attributes, and its text without scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.inside = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        self.text += " "
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, content):
        if not {"script", "style"} & {*self.inside}:
            self.text += content


def picture(uri):
    start = "data:image/png;base64,"
    assert uri.startswith(start)
    return Image.open(io.BytesIO(base64.b64decode(uri[len(start) :])))


def test_what_is_written(text):
    written = " ".join(Reader(text).text.split())
    for part in (
        f"{DATASET}: does a CRF help this U-Net?",
        "U-Net & CRF: both [here](http://example.org).",
        # Means over 5 cases: 80 to 84, and 1.3 more.
        f"{ROW} 82.00 ± 0.00 1.00 ± 0.00",
        "U-Net & CRF 83.30 ± 0.00 1.00 ± 0.00",
        "5 of 5 test cases",
        "0.50 hours",
        "keras 3.15, numpy 2.4",
        "abc1234",
        "a machine",
        "pretrain_steps 20",
    ):
        assert part in written
    assert "| U-Net & CRF | 83.30 ± 0.00 |" in written  # in what the button copies


def test_one_file_without_anything_from_elsewhere(text):
    for tag, attributes in Reader(text).tags:
        assert tag not in ("link", "iframe", "object", "embed")
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"@import|url\(", text)
    assert len(text) < 1e6


def test_names_stay_text(text):
    tags = Reader(text).tags
    assert not {tag for tag, _ in tags} & {"i", "b", "u", "s"}
    assert f"Labels by {ROW}" not in text  # the script writes it, as text
    alternatives = [attributes["alt"] for tag, attributes in tags if tag == "img"]
    assert any("bandwidths of U-Net & CRF over the updates" in one for one in alternatives)


def test_every_picture_and_control_has_words(text):
    tags = Reader(text).tags
    labelled = re.sub(r"<label>.*?</label>", "", text, flags=re.S)
    for tag, attributes in tags:
        if tag == "img":
            assert attributes["alt"]
    for tag, attributes in Reader(labelled).tags:
        if tag in ("input", "select", "textarea"):
            assert attributes["aria-label"]


def test_the_same_page_again(run, text):
    assert page.render(run, number=5) == text


def test_cases_from_the_best_to_the_worst(browser, tested):
    assert [one["id"] for one in browser["cases"]] == [tested[index].id for index in BEST_FIRST]
    assert [one["gain"] for one in browser["cases"]] == [
        "+4.50",
        "+3.00",
        "+1.00",
        "+0.00",
        "-2.00",
    ]
    assert browser["sides"] == [ROW, "U-Net & CRF", "ground truth"]
    assert (browser["before"], browser["after"]) == (0, 1)
    assert [name for name, _ in browser["labels"]] == [*LABELS[1:]]
    # Case 0, the third: its Dice, a missing HD95, and changed points of rows with a CRF only.
    plain, joint = (
        dict(zip(browser["columns"], n, strict=True)) for n in browser["cases"][2]["numbers"]
    )
    assert (plain["Dice %"], plain["HD95 ↓"], plain["changed %"]) == ("80.00", "-", "-")
    assert (joint["Dice %"], joint["HD95 ↓"], joint["changed %"]) == ("81.00", "1.00", "2.50")


def test_fewer_cases(run):
    results = runs.read_json(run / "results.json")
    shown = case_browser.browser(results, run, number=3)
    ranks = [one["title"].split("rank ")[1] for one in shown["cases"]]
    assert ranks == ["1 of 5", "3 of 5", "5 of 5"]
    assert shown["total"] == 5


def test_a_row_alone_is_compared_with_the_truth(run):
    results = runs.read_json(run / "results.json")
    alone = Comparison({"plain": COMPARED.rows["plain"]}, [], ("plain",), None)
    shown = case_browser.browser(
        {**results, "comparison": dataclasses.asdict(alone)}, run, number=2
    )
    assert (shown["sides"][shown["before"]], shown["sides"][shown["after"]]) == (
        ROW,
        "ground truth",
    )
    assert all(one["title"] == one["id"] and not one["gain"] for one in shown["cases"])


def test_pictures(browser, tested):
    # The margin around the structures is wider than these images: nothing is cut off.
    for one, index in zip(browser["cases"], BEST_FIRST, strict=True):
        case = tested[index]
        height, width = case.label.shape
        assert one["size"] == [width, height]
        assert one["ratio"] == pytest.approx(width / height, abs=1e-4)
        found = np.asarray(picture(one["image"]))
        np.testing.assert_array_equal(found, np.round(255 * case.image))
        shifted = [np.roll(case.label, shift, axis=1) for shift in (2, 1, 0)]
        for uri, expected in zip(one["maps"], shifted, strict=True):
            np.testing.assert_array_equal(np.asarray(picture(uri)), expected)
            colours = np.asarray(picture(uri).convert("RGBA"))
            np.testing.assert_array_equal(colours[..., 3], 255 * (expected > 0))
            for label, (_, colour) in enumerate(browser["labels"], 1):
                assert [
                    "#{:02x}{:02x}{:02x}".format(*c) for c in colours[expected == label][:1, :3]
                ] == [colour]


def test_outline():
    labels = np.random.default_rng(0).integers(0, 3, (5, 7))
    found = set()
    for x, y, way, end in re.findall(r"M(\d+) (\d+)([HV])(\d+)", case_browser.outline(labels)):
        x, y, end = int(x), int(y), int(end)
        steps = range(x, end) if way == "H" else range(y, end)
        found |= {(way, step, y) if way == "H" else (way, x, step) for step in steps}
    padded = np.pad(labels, 1)
    expected = set()
    for y in range(6):
        for x in range(7):
            if padded[y, x + 1] != padded[y + 1, x + 1]:
                expected.add(("H", x, y))
    for y in range(5):
        for x in range(8):
            if padded[y + 1, x] != padded[y + 1, x + 1]:
                expected.add(("V", x, y))
    assert found == expected


def test_slice_of_a_volume():
    # Across axis 1, plain and joint differ in slice 2 the most.
    label = np.zeros((5, 4, 6), "uint8")
    label[1:4, :, 2:5] = 1
    plain, joint = label.copy(), label.copy()
    joint[1:3, 2] = 0
    joint[1, 1, 2] = 0
    image = np.random.default_rng(0).random((5, 4, 6, 1)).astype("float32")
    case = data.Case(image, label, (3.0, 1.0, 2.0), "a", "a")
    tested = cases.Ranked(case, 0.5, {"plain": plain, "joint": joint}, {})
    shown = cases.show(tested, Config(slice_axis=1), COMPARED)
    np.testing.assert_array_equal(shown.image, image[:, 2])
    np.testing.assert_array_equal(shown.truth, label[:, 2])
    np.testing.assert_array_equal(shown.maps["joint"], joint[:, 2])
    assert shown.spacing == (3.0, 2.0)


def test_command_of_the_main_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words, name in (
        ("--dataset hippocampus --quick --width 5 --normalization none --flips true", "h"),
        ("--dataset phantom --models unet segnet+crfrnn --search-theta-alpha 1 2.5", "my run"),
    ):
        parser = compare.make_parser()
        options = parser.parse_args([*words.split(), "--name", name])
        made = compare._single(options)
        identity = {
            "config": dataclasses.asdict(made.config),
            "comparison": dataclasses.asdict(made.comparison),
            "backend": "jax",
        }
        runs.open_run(made.folder, identity)
        found = shlex.split(command(made.folder))
        assert found[:4] == ["KERAS_BACKEND=jax", "python", "-m", "experiments.compare"]
        assert len(found[4:]) == len([*words.split(), "--name", name])
        again = compare._single(parser.parse_args(found[4:]))
        assert again == made


@pytest.mark.parametrize("name", ["controlled", "controlled-full"])  # of the same rows
def test_command_of_a_study(tmp_path, name):
    file = f"experiments/studies/{name}.toml"
    setting = plan.read(file).tasks["wbc1-10"]
    identity = {
        "config": dataclasses.asdict(dataclasses.replace(setting.config, seeds=9)),
        "comparison": dataclasses.asdict(setting.comparison),
        "backend": "tensorflow",
    }
    folder = tmp_path / "mine" / "wbc1-10"
    runs.open_run(folder, identity)
    assert command(folder) == (
        f"python -m experiments.compare --config {file} "
        f"--settings wbc1-10 --seeds 9 --name mine --runs {tmp_path}"
    )
    other = Comparison(COMPARED.rows, [], ("plain",), None)
    runs.open_run(folder, {**identity, "comparison": dataclasses.asdict(other)}, force=True)
    assert "--config STUDY.toml --settings wbc1-10" in command(folder)


def test_written(run, capsys):
    assert report.main([str(run)]) == 0
    assert [path.name for path in run.glob("report*")] == ["report.html"]
    assert str(run / "report.html") in capsys.readouterr().out
    assert (run / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_a_study_has_a_page_per_finished_setting(run, tmp_path, capsys):
    for name in ("one", "two", "three"):
        shutil.copytree(run, tmp_path / name, ignore=shutil.ignore_patterns("*.html"))
    (tmp_path / "three" / "results.json").unlink()
    assert report.main([str(tmp_path), "--cases", "1"]) == 0
    assert [path.parent.name for path in sorted(tmp_path.glob("*/report.html"))] == ["one", "two"]
    assert "three is not finished" in capsys.readouterr().err


def spoil(folder, how):
    if how == "unfinished":
        (folder / "results.json").unlink()
    elif how == "no maps":
        (folder / "seed-0" / "joint.npz").unlink()
    elif how == "no run":
        shutil.rmtree(folder)
    elif how == "no data":
        change(folder, lambda results: results["config"].update(dataset="/not/there"))
    elif how == "other data":
        change(folder, lambda results: results["seeds"][0]["plain"]["cases"][1].update(id="y"))


def change(folder, edit):
    results = runs.read_json(folder / "results.json")
    edit(results)
    runs.write_json(folder / "results.json", results)


@pytest.mark.parametrize(
    "how, message",
    [
        ("unfinished", "is not finished. This finishes it:\n\n    python -m experiments.compare"),
        ("no maps", "has no label maps of joint"),
        ("no run", "is no run: expected a folder with run.json"),
        ("no data", "The page shows images of the run's data set, '/not/there': expected"),
        ("other data", "the test cases are no longer those of the run"),
        ("no case", "--cases must be at least 1. Received: 0"),
        ("study", "has 2 finished settings, and --output names one page"),
    ],
)
def test_errors(run, tmp_path, capsys, how, message):
    folder = tmp_path / "made-up"
    shutil.copytree(run, folder)
    spoil(folder, how)
    more = ["--cases", "0"] if how == "no case" else []
    if how == "study":
        shutil.copytree(run, tmp_path / "other")
        folder, more = tmp_path, ["-o", str(tmp_path / "x.html")]
    with pytest.raises(SystemExit):
        report.main([str(folder), *more])
    assert message in capsys.readouterr().err


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
            *("--enable-logging=stderr", "--dump-dom", "--virtual-time-budget=10000"),
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
