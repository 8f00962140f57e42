"""The colour scale that the frames of a quantity share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sciops.plots._image import DIVERGING, SEQUENTIAL

STRETCH, WORTH = 0.5, 1.5  # see `scale_of`
EXTEND = {
    (False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"
}  # fmt: skip
SIGNED = 0.05  # of the larger side: below, the smaller side is taken for noise around zero


class Scale(NamedTuple):
    """Ends of a colour scale, its colours, and at which ends it goes on."""

    limits: tuple[float, float]
    colours: str
    extend: str = "neither"


def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(41,) quantiles of the finite values, from the smallest to the largest; NaN without any."""
    finite = values[np.isfinite(values)]
    levels = np.linspace(0.0, 1.0, 41)
    return np.quantile(finite, levels) if len(finite) else np.full(41, np.nan)


def scale_of(
    spreads: Sequence[NDArray[np.float64]], limits: tuple[float, float] | None = None
) -> Scale:
    """One scale for several frames, symmetric about zero where both signs matter.

    All values fit, except where few violent frames (noise at the start, a blow-up at the end) would
    leave the others blank: the scale ends `STRETCH` times the range of the median frame beyond that
    frame, or where 95 % of all values fit, whichever is wider, if that makes it narrower by the
    factor `WORTH`.

    Parameters
    ----------
    spreads
        `spread` of each frame.
    limits
        Ends that are wished for instead.
    """
    q = np.stack([s for s in spreads if np.isfinite(s).all()] or [np.linspace(0.0, 1.0, 2)])
    smallest, largest = float(q.min()), float(q.max())
    first, last = float(np.median(q[:, 0])), float(np.median(q[:, -1]))
    more = STRETCH * (last - first)
    low, high = (float(x) for x in np.quantile(q, [0.025, 0.975]))
    first, last = max(smallest, min(first - more, low)), min(largest, max(last + more, high))
    if largest - smallest <= WORTH * (last - first):
        first, last = smallest, largest
    if first == last:
        first, last = first - 0.5, last + 0.5
    first, last = limits or (first, last)
    diverging = min(-first, last) > SIGNED * max(-first, last)
    if diverging and not limits:
        last = max(-first, last)
        first = -last
    colours = DIVERGING if diverging else SEQUENTIAL
    return Scale((first, last), colours, EXTEND[smallest < first, largest > last])
