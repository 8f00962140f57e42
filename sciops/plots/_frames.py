"""Which frames and which cuts are shown, and what is written above them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciops.core.errors import ConfigError
from sciops.plots._quantity import Quantity


class Frame(NamedTuple):
    """Number of a frame, and its physical time as a title."""

    number: int
    title: str


class Cut(NamedTuple):
    """Axis -> index where a field is cut, and the place as text."""

    at: Mapping[str, int]
    title: str


def frames(quantity: Quantity, times: Sequence[float] | None, count: int) -> list[Frame]:
    """The frames nearest to some times, or `count` that are evenly spread from first to last.

    Where the data set does not say its times, `times` are numbers of frames.

    Raises
    ------
    ConfigError
        If a time lies outside of the trajectory.
    """
    n = quantity.n_frames
    if times is None or not quantity.evolves:
        numbers = np.unique(np.linspace(0, n - 1, max(count, 1)).round().astype(int))
    else:
        known = np.arange(n) if quantity.times is None else quantity.times
        what = "frame" if quantity.times is None else "time"
        numbers = np.unique([nearest(known, t, what) for t in times])
    return [Frame(int(k), title(quantity, int(k))) for k in numbers]


def title(quantity: Quantity, number: int) -> str:
    """``t = 0.25 s``, the number of the frame where times are not known, or nothing."""
    if not quantity.evolves:
        return ""
    if quantity.times is None:
        return f"frame {number}"
    return f"t = {round_to(quantity.times, number)} {quantity.time_unit}".rstrip()


def cuts(quantity: Quantity, at: Mapping[str, float] | None) -> list[Cut]:
    """Where a 3-D field is cut: at the places that are named, or in the middle of each axis."""
    if len(quantity.axes) < 3:
        return [Cut({}, "")]
    if not at:
        return [cut(quantity, axis, quantity.array.sizes[axis] // 2) for axis in quantity.axes]
    return [cut(quantity, axis, place(quantity, axis, where)) for axis, where in at.items()]


def cut(quantity: Quantity, axis: str, index: int) -> Cut:
    """The cut through a point of an axis."""
    unit = str(quantity.array[axis].attrs.get("units", ""))
    x = round_to(places(quantity, axis), index)
    return Cut({axis: index}, f"{axis} = {x} {unit}".rstrip())


def place(quantity: Quantity, axis: str, where: float) -> int:
    """Index of the point of an axis that is nearest to a coordinate."""
    if axis not in quantity.axes:
        raise ConfigError(f"{quantity.label} has no axis {axis!r}, only {', '.join(quantity.axes)}")
    return nearest(places(quantity, axis), where, axis)


def places(quantity: Quantity, axis: str) -> NDArray[np.float64]:
    """(n,) coordinates of an axis, or numbers where there are none."""
    return np.asarray(quantity.array[axis].values, dtype=np.float64)


def nearest(known: ArrayLike, wanted: float, what: str) -> int:
    """Index of the nearest of some numbers, at most half a step beyond the first and last."""
    x = np.asarray(known, dtype=np.float64)
    slack = 0.5 * float(np.abs(np.diff(x)).max(initial=0.0)) + 1e-9 * float(np.abs(x).max())
    if not x.min() - slack <= wanted <= x.max() + slack:
        raise ConfigError(f"{what} {wanted:g} is outside of the data, {x.min():g} to {x.max():g}")
    return int(np.abs(x - wanted).argmin())


def round_to(x: NDArray[np.float64], index: int) -> str:
    """A number of a sequence with as many digits as tell it from its neighbours."""
    steps = np.abs(np.diff(x))
    smallest, largest = float(steps[steps > 0].min(initial=np.inf)), float(np.abs(x).max())
    digits = 3
    if 0 < smallest < largest:
        digits = int(np.clip(np.ceil(np.log10(largest / smallest)) + 1, 3, 7))
    value = float(x[index])
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits}g}"
    return np.format_float_positional(value, digits, fractional=False, trim="-")
