"""The page about one run, which `python -m experiments.report RUN` writes.

In the order of the data: command (what made the run) and browser (pictures, outlines and numbers
of some test cases) > page (page.html with page.css and page.js, filled in).
"""
