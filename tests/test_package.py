"""Promises of the packages as a whole: what importing loads, who imports whom, what is built."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FRAMEWORKS = ("keras", "tensorflow", "jax", "torch")


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_numpy_in_and_out_loads_no_framework():
    program = f"""
import sys
import numpy as np
import crfrnn
crfrnn.native_status()
values, positions = np.ones((6, 2), "float32"), np.ones((6, 3), "float32")
for method in ("exact", "lattice"):
    assert isinstance(crfrnn.gaussian_filter(values, positions, method=method), np.ndarray)
crfrnn.gaussian_filter(values, positions, native=False)
image, probs = np.zeros((4, 5, 1), "float32"), np.full((4, 5, 2), 0.5, "float32")
crfrnn.refine(image, probs, theta_alpha=3.0, theta_beta=1.0, theta_gamma=2.0,
              bilateral_weight=1.0, spatial_weight=1.0)
print(sorted(set({FRAMEWORKS}) & set(sys.modules)))
"""
    result = python("-c", program)
    assert (result.stdout.strip(), result.returncode) == ("[]", 0), result.stderr


@pytest.mark.parametrize(
    ("missing", "present", "words"),
    [
        (
            ["keras"],
            "jax",
            r"keras is missing: pip install one of 'crfrnn\[tensorflow\]', .*\.\)\.$",
        ),
        (["tensorflow"], "jax", "tensorflow is missing: .*, or set KERAS_BACKEND=jax, which is"),
        (["tensorflow", "jax"], "torch", "tensorflow is missing: .*KERAS_BACKEND=torch"),
    ],
)
def test_without_keras_the_layers_say_what_to_install(missing, present, words, tmp_path):
    (tmp_path / f"{present}.py").touch()  # is found, and not imported
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
sys.modules |= dict.fromkeys({missing})
import crfrnn
for name in ("CRFRNN", "attach", "DenseCRFLoss", "CRFMonitor"):
    try:
        getattr(crfrnn, name)
    except ImportError as error:
        print(error)
"""
    result = python("-c", program, KERAS_BACKEND="tensorflow")
    assert len(re.findall(words, result.stdout, re.M)) == 4, result


def test_without_keras_unet_and_tensors_say_what_to_install():
    program = """
import sys
sys.modules["keras"] = None
import crfrnn
of_tensorflow = dict(shape=(6, 2), dtype="float32", ndim=2, __module__="tensorflow")
tensor = type("Tensor", (), of_tensorflow)()
for use in (lambda: __import__("unet"), lambda: crfrnn.gaussian_filter(tensor, tensor)):
    try:
        use()
    except ImportError as error:
        print(error)
"""
    result = python("-c", program)
    assert result.stdout.count("'crfrnn[tensorflow]', 'crfrnn[jax]'") == 2, result.stderr


def test_numpy_is_the_only_hard_dependency():
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.findall(r"^dependencies = (.*)$", project, re.M) == ['["numpy"]']


@pytest.mark.parametrize("required", [False, True])
def test_a_build_without_a_compiler_succeeds_unless_the_library_is_required(tmp_path, required):
    pytest.importorskip("setuptools", "77")
    folders = ("--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "temp"))
    missing = {
        "CXX": "/no/compiler",
        "CC": "/no/compiler",
        "CRFRNN_REQUIRE_NATIVE": str(int(required)),
    }
    result = python("setup.py", "build_ext", *folders, **missing)
    assert (result.returncode == 0) == (not required), result.stderr
    assert ("the native library was not built" in result.stderr) == (not required)
    assert not list(tmp_path.rglob("*crfrnn.*"))


@pytest.mark.parametrize(
    ("platform", "names"),
    [
        ("linux-aarch64", {"libcrfrnn.so", "libcrfrnn_tensorflow.so"}),
        ("macosx-11.0-arm64", {"libcrfrnn.dylib", "libcrfrnn_tensorflow.dylib"}),
        ("win-arm64", {"crfrnn.dll"}),
    ],
)
def test_a_cross_compiler_builds_what_its_platform_calls_a_library(platform, names, tmp_path):
    """The compiler is one that writes an empty file and its arguments into a list."""
    pytest.importorskip("setuptools", "77")
    compiler = tmp_path / "compiler.py"
    compiler.write_text(
        "import pathlib, sys\n"
        "pathlib.Path(sys.argv[sys.argv.index('-o') + 1]).touch()\n"
        f"print(*sys.argv, file=open({str(tmp_path / 'list')!r}, 'a'))\n"
    )
    command = f"{sys.executable} {compiler}"
    result = python(
        *("setup.py", "build_ext"),
        *("--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "temp")),
        _PYTHON_HOST_PLATFORM=platform,
        CXX=command,
        LDCXXSHARED=f"{command} -shared",
        CRFRNN_REQUIRE_NATIVE="1",
    )
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "lib").rglob("*.*")} == names
    linked = [line for line in (tmp_path / "list").read_text().splitlines() if "-shared" in line]
    assert len(linked) == len(names)
    assert all(("-ldl" in line) == platform.startswith("linux") for line in linked)
