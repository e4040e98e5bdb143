"""Metrics beside those of MONAI, a well-kept library that defines them in the same way."""

import numpy as np
import pytest
from scipy import ndimage

from experiments.score import metrics
from tests.tolerances import FLOAT32, assert_close

torch = pytest.importorskip("torch", reason="MONAI needs PyTorch")
monai = pytest.importorskip("monai.metrics", reason="pip install monai")

CASES = {  # shape, spacing, tolerance
    "image": ((23, 31), (1.3, 0.6), 1.0),
    "volume": ((9, 16, 12), (2.5, 0.8, 1.2), 1.5),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    """Truth and prediction with labels 0..3, spacing and tolerance; label 3 is in neither."""
    shape, spacing, tolerance = request.param
    random = np.random.default_rng(5)
    smooth = ndimage.gaussian_filter(random.normal(size=(2, *shape)), (0, *(2,) * len(shape)))
    smooth /= smooth.std()
    truth, prediction = np.digitize((smooth[0], smooth[0] + 0.3 * smooth[1]), (0.3, 1.0))
    return truth, prediction, spacing, tolerance


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's own doing
@pytest.mark.filterwarnings("ignore:.*is all 0:UserWarning")  # label 3
def test_case_metrics_are_monais(case):
    truth, prediction, spacing, tolerance = case
    found = metrics.case_metrics(truth, prediction, 4, spacing, 2.0, tolerance_mm=tolerance)
    t, p = (torch.tensor(np.moveaxis(np.eye(4)[x], -1, 0)[None]) for x in (truth, prediction))
    expected = {
        "dice": 100 * monai.compute_dice(p, t, include_background=False),
        "iou": 100 * monai.compute_iou(p, t, include_background=False),
        "hd95": monai.compute_hausdorff_distance(p, t, percentile=95, spacing=spacing),
        "assd": monai.compute_average_surface_distance(p, t, symmetric=True, spacing=spacing),
        "surface_dice": 100 * monai.compute_surface_dice(p, t, [tolerance] * 3, spacing=spacing),
    }
    for name, per_label in expected.items():
        assert_close(found[name], np.nanmean(per_label.numpy()[0, :2]), FLOAT32)
    assert 0.3 < found["assd"] and 20 < found["surface_dice"] < 95  # not trivial


def test_ece_is_monais():
    random = np.random.default_rng(6)
    probabilities = random.dirichlet((2, 1, 0.5), (13, 17)).astype(np.float32)
    truth = random.integers(0, 3, (13, 17))
    # MONAI bins each label by itself; the confidence of a point in its most likely label is one
    # channel, and whether that label is right its truth.
    confidence, right = probabilities.max(-1), probabilities.argmax(-1) == truth
    metric = monai.CalibrationErrorMetric(num_bins=15)
    metric(torch.tensor(confidence[None, None]), torch.tensor(right[None, None]).float())
    assert_close(metrics.ece(truth, probabilities), 100 * metric.aggregate().item(), FLOAT32)
