"""Whole files of every format, every container and everything sciops writes, to be damaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from sciops.core import resolve
from sciops.core.schema import Axis, Boundary
from sciops.data.arrays import from_arrays
from sciops.data.convert import convert
from sciops.data.open import get
from sciops.data.source import FileSource
from sciops.data.writers._writer import Storage

WRITTEN = {  # target -> storage presets
    "sciops": ("windows", "archive"),
    "the_well": ("frames",),
    "pdebench": ("trajectories",),
    "netcdf": ("windows", "archive"),
    "zarr": ("frames",),
    "npz": ("windows",),
    "pt": ("windows",),
}


def seeds() -> Mapping[str, Callable[[Path], Path]]:
    """Name -> a function that writes the file into a folder and gives the path to open."""
    found: dict[str, Callable[[Path], Path]] = {
        name: partial(_tiny, name) for name in resolve.names("formats")
    }
    for target, presets in WRITTEN.items():
        for preset in presets:
            found[f"to_{target}_{preset}"] = partial(_converted, target, preset)
    return found | {
        "matlab_compressed": _matlab,
        "npz_compressed": _npz,
        "zarr_2": _zarr2,
        "netcdf_records": _records,
    }


def _tiny(name: str, folder: Path) -> Path:
    return get(name).write_tiny(folder)


def _converted(target: str, preset: str, folder: Path) -> Path:
    """Two trajectories of three frames of a scalar and of a vector with one parameter."""
    h = np.arange(144, dtype=np.float32).reshape(2, 3, 6, 4)
    x, y = Axis.uniform("x", 6, spacing="periodic"), Axis.uniform("y", 4, spacing="periodic")
    states = {"height": h} | ({} if target == "pdebench" else {"v": np.stack([h, -h], axis=-1)})
    axes = [x] if target == "pdebench" else [x, y]
    if target == "pdebench":
        states = {"u": h[..., 0]}
    made = from_arrays(
        axes,
        states=states,
        params={"nu": [0.1, 0.2]} if target != "pdebench" else {"nu": [0.1, 0.1]},
        times=[0.0, 0.5, 1.0],
        boundary=[Boundary(a.name, "lower", "periodic") for a in axes],
        name="tiny",
    )
    storage = Storage(preset=preset)  # type: ignore[arg-type]
    return convert(FileSource(made), folder / f"tiny.{target}", target, storage).path


def _matlab(folder: Path) -> Path:
    from scipy.io import savemat

    path = folder / "tiny.mat"
    u = np.arange(120, dtype=np.float32).reshape(2, 4, 3, 5)
    savemat(path, {"a": u[..., 0].astype(np.float64), "u": u}, do_compression=True)
    return path


def _npz(folder: Path) -> Path:
    source = _converted("npz", "windows", folder)
    path = folder / "tiny.npz"
    with np.load(source) as whole:
        np.savez_compressed(path, **whole)
    return path


def _zarr2(folder: Path) -> Path:
    import zarr

    path = folder / "tiny.zarr"
    root = zarr.create_group(str(path), zarr_format=2)
    for name in ("x", "y"):
        one = root.create_array(name, shape=(2, 1, 4, 3), dtype="f4", chunks=(1, 1, 4, 3))
        one[...] = np.arange(24.0).reshape(2, 1, 4, 3)
    return path


def _records(folder: Path) -> Path:
    from scipy.io import netcdf_file

    path = folder / "records.nc"
    with netcdf_file(str(path), "w") as file:
        for name, n in {"time": None, "y": 3, "x": 4}.items():
            file.createDimension(name, n)
        for name, kind in {"u": "f4", "v": "i2"}.items():
            one = file.createVariable(name, kind, ("time", "y", "x"))
            one[:] = np.arange(24).reshape(2, 3, 4)
        file.createVariable("time", "f8", ("time",))[:] = [0.0, 1.0]
    return path
