"""A page about one run, in one file that needs no network: table, curves, cases to look at.

    python -m experiments.report runs/phantom                   runs/phantom/report.html
    python -m experiments.report runs/phantom -o page.html      elsewhere
    python -m experiments.report runs/controlled                of a study, a page per setting

In the order of the data: command (what made the run) and cases (pictures, outlines and numbers of
some test cases) > page (page.html with page.css and page.js, filled in).
"""
