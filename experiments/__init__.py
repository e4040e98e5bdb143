"""The study: U-Net, U-Net + offline CRF and U-Net + CRF-RNN, compared fairly.

In the order of the data: config, presets (settings), rows (what is compared), study (a file of
both) > inputs (slices, batches) > models, training > offline (the CRF's search), corrections >
evaluation, metrics > repetition (all of that for one seed) > stats, table, curves, pictures. runs
holds the folder of a run; studies/ the studies, results/ what is committed of them, publish makes
the page about it, report one about any run. Commands, as python -m experiments.<name>: compare,
train, evaluate, table, report, publish; and first_guess, the study behind the constants of
crfrnn.first_guess.
"""
