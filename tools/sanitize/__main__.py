"""Run the native tests and random calls under sanitizers.

    python -m tools.sanitize [--inputs N] [--minutes M] [--seed S] [address] [thread]

Needs a C++ compiler with sanitizers (GCC or Clang, on Linux). It ends with status 0 where the
compiler has none, and says so; with status 1 where anything was found.
"""

from __future__ import annotations

import argparse
import sys
import time

from tools.sanitize import build, fuzz, native_tests


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.sanitize", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "sanitizers", nargs="*", metavar="SANITIZER", help="address, thread; both, if none is named"
    )
    parser.add_argument(
        "--inputs", type=int, default=100_000, help="random inputs, ThreadSanitizer a tenth"
    )
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="most that all random inputs may take"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = options.sanitizers or list(build.SANITIZERS)
    if unknown := set(names) - set(build.SANITIZERS):
        parser.error(
            f"expected some of {', '.join(build.SANITIZERS)}; received {', '.join(sorted(unknown))}"
        )
    compiler = build.compiler()
    if compiler is None:
        print(
            "sanitize: SKIPPED: no C++ compiler with sanitizers here (Debian: apt-get install g++)"
        )
        return
    clean = True
    for name in names:
        start = time.monotonic()
        made = build.built(compiler, build.SANITIZERS[name])
        print(f"sanitize: {name}: compiled in {time.monotonic() - start:.0f} s", flush=True)
        clean &= native_tests.run(made)
        inputs = round(options.inputs * made.sanitizer.share)
        clean &= fuzz.run(made, options.seed, inputs, 60 * options.minutes / len(names))
    print(f"sanitize: {'clean' if clean else 'FAILED'}")
    sys.exit(not clean)


if __name__ == "__main__":
    main()
