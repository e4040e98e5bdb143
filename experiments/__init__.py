"""The study: U-Net, U-Net + offline CRF and U-Net + CRF-RNN, compared fairly.

In the order of the data: config, presets (settings) > inputs (slices, batches) > models,
training > offline (the CRF's search) > evaluation, metrics > repetition (all of that for one seed)
> stats, table, curves, pictures. runs holds the folder of a run; rows names the table's rows.
Commands, as python -m experiments.<name>: compare, train, evaluate, table; and first_guess, the
study behind the constants of crfrnn.first_guess.
"""
