"""All networks by name: the front ends, and what rests on one of them."""

from __future__ import annotations

from unet.front_ends import FRONT_ENDS, Network
from unet.pointrend import pointrend

NETWORKS = {
    **FRONT_ENDS,
    "pointrend": Network(pointrend, "Kirillov et al.", 2020, "https://arxiv.org/abs/1912.08193"),
}
