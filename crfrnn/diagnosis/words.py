"""How numbers are said: as many digits as a reader can use."""

from __future__ import annotations

from typing import Any

import numpy as np


def number(value: Any) -> str:
    numbers = np.unique(np.round(np.asarray(value, np.float64), 12))
    shown = numbers if len(numbers) == 1 else np.ravel(value)
    return ", ".join(f"{float(f'{number:.3g}'):g}" for number in shown)


def ratio(value: Any) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}"


def percent(share: Any) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
