"""What public code bases do with pydensecrf, in our own words; it knows nothing of crfrnn.

    python call_sites.py SCENE.npz LABELS.npz

The scene has `image` (H, W, 3) and `volume` (D, H, W) uint8, `probs` (3, H, W) and
`volume_probs` (2, D, H, W). The imports are in all the ways in which people write them. Nothing but
pydensecrf and NumPy is imported.
"""

import sys

import numpy as np


def pseudo_labels(image, probs):
    """Weak supervision: activation maps, cut where they are sure, become labels; the rest is 0."""
    import pydensecrf.densecrf as dcrf
    from pydensecrf.utils import unary_from_labels

    height, width = image.shape[:2]
    seeds = np.where(probs.max(0) > 0.6, 1 + probs.argmax(0), 0)
    crf = dcrf.DenseCRF2D(width, height, 3)
    crf.setUnaryEnergy(unary_from_labels(seeds, 3, gt_prob=0.7, zero_unsure=True))
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=50, srgb=5, rgbim=np.ascontiguousarray(np.copy(image)), compat=10)
    return np.argmax(np.array(crf.inference(10)).reshape((3, height, width)), axis=0)


def trusted_labels(image, probs):
    """The same without unsure pixels, as where a network's own labels are cleaned."""
    from pydensecrf import densecrf, utils

    labels = probs.argmax(0).astype(np.int32)
    crf = densecrf.DenseCRF2D(image.shape[1], image.shape[0], 3)
    crf.setUnaryEnergy(utils.unary_from_labels(labels, 3, gt_prob=0.9, zero_unsure=False))
    crf.addPairwiseGaussian(sxy=(3, 3), compat=3, kernel=densecrf.DIAG_KERNEL)
    crf.addPairwiseBilateral(
        sxy=(80, 80),
        srgb=(13, 13, 13),
        rgbim=image,
        compat=10,
        kernel=densecrf.DIAG_KERNEL,
        normalization=densecrf.NORMALIZE_SYMMETRIC,
    )
    return np.argmax(crf.inference(5), axis=0).reshape(image.shape[:2])


def deeplab(image, probs):
    """Post-processing of a network's logits; the energies are their negative log-softmax."""
    import pydensecrf.densecrf as dcrf
    import pydensecrf.utils as utils

    logits = np.log(probs) + 3.0
    exponentials = np.exp(logits - logits.max(0))
    labels, height, width = logits.shape
    energies = np.ascontiguousarray(utils.unary_from_softmax(exponentials / exponentials.sum(0)))
    crf = dcrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(energies)
    crf.addPairwiseGaussian(sxy=1, compat=3)
    crf.addPairwiseBilateral(sxy=67, srgb=3, rgbim=np.ascontiguousarray(image), compat=4)
    return np.array(crf.inference(10)).reshape((labels, height, width)).argmax(axis=0)


def saliency(image, probs):
    """A grey map of what stands out; its energies are tempered logarithms, put together by hand."""
    import pydensecrf.densecrf as dcrf

    height, width = image.shape[:2]
    there = np.round(255 * probs[2]).astype(np.uint8) / 255.0
    energies = np.zeros((2, height * width), dtype="float32")
    for label, map_ in enumerate((1.0 - there, there)):
        temper = 1.05 / (1 + np.exp(-map_))
        energies[label, :] = (-np.log(map_ + 1e-8) / temper).flatten()
    crf = dcrf.DenseCRF2D(width, height, 2)
    crf.setUnaryEnergy(energies)
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=60, srgb=5, rgbim=image, compat=5)
    refined = np.array(crf.inference(1)).astype("float32")[1].reshape((height, width)) * 255
    return (refined > 127).astype(np.uint8)


def unsupervised(image, probs):
    """Clusters of features, coarser than the image and enlarged, with that method's settings."""
    import pydensecrf.densecrf as dcrf
    import pydensecrf.utils as utils

    coarse = probs[:, ::4, ::4]
    enlarged = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, : image.shape[0], : image.shape[1]]
    image = np.ascontiguousarray(image[:, :, ::-1])
    energies = np.ascontiguousarray(utils.unary_from_softmax(enlarged))
    crf = dcrf.DenseCRF2D(image.shape[1], image.shape[0], len(energies))
    crf.setUnaryEnergy(energies)
    crf.addPairwiseGaussian(sxy=1, compat=3)
    crf.addPairwiseBilateral(sxy=67, srgb=3, rgbim=image, compat=4)
    return np.argmax(np.array(crf.inference(10)).reshape(enlarged.shape), axis=0)


def volumes(volume, probs):
    """Voxels: features by the helper functions, any number of axes."""
    import pydensecrf.densecrf as dcrf
    from pydensecrf.utils import (
        create_pairwise_bilateral,
        create_pairwise_gaussian,
        unary_from_softmax,
    )

    crf = dcrf.DenseCRF(int(np.prod(volume.shape)), len(probs))
    crf.setUnaryEnergy(unary_from_softmax(probs))
    crf.addPairwiseEnergy(create_pairwise_gaussian((1, 3, 3), volume.shape), compat=3)
    features = create_pairwise_bilateral(
        sdims=(2, 10, 10), schan=(15,), img=volume[..., None], chdim=3
    )
    crf.addPairwiseEnergy(features, compat=np.array([[-5, 0], [0, -5]], np.float32))
    return np.argmax(crf.inference(5), axis=0).reshape(volume.shape)


def text_mask(image, probs):
    """Lettering in a page: few iterations, kernels that are not normalised."""
    import pydensecrf.densecrf as dcrf
    from pydensecrf.utils import unary_from_softmax

    height, width = image.shape[:2]
    mask = np.round(255 * probs[2]).astype(np.uint8)[:, :, None]
    both = np.concatenate([255 - mask, mask], axis=2).astype(np.float32) / 255.0
    energies = unary_from_softmax(both.transpose((2, 0, 1)).reshape((2, -1)))
    crf = dcrf.DenseCRF2D(width, height, 2)
    crf.setUnaryEnergy(np.ascontiguousarray(energies))
    plain = dict(kernel=dcrf.DIAG_KERNEL, normalization=dcrf.NO_NORMALIZATION)
    crf.addPairwiseGaussian(sxy=1, compat=3, **plain)
    crf.addPairwiseBilateral(sxy=23, srgb=7, rgbim=image, compat=20, **plain)
    return np.argmax(crf.inference(5), axis=0).reshape((height, width)).astype(np.uint8)


def watched(image, probs):
    """Step by step, until the divergence hardly falls."""
    import pydensecrf
    import pydensecrf.densecrf
    import pydensecrf.utils

    crf = pydensecrf.densecrf.DenseCRF2D(image.shape[1], image.shape[0], len(probs))
    crf.setUnaryEnergy(pydensecrf.utils.unary_from_softmax(probs, scale=0.9))
    crf.addPairwiseBilateral(40, 10, image, compat=np.full(len(probs), -4, np.float32))
    q, scratch, more = crf.startInference()
    before = crf.klDivergence(q)
    for _ in range(20):
        crf.stepInference(q, scratch, more)
        now = crf.klDivergence(q)
        if before - now < 1e-3 * abs(before):
            break
        before = now
    return np.argmax(np.array(q), axis=0).reshape(image.shape[:2])


SITES = [pseudo_labels, trusted_labels, deeplab, saliency, unsupervised, text_mask, watched]

if __name__ == "__main__":
    scene = np.load(sys.argv[1])
    found = {site.__name__: site(scene["image"], scene["probs"]) for site in SITES}
    found["volumes"] = volumes(scene["volume"], scene["volume_probs"])
    np.savez(sys.argv[2], **found)
