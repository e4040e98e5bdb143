"""What a study found, shown: tables, figures, pictures of cases, the pages of docs and of a run.

In come results (results.json of a run, experiments/results/*.json), out go Markdown, figures and
HTML. The commands may import it: experiments.compare, publish and report. In the order of the data:

results (read, as rows of numbers) > verdicts (differences, and what they are called) > tables,
figures > run_table (table.md), pages (docs); cases (test cases and their label maps) > pictures,
report/ (one page about one run).
"""
