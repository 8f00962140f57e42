"""A field as a picture takes it: at most two axes, or points in the plane."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import ShapeError
from sciops.plots.style import text_of

HUGE = 1e100  # what is larger has blown up and is drawn like NaN


class Field(NamedTuple):
    """At most two axes (name, coordinates, unit) or points (M, 2); `at` says where 3-D was cut."""

    values: NDArray[np.float64]
    axes: tuple[tuple[str, NDArray[np.float64], str], ...]
    points: NDArray[np.float64] | None = None
    at: str = ""


def field(data: Any) -> Field:
    """The field that an array or a labelled array holds; 3-D is cut in the middle of axis one.

    Of two axes the last runs to the right, or the one of lower `rank`.
    """
    values = np.asarray(getattr(data, "values", data), dtype=float)
    values = np.where(np.abs(values) < HUGE, values, np.nan)
    dims = tuple(map(str, getattr(data, "dims", "zyx"[-values.ndim :])))
    if not 1 <= values.ndim <= 3 or len(dims) != values.ndim:
        raise ShapeError(f"a field of one, two or three axes is needed, got {values.shape}")
    coords, at = getattr(data, "coords", {}), ""
    on_points = _point_axes(dims, coords)
    if on_points:
        points = np.stack([x for _, x, _ in on_points[::-1]], axis=-1)
        return Field(values, on_points, points)
    axes = [_axis(d, coords[d] if d in coords else np.arange(n)) for d, n in zip(
        dims, values.shape, strict=True)]  # fmt: skip
    if values.ndim == 3:
        z, place, unit = axes.pop(0)
        middle = len(place) // 2
        values, at = values[middle], text_of(f"{z} = {place[middle]:.3g} {unit}")
    if values.ndim == 2 and rank(axes[0][0]) < rank(axes[1][0]):
        values, axes = values.T, axes[::-1]
    for k, (name, x, unit) in enumerate(axes):
        if x[0] > x[-1]:  # latitudes from north to south
            values, axes[k] = np.flip(values, k), (name, x[::-1], unit)
    return Field(values, tuple(axes), at=at)


def rank(axis: str) -> int:
    """x and longitude before y and latitude before z before all others."""
    names = ("x", "y", "z")
    start = {"lon": "x", "lat": "y"}.get(axis.lower()[:3], axis.split("_")[0])
    return names.index(start) if start in names else len(names)


def _axis(name: str, coordinate: Any) -> tuple[str, NDArray[np.float64], str]:
    unit = getattr(coordinate, "attrs", {}).get("units", "")
    return name, np.asarray(coordinate, dtype=float), str(unit)


def _point_axes(
    dims: tuple[str, ...], coords: Any
) -> tuple[tuple[str, NDArray[np.float64], str], ...]:
    """Vertical and horizontal axis of a field on points: coordinates other than the dimension."""
    if len(dims) != 1:
        return ()
    along = [c for c in sorted(map(str, coords)) if c != dims[0]]
    along = [c for c in along if getattr(coords[c], "dims", None) == dims]
    if len(along) < 2:
        return ()
    return tuple(_axis(c.removesuffix(f"_{dims[0]}"), coords[c]) for c in along[1::-1])


def limits_of(values: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and largest finite value; a constant field gets some width."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)
