"""The page of results: docs/results.md, its figures, marked numbers elsewhere, from JSON alone.

    python -m experiments.publish                                generate everything again
    python -m experiments.publish runs/controlled/study.json     take in new results first
    python -m experiments.publish runs/phantom/results.json      the same, of the main job

In the order of the data: study (what is kept of a finished study in experiments/results/, and how
it is read) > verdicts (differences and what they are called) > tables, figures > page (the template
docs/results.template.md, where the text is written by hand and every number comes from a study).
"""
