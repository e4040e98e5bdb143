"""See what a CRF does, live: image and probabilities -> a page of sliders in notebooks, browsers.

In: arrays. Out: a widget, or a page served on this machine; what its user chose as arguments of
`refine`. `front/` is the page itself, the same in notebooks, on the command line and in docs/.
Stands on `diagnosis` and all below; `cli` opens it.
"""
