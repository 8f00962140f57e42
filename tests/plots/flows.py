"""Small data sets for the tests of pictures, and one that notes what is read of it."""

from __future__ import annotations

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

X, Y, Z = np.linspace(0, 2, 12), np.linspace(0, 1, 8), np.linspace(0, 3, 6)
TIMES = np.arange(9) * 0.25


def axis(name, points, unit="m", **attrs):
    ends = {"lower": float(points[0]), "upper": float(points[-1])}
    return xr.Variable((name,), points, {**({"units": unit} if unit else {}), **ends, **attrs})


def flow(order=("y", "x"), times=TIMES) -> xr.Dataset:
    """Density > 0 that grows to the right, velocity (x - 1, y) that grows in time."""
    x, y = np.meshgrid(X, Y)
    density = np.stack([np.stack([1 + x + s + 0 * t for t in TIMES]) for s in range(2)])
    velocity = np.stack([np.stack([x - 1, y], axis=-1) * (1 + t) for t in TIMES])
    velocity = np.stack([velocity, 2 * velocity])
    made = xr.Dataset(
        {
            "density": (("sample", "time", "y", "x"), density, {"units": "kg/m³", "role": "state"}),
            "velocity": (("sample", "time", "y", "x", "component"), velocity, {"units": "m/s"}),
            "Re": (("sample",), [100.0, 200.0], {"role": "param"}),
        },
        {"x": axis("x", X), "y": axis("y", Y)},
        {"name": "flow"},
    )
    if times is not None:
        made = made.assign_coords(time=("time", times, {"units": "s"}))
    return made.transpose("sample", "time", *order, "component")


def wave(n: int = 64, periodic: bool = True) -> xr.Dataset:
    """3 + 2 sin(4 x) on one axis of length 2 pi, for all times."""
    x = np.arange(n) * 2 * np.pi / n
    u = np.broadcast_to(3 + 2 * np.sin(4 * x), (1, 5, n))
    coordinate = xr.Variable(
        ("x",), x, {"lower": 0.0, "upper": 2 * np.pi, "periodic": str(periodic), "units": "m"}
    )
    return xr.Dataset(
        {"u": (("sample", "time", "x"), u.copy(), {"units": "Pa"})},
        {"x": coordinate, "time": ("time", np.arange(5.0))},
    )


def volume() -> xr.Dataset:
    """A scalar z + 10 t on three axes."""
    z = np.broadcast_to(Z[:, None, None], (len(Z), len(Y), len(X)))
    u = np.stack([z + 10 * t for t in range(3)])
    return xr.Dataset(
        {"u": (("time", "z", "y", "x"), u)},
        {"x": axis("x", X), "y": axis("y", Y), "z": axis("z", Z), "time": ("time", np.arange(3.0))},
    )


def nodes(n: int = 30) -> xr.Dataset:
    """Points on a square with a hole in the middle; pressure x + t."""
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n)))
    outside = np.hypot(x, y) > 0.5
    x, y = x[outside], y[outside]
    p = np.stack([x + t for t in range(4)])[None]
    return xr.Dataset(
        {"pressure": (("sample", "time", "node"), p)},
        {"x_node": ("node", x), "y_node": ("node", y), "time": ("time", np.arange(4.0))},
    )


class Noted(BackendArray):
    """An array that notes the shape of everything that is read of it."""

    def __init__(self, values, reads):
        self.values, self.reads = values, reads
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, key):
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._get
        )

    def _get(self, key):
        found = self.values[key]
        self.reads.append((key, found.shape))
        return found


def noted(dataset: xr.Dataset) -> tuple[xr.Dataset, list]:
    """The same data set, lazy, and the list of (key, shape) of what is read of its fields."""
    reads: list = []
    variables = {
        name: v
        if v.attrs.get("role") == "param"
        else xr.Variable(v.dims, indexing.LazilyIndexedArray(Noted(v.values, reads)), v.attrs)
        for name, v in dataset.data_vars.items()
    }
    return xr.Dataset(variables, dataset.coords, dataset.attrs), reads
