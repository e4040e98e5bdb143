"""The committed results of finished studies and runs, a JSON file each.

In come study.json and results.json of folders of runs, by ``python -m experiments.publish``; out
come the tables, figures and numbers of the documentation, by the same command.
"""
