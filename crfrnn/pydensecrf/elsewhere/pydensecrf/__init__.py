"""The package that `import pydensecrf` finds first: puts the drop-in in its own place."""

from crfrnn.pydensecrf.alias import install

if __name__ == "pydensecrf":
    install(replace=True)
