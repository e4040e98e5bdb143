"""Ctrl-C at random moments of public functions.

    python -m tests.native.interrupted MOMENTS DOOR...

For each door: MOMENTS alarms, each of which has to come out as KeyboardInterrupt; then the result
is what it was before. An alarm does what Ctrl-C does, at a moment that can be chosen.
"""

import contextlib
import io
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np

RNG = np.random.default_rng(0)
GRID = (60, 80)
IMAGE = RNG.uniform(0, 255, (*GRID, 3)).astype(np.float32)
PROBS = RNG.dirichlet((1.0, 1.0), GRID).astype(np.float32)
LABELS = PROBS.argmax(-1)
THETAS = dict(theta_alpha=9.0, theta_beta=60.0, theta_gamma=2.0)
CRF = dict(**THETAS, bilateral_weight=3.0, spatial_weight=1.0)
PLACES = np.indices(GRID).transpose(1, 2, 0) / 9
POINTS = np.concatenate([PLACES, IMAGE / 20], -1).reshape(-1, 5).astype(np.float32)


def refine():
    import crfrnn

    return lambda: crfrnn.refine(IMAGE, PROBS, **CRF)


def gaussian_filter():
    import crfrnn

    return lambda: crfrnn.gaussian_filter(PROBS.reshape(-1, 2), POINTS, native=True)


def gaussian_filter_without_native():
    import crfrnn

    return lambda: crfrnn.gaussian_filter(PROBS.reshape(-1, 2), POINTS, native=False)


def mean_field():
    import crfrnn

    return lambda: crfrnn.mean_field(np.log(PROBS)[None], IMAGE[None], num_iterations=3, **CRF)


def dense_crf():
    import crfrnn

    def call():
        crf = crfrnn.DenseCRF(IMAGE, 2, **CRF)
        crf.set_unary(probs=PROBS)
        crf.step(5)
        return crf.probs()

    return call


def pydensecrf():
    from crfrnn.pydensecrf import densecrf, utils

    def call():
        crf = densecrf.DenseCRF2D(GRID[1], GRID[0], 2)
        crf.setUnaryEnergy(utils.unary_from_softmax(PROBS.transpose(2, 0, 1)))
        crf.addPairwiseGaussian(sxy=2, compat=3)
        crf.addPairwiseBilateral(sxy=9, srgb=20, rgbim=IMAGE.astype(np.uint8), compat=3)
        return np.array(crf.inference(5))

    return call


def first_guess():
    import crfrnn

    return lambda: str(crfrnn.first_guess(IMAGE, PROBS))


def search():
    import crfrnn

    def call():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cases = [[part[:30], part[30:]] for part in (IMAGE, PROBS, LABELS)]
            found = crfrnn.search(*cases, trials=4, workers=1, progress=False)
        if found.interrupted:  # from the third trial on: it returns the best so far
            raise KeyboardInterrupt
        return str(found.best)

    return call


def diagnose():
    import crfrnn

    return lambda: str(crfrnn.diagnose(IMAGE, PROBS, LABELS, **CRF))


def folder():
    from PIL import Image

    from crfrnn.cli.commands import crfrnn
    from crfrnn.cli.options import INTERRUPTED

    top = Path(tempfile.mkdtemp())
    for name in ("images", "probs"):
        (top / name).mkdir()
    for name in "abc":
        Image.fromarray(IMAGE.astype(np.uint8)).save(top / "images" / f"{name}.png")
        np.save(top / "probs" / f"{name}.npy", PROBS)
    given = [f"--{name.replace('_', '-')}={value}" for name, value in CRF.items()]
    paths = [str(top / name) for name in ("images", "probs")]
    command = ["refine", *paths, "-o", str(top / "refined"), "--jobs", "1", *given]

    def call():
        shutil.rmtree(top / "refined", ignore_errors=True)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                crfrnn(command)
        except SystemExit as end:
            # In click's own lines before and behind ours it is "Aborted!".
            if end.code == INTERRUPTED or "Aborted!" in said.getvalue():
                raise KeyboardInterrupt from end
            assert end.code == 0, said.getvalue()
        assert not list((top / "refined").rglob(".unfinished*"))
        return str([zlib.crc32(path.read_bytes()) for path in sorted(top.glob("refined/?.*"))])

    return call


def layer():
    import keras

    import crfrnn

    crf = crfrnn.CRFRNN(**CRF, num_iterations=3)
    return lambda: keras.ops.convert_to_numpy(crf([np.log(PROBS)[None], IMAGE[None]]))


def fit():
    import keras

    import crfrnn

    keras.utils.set_random_seed(0)
    image = keras.Input((*GRID, 3))
    network = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same")(image / 255))
    model = crfrnn.attach(network, **CRF, num_iterations=2)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    start = model.get_weights()

    def call():
        model.set_weights(start)
        model.fit(IMAGE[None], LABELS[None], epochs=2, verbose=0, shuffle=False)
        return model.predict(IMAGE[None], verbose=0)

    return call


def loss():
    import keras

    import crfrnn

    energy = crfrnn.DenseCRFLoss(**CRF, from_logits=False)
    return lambda: keras.ops.convert_to_numpy(energy(IMAGE[None], PROBS[None]))


def torch_module():
    import torch

    import crfrnn.torch

    crf = crfrnn.torch.CRFRNN(**CRF, num_labels=2)
    unaries, image = (torch.tensor(a.transpose(2, 0, 1)[None]) for a in (np.log(PROBS), IMAGE))

    def call():
        crf.zero_grad()
        refined = crf(unaries, image)
        refined.square().mean().backward()
        return refined.detach().numpy()

    return call


NUMPY = (
    *(refine, gaussian_filter, gaussian_filter_without_native, mean_field, dense_crf),
    *(pydensecrf, first_guess, search, diagnose, folder),
)
KERAS = (layer, fit, loss)
DOORS = {make.__name__: make for make in (*NUMPY, *KERAS, torch_module)}


hit = []  # where the alarm came, and what Python could not raise
sys.unraisablehook = lambda lost: hit.append(f"not raised, in {lost.object!r}: {lost.exc_type}")


def alarm(number, frame):
    hit[:] = traceback.format_stack(frame)
    signal.raise_signal(signal.SIGINT)


def interrupt(call, moments):
    """AssertionError where an alarm is lost or the next call fails.

    Python itself loses what is raised in a finalizer or the callback of a weak reference, and says
    so: then there is one more alarm.
    """
    call()  # imports, and what is compiled once
    start = time.perf_counter()
    expected = call()
    duration = time.perf_counter() - start
    for moment in moments * duration:
        raised = by_python = False
        end = time.perf_counter() + 10 * duration + 10
        try:
            signal.setitimer(signal.ITIMER_REAL, max(moment, 1e-5))
            while time.perf_counter() < end:
                call()
                if not by_python and hit and hit[-1].startswith("not raised"):
                    by_python = True
                    signal.setitimer(signal.ITIMER_REAL, max(moment, 1e-5))
        except KeyboardInterrupt:
            raised = True
        except ValueError as error:  # JAX makes this of what is raised in its callbacks
            raised = "jax" in sys.modules and "KeyboardInterrupt" in str(error)
            if not raised:
                raise
        assert raised, "the interrupt was lost, here:\n" + "".join(hit)
        hit.clear()
    np.testing.assert_array_equal(call(), expected)


def main(moments, *names):
    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in names:
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        interrupt(DOORS[name](), rng.uniform(0, 1, int(moments)))
        print(name, moments, "interrupts raised, the next call works", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
