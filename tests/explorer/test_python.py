"""The page with Python behind it, in a real browser: as a widget, and served by the command."""

from __future__ import annotations

import base64
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import crfrnn

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(5)
TRUTH = (np.indices((60, 90)).sum(0) > 80).astype(np.uint8) + (np.indices((60, 90))[1] > 70)
IMAGE = 40 * TRUTH[..., None] + RNG.integers(50, 90, (60, 90, 3))
PROBS = crfrnn.probs_from_labels(np.where(RNG.random(TRUTH.shape) < 0.2, 0, TRUTH), 3)

# What a notebook gives to a widget, as little of it as there is: anywidget's model.
HOST = """<!doctype html><style>{css}</style><link rel="icon" href="data:,"><div id="cell"></div>
<script type="module">
import widget from "./widget.js";
const heard = [];
const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const letters = (buffer) => Array.from(new Uint8Array(buffer), (b) => String.fromCharCode(b));
const text = (buffer) => btoa(letters(buffer).join(""));
const model = {{
  get: (name) => ({{ _presets: {presets} }})[name],
  on: (event, listen) => heard.push(listen),
  off: () => {{}},
  async send(content, callbacks, buffers) {{
    const body = JSON.stringify({{ content, buffers: buffers.map(text) }});
    const found = await (await fetch("message", {{ method: "POST", body }})).json();
    for (const listen of heard) listen(found.content, found.buffers.map(bytes));
  }},
}};
widget.render({{ model, el: document.getElementById("cell") }});
</script>"""


@pytest.fixture
def notebook():
    """Serves a widget to a page; returns what does so, and its address."""
    pytest.importorskip("anywidget", reason="the extra `explorer` has it")
    servers = []

    def host(widget):
        sent = []
        widget.send = lambda content, buffers: sent.append((content, buffers))

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def reply(self, content, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(content.encode())

            def do_GET(self):
                if self.path == "/widget.js":
                    return self.reply(widget._esm, "text/javascript; charset=utf-8")
                page = HOST.format(css=widget._css, presets=json.dumps(widget._presets))
                return self.reply(page, "text/html; charset=utf-8")

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                buffers = [base64.b64decode(text) for text in body["buffers"]]
                widget._handle_custom_msg(body["content"], buffers)
                content, buffers = sent.pop()
                texts = [base64.b64encode(buffer).decode() for buffer in buffers]
                self.reply(json.dumps({"content": content, "buffers": texts}), "application/json")

        servers.append(http.server.HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield host
    for server in servers:
        server.shutdown()
        server.server_close()


def labels(browser):
    return np.array(browser.run("Array.from(app.after.arrays.labels)")).reshape(TRUTH.shape)


def test_a_widget_shows_what_refine_gives(browser, notebook):
    widget = crfrnn.explore(IMAGE.astype(np.uint8), PROBS, TRUTH, theta_beta=30)
    assert widget.parameters["theta_beta"] == 30
    browser.open(notebook(widget))
    # A cell has any height: the picture is not to become as long as what stands beside it.
    assert browser.run("[app.main.clientHeight, app.root.clientWidth > 860]") == [700, True]
    browser.rest()
    before = browser.run("app.stage.canvas.toDataURL()")
    browser.slide("theta_gamma", 600)
    browser.slide("bilateral_weight", 0)
    assert browser.run("app.stage.canvas.toDataURL()") != before
    assert widget.parameters == browser.run("app.parameters")
    expected = crfrnn.refine(IMAGE.astype(np.uint8), PROBS, **widget.parameters)
    assert np.array_equal(labels(browser), expected.argmax(-1))
    assert np.array_equal(widget.refined(), expected)
    browser.run("app.pointAt(20, 30)")
    browser.click("Explain")
    browser.wait("document.querySelectorAll('.crf-verdict li').length > 1")
    assert "The mean Dice was" in browser.run("app.verdict.textContent")
    assert browser.errors() == []


def test_a_kernel_that_is_lost_is_told_of(browser, notebook):
    browser.open(notebook(crfrnn.explore(IMAGE, PROBS)))
    browser.rest()
    browser.run("app.engine.model.send = () => { throw new Error('closed') }")
    browser.slide("theta_alpha", 300)
    assert "Python has stopped" in browser.message()
    browser.run("app.engine.onlost('Python has not answered for a while.')")
    assert "not answered" in browser.message()


@pytest.fixture
def served(tmp_path):
    """Starts the command on files of the image; returns the process and its address."""
    for module in ("uvicorn", "starlette"):
        pytest.importorskip(module, reason="the extra `explorer` has it")
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(IMAGE.astype(np.uint8)).save(tmp_path / "photo.png")
    np.save(tmp_path / "probs.npy", PROBS)
    started = []

    def start(*options):
        command = [sys.executable, "-m", "crfrnn", "explore", "photo.png", "probs.npy"]
        process = subprocess.Popen(
            [*command, "--no-browser", *options],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        line = process.stdout.readline()
        return process, re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)[0]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_command_serves_a_page_saves_and_ends(browser, served, tmp_path):
    process, address = served("-o", "out.png", "--theta-beta", "25")
    browser.open(address)
    browser.rest()
    assert browser.run("app.parameters.theta_beta") == 25
    browser.slide("theta_gamma", 500)
    shown = labels(browser)
    parameters = browser.run("app.parameters")
    browser.click("Save")
    browser.wait("document.querySelector('.crf-message').textContent.includes('Written')")
    assert browser.errors() == []
    other = "Object.assign(Object.create(Object.getPrototypeOf(app.engine)), { address: 'other' })"
    assert browser.run(f"{other}.ask('start')") == "ERROR Error: Not Found"
    assert all("404" in error for error in browser.errors())
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0, said
    expected = crfrnn.refine(IMAGE.astype(np.uint8), PROBS, **parameters).argmax(-1)
    pillow = pytest.importorskip("PIL.Image")
    assert np.array_equal(np.asarray(pillow.open(tmp_path / "out.png")), expected)
    assert np.array_equal(shown, expected)
    browser.slide("theta_gamma", 400)
    assert "Python has stopped" in browser.message()
    assert all("ERR_CONNECTION_REFUSED" in error for error in browser.errors())


def status(address, content=None, **headers):
    request = urllib.request.Request(address, content, headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_who_does_not_know_the_address_is_not_served(served):
    _, address = served()
    root = address.split("/", 3)[:3]
    assert status(address) == 200
    assert status("/".join([*root, ""])) == status("/".join([*root, "guess", ""])) == 404
    assert status(f"{address}ask", b"nonsense") == 400
    assert status(address, Host="example.org") == 400
