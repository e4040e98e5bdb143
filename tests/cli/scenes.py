"""Scenes for the command: images, probabilities and truths in files; and the command itself."""

import nibabel
import numpy as np
from PIL import Image

from crfrnn import refine
from crfrnn.cli import batch

CRF = dict(
    theta_alpha=6.0, theta_beta=25.0, theta_gamma=1.5, bilateral_weight=4.0, spatial_weight=2.0
)
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in CRF.items()]
SHAPE, VOLUME = (18, 24), (9, 12, 7)  # no two axes alike


def run(*arguments, status=0):
    """Output (with errors) of a command that ends with this status."""
    from click.testing import CliRunner

    from crfrnn.cli.commands import crfrnn

    result = CliRunner().invoke(crfrnn, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def scene(shape=SHAPE, labels=3, seed=0, channels=None):
    """An image (0..255) of boxes, noisy probabilities of it, and the truth."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.uint8)
    truth[tuple(slice(s // 4, 3 * s // 4) for s in shape)] = 1
    truth[tuple(slice(s // 3, s // 2) for s in shape)] = labels - 1
    size = shape if channels is None else (*shape, channels)
    levels = truth if channels is None else truth[..., None]
    image = np.clip(40 + 60.0 * levels + rng.normal(0, 6, size), 0, 255).astype(np.uint8)
    logits = 1.5 * np.eye(labels)[truth] + rng.normal(0, 0.8, (*shape, labels))
    probs = np.exp(logits)
    return image, (probs / probs.sum(-1, keepdims=True)).astype(np.float32), truth


def picture(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


AFFINE = np.array([[0, -1.5, 0, 9], [0, 0, 2, -4], [3, 0, 0, 7], [0, 0, 0, 1.0]])
SPACING = (3.0, 1.5, 2.0)


def nifti(path, array, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(array, affine).to_filename(path)
    return path


def nnunet(path, probs):
    """(x, y, z, L) as nnU-Net saves it: (L, z, y, x)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, probabilities=np.transpose(probs, (3, 2, 1, 0)))
    return path


def read(path):
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".npz":
        with np.load(path) as file:
            (key,) = file.files
            return file[key]
    if path.name.endswith(".nii.gz"):
        return np.asarray(nibabel.load(path).dataobj)
    with Image.open(path) as file:
        return np.asarray(file)


def folder(root, count=4, **options):
    """Pictures and probabilities in two folders, and what is expected of each."""
    expected = {}
    for number in range(count):
        image, probs, truth = scene(seed=number, **options)
        picture(root / f"images/case{number}.png", image)
        picture(root / f"labels/case{number}.png", truth)
        (root / "probs").mkdir(exist_ok=True)
        np.save(root / f"probs/case{number}.npy", probs)
        expected[f"case{number}.png"] = refine(image, probs, **CRF).argmax(-1)
    return ["refine", root / "images", root / "probs", "-o", root / "out"], expected


def results(path):
    return sorted(p.name for p in path.iterdir() if p.name != batch.RECORD)
