"""A folder for PYTHONPATH, where `import pydensecrf` finds the drop-in; see `__main__.py`."""
