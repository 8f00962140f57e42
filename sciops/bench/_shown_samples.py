"""The few samples whose fields a run keeps: predictions.nc, one group for each test split.

input.<name>, truth.<name>, prediction.<name>   (sample, [lead,] axes.., [component])
spectrum.error.<name>, spectrum.truth.<name>    (shell,)  mean over all samples, if there
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5netcdf
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciops.bench._suite_folder import RunFolder
from sciops.core.errors import SchemaError
from sciops.core.schema import Axis, Grid, Schema, Variable

COMPONENTS = 3  # of a vector or tensor that are drawn


class Shown(NamedTuple):
    """One scalar field of all samples of one run: a variable, or a component of one."""

    label: str
    unit: str
    truth: xr.DataArray  # (sample, *axes)
    prediction: xr.DataArray


class Spectrum(NamedTuple):
    """Power (K,) at the wavenumbers (K,)."""

    wavenumbers: NDArray[np.float64]
    error: NDArray[np.float64]
    truth: NDArray[np.float64]
    unit: str
    length_unit: str


def splits(job: RunFolder) -> list[str]:
    """Groups of the file, in its order; none where there is no file."""
    path = job.folder / "predictions.nc"
    if not path.is_file():
        return []
    with h5netcdf.File(path, "r") as file:
        return [str(name) for name in file.groups]


def load(job: RunFolder, split: str) -> xr.Dataset:
    """The samples of one split, in memory."""
    path: Path = job.folder / "predictions.nc"
    with xr.open_dataset(path, group=split, engine="h5netcdf") as stored:
        return stored.load()


def variables(stored: xr.Dataset) -> list[str]:
    """Variables of which both truth and prediction are there."""
    names = [str(n).removeprefix("truth.") for n in stored.data_vars if str(n).startswith("truth.")]
    return [n for n in names if f"prediction.{n}" in stored.data_vars]


def fields(stored: xr.Dataset, variable: str) -> Iterator[Shown]:
    """Truth and prediction at the last lead time, one component after the other."""
    truth, prediction = (
        _last_frame(stored[f"{kind}.{variable}"]) for kind in ("truth", "prediction")
    )
    unit, components = str(truth.attrs.get("units", "")), _components(truth)
    if not components:
        yield Shown(variable, unit, truth, prediction)
        return
    shape = [truth.sizes[d] for d in components]
    for number, index in enumerate(np.ndindex(*shape)):
        if number == COMPONENTS:
            return
        at = dict(zip(components, index, strict=True))
        label = f"{variable} {', '.join(_component_name(truth, d, i) for d, i in at.items())}"
        yield Shown(label, unit, truth.isel(at), prediction.isel(at))


def first_input(stored: xr.Dataset, sample: int) -> tuple[str, str, xr.DataArray] | None:
    """(name, unit, field) of the first input that can be drawn; of a vector the first component."""
    for key in map(str, stored.data_vars):
        if key.startswith("input.") and "sample" in stored[key].dims:
            a = _last_frame(stored[key]).isel(sample=sample)
            a = a.isel(dict.fromkeys(_components(a), 0))
            if 1 <= a.ndim <= 3:
                return key.removeprefix("input."), str(a.attrs.get("units", "")), a
    return None


def relative_errors(shown: Shown) -> NDArray[np.float64]:
    """(n,) relative L2 error of what is shown; infinite where the prediction is not finite."""
    p, y = (
        np.asarray(q.transpose("sample", ...).values, dtype=float).reshape(q.sizes["sample"], -1)
        for q in (shown.prediction, shown.truth)
    )
    with np.errstate(all="ignore"):
        errors = np.linalg.norm(p - y, axis=1) / np.linalg.norm(y, axis=1)
    return np.where(np.isfinite(errors), errors, np.inf)


def median_and_worst(errors: Sequence[NDArray[np.float64]]) -> tuple[int, int]:
    """Sample in the middle and the last one, when sorted by their mean rank over the operators."""
    ranks = np.mean([np.argsort(np.argsort(e, kind="stable")) for e in errors], axis=0)
    order = np.argsort(ranks, kind="stable")
    return int(order[(len(order) - 1) // 2]), int(order[-1])


def spectrum(stored: xr.Dataset, variable: str) -> Spectrum | None:
    """Spectrum of the error and of the truth; None on points and on graded axes."""
    truth = _last_frame(stored[f"truth.{variable}"])
    components = _components(truth)
    dims = [str(d) for d in truth.dims if d != "sample" and d not in components]
    if any(d not in stored.coords or stored[d].size < 2 for d in dims):
        return None
    grid = Grid(tuple(_axis(stored[d]) for d in dims))
    if any(axis.spacing == "graded" for axis in grid.axes):
        return None
    from sciops.metrics.spectral import wavenumbers

    kappa = wavenumbers(grid)
    keys = [f"spectrum.{kind}.{variable}" for kind in ("error", "truth")]
    if all(k in stored and stored[k].shape == kappa.shape for k in keys):
        power = [np.asarray(stored[k].values, dtype=float) for k in keys]
    else:
        power = _powers(stored, variable, grid, (*components, *dims))
    units = {axis.unit for axis in grid.axes}
    length_unit = units.pop() if len(units) == 1 else None
    return Spectrum(kappa, *power, str(truth.attrs.get("units", "")), length_unit or "")


def _powers(
    stored: xr.Dataset, variable: str, grid: Grid, dims: tuple[str, ...]
) -> list[NDArray[np.float64]]:
    """Median over the stored samples of the power of error and truth."""
    import torch

    from sciops.metrics.spectral import error_spectrum

    p, y = (
        torch.from_numpy(
            np.array(_last_frame(stored[f"{kind}.{variable}"]).transpose("sample", *dims), float)
        ).reshape(stored.sizes["sample"], -1, *grid.shape)
        for kind in ("prediction", "truth")
    )
    schema = Schema((Variable(variable, grid, "target", (y.shape[1],)),))
    pairs = ((p, y), (torch.zeros_like(y), y))
    return [error_spectrum(a, b, schema)[:, 0].median(0).values.numpy() for a, b in pairs]


def _axis(coordinate: xr.DataArray) -> Axis:
    """The axis as the runner describes it, or as its points suggest."""
    attrs: Mapping[str, object] = {str(k): v for k, v in coordinate.attrs.items()}
    x, name = np.asarray(coordinate.values, dtype=float), str(coordinate.name)
    periodic = str(attrs.get("periodic", "")).lower() in ("true", "1")
    unit = str(attrs["units"]) if "units" in attrs else None
    if "lower" in attrs and "upper" in attrs:
        try:
            ends = (float(attrs[k]) for k in ("lower", "upper"))  # type: ignore[arg-type]
            return Axis(name, x, *ends, periodic=periodic, unit=unit)
        except (TypeError, ValueError, SchemaError):
            pass
    return Axis.through(name, x, None if periodic else "cell", periodic, unit)


def _last_frame(array: xr.DataArray) -> xr.DataArray:
    return array.isel({d: -1 for d in array.dims if d in ("lead", "time")})


def _components(array: xr.DataArray) -> list[str]:
    return [str(d) for d in array.dims if str(d).startswith("component")]


def _component_name(array: xr.DataArray, dim: str, index: int) -> str:
    return str(array[dim].values[index]) if dim in array.coords else str(index + 1)
