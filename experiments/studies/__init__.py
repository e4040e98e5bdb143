"""What is asked: the studies, a TOML file each, and the presets of the main job.

In come a study's file, or a data set's name, and options; out come settings (`config.Config`) and
rows (`rows.Comparison`), for `compare` to run. plan.py says what a file may contain.
"""
