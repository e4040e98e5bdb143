"""Files that nnU-Net's own export function writes, through `crfrnn refine`."""

import json
import warnings

import nibabel
import numpy as np
import pytest

from crfrnn import refine
from tests.cli.scenes import AFFINE, CRF, OPTIONS, SPACING, VOLUME, nifti, results, run, scene

# (L, ...) in nnU-Net's axes (z, y, x), of which its plans put another first; spacing likewise.
FORWARD, BACKWARD = [2, 0, 1], [1, 2, 0]
DATASET = {
    "channel_names": {"0": "scan"},
    "labels": {"background": 0, "organ": 1, "lesion": 2},
    "file_ending": ".nii.gz",
}
CROP = [[0, 9], [1, 7], [2, 12]]  # of (x, z, y); outside there is background


@pytest.fixture(scope="module")
def export():
    """nnU-Net's function, and plans with a reader of its own."""
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has no folders of its own here
        module = pytest.importorskip("nnunetv2.inference.export_prediction", exc_type=ImportError)
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
    resampling = "resample_data_or_seg_to_shape"
    configuration = {
        "architecture": {},
        "spacing": [SPACING[::-1][axis] for axis in FORWARD],
        "resampling_fn_probabilities": resampling,
        "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0},
    }
    plans = PlansManager(
        {
            "image_reader_writer": "SimpleITKIO",
            "label_manager": "LabelManager",
            "transpose_forward": FORWARD,
            "transpose_backward": BACKWARD,
            "configurations": {"3d_fullres": configuration},
        }
    )
    return module.export_prediction_from_logits, plans


def predicted(export, scan, probs, to):
    """Writes what nnU-Net predicts for a NIfTI file; returns its probabilities (x, y, z, L)."""
    function, plans = export
    _, properties = plans.image_reader_writer_class().read_images([str(scan)])
    logits = np.log(probs).transpose(3, 2, 1, 0).transpose(0, *(1 + axis for axis in FORWARD))
    part = logits[(slice(None), *(slice(*ends) for ends in CROP))]
    properties |= {
        "shape_before_cropping": logits.shape[1:],
        "bbox_used_for_cropping": CROP,
        "shape_after_cropping_and_before_resampling": part.shape[1:],
    }
    configuration = plans.get_configuration("3d_fullres")
    function(part, properties, configuration, plans, DATASET, str(to), save_probabilities=True)
    whole = np.zeros_like(logits)
    whole[0] = 1
    whole[(slice(None), *(slice(*ends) for ends in CROP))] = np.exp(part) / np.exp(part).sum(0)
    return whole.transpose(0, *(1 + axis for axis in BACKWARD)).T


def test_a_folder_of_predictions(export, tmp_path):
    (tmp_path / "predictions").mkdir()
    expected = {}
    for number in range(2):
        name = f"case_{number}"
        image, probs, _ = scene(VOLUME, seed=number)
        scan = nifti(tmp_path / f"imagesTs/{name}_0000.nii.gz", image, AFFINE)
        whole = predicted(export, scan, probs, tmp_path / "predictions" / name)
        expected[f"{name}.nii.gz"] = refine(image, whole, spacing=SPACING, **CRF).argmax(-1)
        label_map = nibabel.load(tmp_path / f"predictions/{name}.nii.gz")
        assert (np.asarray(label_map.dataobj) == whole.argmax(-1)).all()  # the axes are nnU-Net's
    for name in ("dataset.json", "plans.json", "predict_from_raw_data_args.json"):
        (tmp_path / "predictions" / name).write_text(json.dumps(DATASET))
    assert len(results(tmp_path / "predictions")) == 9

    out = tmp_path / "refined"
    run("refine", tmp_path / "imagesTs", tmp_path / "predictions", "-o", out, *OPTIONS)
    assert results(out) == sorted(expected)
    for name, labels in expected.items():
        refined = nibabel.load(out / name)
        assert (np.asarray(refined.dataobj) == labels).all()
        assert (labels > 0).any()
        np.testing.assert_array_equal(refined.affine, AFFINE)
