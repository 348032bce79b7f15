"""A percentile of what was measured: the value itself, nothing interpolated.

Who calls: the worker that times commits.  Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all values do not exceed (nearest rank).

    `ordered` ascends and is not empty.
    """
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
