"""The figure of a diagnosis."""

import numpy as np
import pytest

from crfrnn.diagnosis.diagnose import diagnose
from tests.diagnosis.scene import GOOD, case


class TestPlot:
    """The figure can be drawn in every situation, and its panels show what the numbers say."""

    def drawn(self, diagnosis, **options):
        pytest.importorskip("matplotlib")
        figure = diagnosis.plot(**options)
        figure.draw_without_rendering()
        return [axes.get_title() for axes in figure.get_axes()]

    @pytest.mark.parametrize("crf", [{}, dict(bilateral_weight=0.0), dict(num_iterations=0)])
    def test_pictures(self, crf):
        image, probs, truth = case()
        for labels in (None, truth):
            titles = self.drawn(diagnose(image, probs, labels, **{**GOOD, **crf}))
            assert "what changed" in titles

    def test_panels_show_the_numbers(self):
        pytest.importorskip("matplotlib")
        found = diagnose(*case()[:2], **GOOD)
        panels = {axes.get_title(): axes for axes in found.plot().get_axes()}
        before, after = found.before.argmax(-1), found.after.argmax(-1)
        assert (before != after).any()

        marked = panels["what changed"].get_images()[-1].get_array()  # (H, W, 4)
        np.testing.assert_array_equal(marked[..., 3] > 0, before != after)
        for title, labels in (("before the CRF", before), ("after the CRF", after)):
            painted = panels[title].get_images()[-1].get_array()
            zero, one = (np.unique(painted[labels == label], axis=0) for label in (0, 1))
            assert len(zero) == len(one) == 1 and not np.array_equal(zero, one)

        lines = {line.get_label(): line for line in panels["changes per iteration"].get_lines()}
        for label, values in (
            ("largest change of a probability", found.max_change),
            ("mean change of a probability", found.mean_change),
            ("labels that change", found.flips),
            ("labels that differ from the start", found.changed),
        ):
            np.testing.assert_array_equal(np.nan_to_num(lines[label].get_ydata()), values)
        (line,) = panels["divergence from the CRF, nats per point"].get_lines()
        np.testing.assert_array_equal(line.get_ydata(), found.kl)
        bars = panels["share of each label; x: after / before"].patches
        shares = found.label_shares[np.argsort(-found.label_shares.max(-1))]
        assert [bar.get_height() for bar in bars] == pytest.approx(shares.T.ravel())

    def test_volumes(self):
        rng = np.random.default_rng(0)
        image, probs = rng.normal(0, 30, (7, 9, 5)), rng.dirichlet(np.ones(12), (7, 9, 5))
        found = diagnose(image, probs, **GOOD)
        changed = (found.before.argmax(-1) != found.after.argmax(-1)).sum((0, 1))
        assert f"image (slice {changed.argmax()} across axis 2)" in self.drawn(found)
        assert "image (slice 3 across axis 0)" in self.drawn(found, slice_axis=0, index=3)
        anisotropic = diagnose(image, probs, spacing=(1.0, 3.0, 1.0), **GOOD)
        assert any("across axis 1" in title for title in self.drawn(anisotropic))
        with pytest.raises(ValueError, match="one of 5 slices"):
            found.plot(index=5)
        with pytest.raises(ValueError, match="slice_axis"):
            found.plot(slice_axis=3)

    def test_colours_and_a_constant_image(self):
        rng = np.random.default_rng(0)
        probs = rng.dirichlet(np.ones(2), (8, 9))
        self.drawn(diagnose(rng.uniform(0, 255, (8, 9, 3)), probs, **GOOD))
        self.drawn(diagnose(np.zeros((8, 9)), probs, **GOOD))

    @pytest.mark.parametrize("shape", [(1, 30), (30, 1), (1, 1), (1, 1, 20), (1, 5, 1)])
    def test_images_one_point_high(self, shape):
        rng = np.random.default_rng(0)
        image, probs = rng.uniform(0, 255, shape), rng.dirichlet(np.ones(2), shape)
        self.drawn(diagnose(image, probs, rng.integers(0, 2, shape), **GOOD))

    def test_points_have_no_picture(self):
        probs = np.full((9, 2), 0.5)
        with pytest.raises(ValueError, match=r"Expected an image \(H, W\) or \(D, H, W\)"):
            diagnose(np.arange(9.0), probs, **GOOD).plot()


def test_the_figure_shows_nothing_of_points_outside_a_mask():
    pytest.importorskip("matplotlib")
    image, probs, truth = case()
    mask = np.zeros(truth.shape, bool)
    mask[4:25, 6:38] = True
    figures = [
        diagnose(np.where(mask, image, nothing), probs, mask=mask, **GOOD).plot().get_axes()
        for nothing in (0.0, -9999.0)
    ]
    panels, others = ({axes.get_title(): axes for axes in axes if axes.images} for axes in figures)
    (shown, *_), (other, *_) = panels["image"].images, others["image"].images
    np.testing.assert_array_equal(shown.get_array()[mask], other.get_array()[mask])
    assert shown.get_array()[mask].std() > 0.1
    kernels = [axes for title, axes in others.items() if title.startswith("kernel at")]
    assert len(kernels) == 3
    for axes in kernels:
        (column,), (row,) = axes.lines[0].get_data()
        kernel, (left, right, low, high) = axes.images[0].get_array(), axes.images[0].get_extent()
        window = mask[round(high + 0.5) : round(low + 0.5), round(left + 0.5) : round(right + 0.5)]
        assert mask[row, column]
        np.testing.assert_array_equal(np.isfinite(np.ma.filled(kernel, np.nan)), window)
