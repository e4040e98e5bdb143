"""Build the native library; everything else is declared in pyproject.toml.

The library is plain C++17 behind a C interface: it knows neither Python nor any framework, so one
wheel per platform serves every Python version. Without a C++ compiler the installation succeeds
all the same and crfrnn filters with keras.ops and NumPy, more slowly; set CRFRNN_REQUIRE_NATIVE=1
to make a failed build an error.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

NATIVE = Path("crfrnn", "native")
FAILURES = (BaseError, CCompilerError, OSError)  # no compiler, or one that cannot do it
# What is built for: that of this Python, unless a cross compiler's user sets the variable
# _PYTHON_HOST_PLATFORM (tools/wheels does).
PLATFORM = sysconfig.get_platform()
WINDOWS = PLATFORM.startswith(("win", "mingw"))
SOURCES = {"crfrnn": "c_api.cpp"}
if not WINDOWS:  # TensorFlow's Windows builds do not export its C interface
    SOURCES["crfrnn_tensorflow"] = "tensorflow_ops.cpp"
FILE_NAME = "{}.dll" if WINDOWS else "lib{}.dylib" if PLATFORM.startswith("macosx") else "lib{}.so"
REQUIRED = os.environ.get("CRFRNN_REQUIRE_NATIVE", "0") not in ("", "0")

# Never -march=native: the library chooses its instruction set when it is loaded, so that a wheel
# built on one machine runs on any other of its architecture.
COMPILE = {
    "msvc": ["/std:c++17", "/O2", "/EHsc"],
    # -g0: the flags a Python was built with, which come first, often ask for debug information.
    # -ffp-contract=off: the same bits whichever instruction set is chosen.
    # -fno-math-errno, -fno-trapping-math: without them the exponential does not become vector
    # code, and the softmax is three times slower.
    "unix": [
        *("-std=c++17", "-O3", "-g0", "-fvisibility=hidden", "-fvisibility-inlines-hidden"),
        *("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-pthread"),
    ],
}
LINK = {"msvc": [], "unix": ["-pthread", *(["-ldl"] if PLATFORM.startswith("linux") else [])]}


class BuildNative(build_ext):
    """Compiles the sources to one shared library that is no Python module."""

    def run(self) -> None:
        self._find_compiler()
        try:
            super().run()
        except FAILURES as error:
            if REQUIRED:
                raise
            self._go_without(error)

    def build_extensions(self) -> None:
        kind = "msvc" if self.compiler.compiler_type == "msvc" else "unix"
        for extension in self.extensions:
            extension.extra_compile_args = COMPILE[kind]
            extension.extra_link_args = LINK[kind]
        super().build_extensions()

    def get_ext_filename(self, fullname: str) -> str:
        # Called with and without the package's name in front.
        *packages, name = fullname.split(".")
        return str(Path(*packages, FILE_NAME.format(name)))

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return []  # there is no PyInit function to export

    def _find_compiler(self) -> None:
        # Some distributions of Python name the compiler of the machine they were built on.
        configured = (sysconfig.get_config_var("CXX") or "").split()
        if "CXX" not in os.environ and configured and not shutil.which(configured[0]):
            present = next(filter(shutil.which, ("c++", "g++", "clang++")), configured[0])
            os.environ["CXX"] = present

    def _go_without(self, error: Exception) -> None:
        # A library left by an earlier, successful build would not match the sources of this one.
        if self.inplace or self.editable_mode:
            for name in SOURCES:
                (NATIVE / FILE_NAME.format(name)).unlink(missing_ok=True)
        self.extensions = []
        print(
            "crfrnn: WARNING: the native library was not built; crfrnn works without it, but\n"
            "crfrnn: WARNING: filters more slowly. Install a C++17 compiler (Debian: g++) and\n"
            f"crfrnn: WARNING: reinstall crfrnn to have it. The reason: {error}",
            file=sys.stderr,
        )


class Wheel(bdist_wheel):
    """Tags the wheel by what is in it: any Python, and any platform when there is no library."""

    def get_tag(self) -> tuple[str, str, str]:
        platform = super().get_tag()[2]
        library = NATIVE / FILE_NAME.format("crfrnn")
        built = Path(self.get_finalized_command("build").build_lib, library).exists()
        return "py3", "none", platform if built else "any"


setup(
    ext_modules=[
        Extension(
            f"crfrnn.native.{name}",
            sources=[(NATIVE / source).as_posix()],
            depends=sorted(path.as_posix() for path in NATIVE.glob("*.h")),
            language="c++",
        )
        for name, source in SOURCES.items()
    ],
    cmdclass={"build_ext": BuildNative, "bdist_wheel": Wheel},
)
