"""Between labelled data sets and the tensors of an operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sciops.core.errors import DataError, NotFound, did_you_mean
from sciops.core.schema import Axis, Domain, Grid, Schema, Variable
from sciops.data.xarray_backend import axis_names, component_names, grid_coordinates


def input_array(dataset: xr.Dataset, schema: Schema) -> tuple[NDArray[Any], Domain]:
    """The inputs (n, C, *N) that a labelled data set holds, and the grid on which they lie.

    Of a variable with a time dimension the newest frames are taken.
    """
    arrays, domains = [], []
    for v in schema.inputs:
        values, domain = _field(dataset, v, schema)
        arrays.append(values)
        domains.append(domain)
    if any(d != domains[0] for d in domains):
        raise DataError("data set", f"inputs lie on different grids {[d.shape for d in domains]}")
    return np.concatenate(arrays, axis=1), domains[0]


def param_array(dataset: xr.Dataset, schema: Schema, n: int) -> NDArray[np.float64]:
    """The parameters (n, P) that a labelled data set holds."""
    columns = []
    for v in schema.params:
        values = np.asarray(_named(dataset, v.name).values, dtype=np.float64)
        columns.append(np.broadcast_to(values.reshape(-1) if values.ndim else values, (n,)))
    return np.stack(columns, axis=1) if columns else np.zeros((n, 0))


def _named(dataset: xr.Dataset, name: str) -> xr.DataArray:
    if name not in dataset:
        known = [str(k) for k in dataset.variables]
        raise NotFound(
            f"the data set has no variable {name!r}, only {known}.{did_you_mean(name, known)}"
        )
    return dataset[name]


def _field(dataset: xr.Dataset, v: Variable, schema: Schema) -> tuple[NDArray[Any], Domain]:
    array = _named(dataset, v.name)
    axes = axis_names(v, schema)
    time = ("time",) if v.time_varying else ()
    wanted = ("sample", *time, *axes, *component_names(v, schema))
    missing = [d for d in wanted if d not in array.dims and d != "sample"]
    if missing or set(array.dims) - set(wanted):
        raise DataError(
            "data set", f"{v.name!r} has the dimensions {array.dims}, expected {wanted}"
        )
    if "sample" not in array.dims:
        array = array.expand_dims("sample")
    values = np.asarray(array.transpose(*wanted).values)
    if v.time_varying and values.shape[1] < v.frames:
        raise DataError(
            "data set", f"{v.name!r} has {values.shape[1]} frames, {v.frames} are needed"
        )
    values = values[:, -v.frames :] if v.time_varying else values[:, None]
    n_axes = len(axes)
    values = values.reshape(*values.shape[: 2 + n_axes], v.width)
    values = np.moveaxis(values, -1, 2)  # (n, frames, c, *N)
    domain = _domain(dataset, v, axes, values.shape[3:])
    return values.reshape(values.shape[0], v.channels, *values.shape[3:]), domain


def _domain(
    dataset: xr.Dataset, v: Variable, axes: tuple[str, ...], shape: tuple[int, ...]
) -> Domain:
    """The training domain with the data set's own points."""
    domain = v.domain
    assert domain is not None
    if not isinstance(domain, Grid):
        return domain
    found: list[Axis] = []
    for name, axis, n in zip(axes, domain.axes, shape, strict=True):
        if name in dataset.coords:
            x = np.asarray(dataset.coords[name].values, dtype=np.float64)
            found.append(Axis(axis.name, x, axis.lower, axis.upper, axis.periodic, axis.unit))
        else:
            found.append(axis.resized(n))
    return Grid(tuple(found))


def labelled(
    values: NDArray[Any], schema: Schema, times: NDArray[np.float64] | None = None
) -> xr.Dataset:
    """Fields (n, T, C', *N') of the targets as a data set; T is dropped where nothing evolves.

    Parameters
    ----------
    times
        (T,) of the frames, as a coordinate.
    """
    variables: dict[str, xr.Variable] = {}
    slices = schema.channel_slices("targets")
    for v in schema.targets:
        field = values[:, :, slices[v.name]]
        field = np.moveaxis(field, 2, -1).reshape(*field.shape[:2], *field.shape[3:], *v.components)
        names = (*axis_names(v, schema), *component_names(v, schema))
        dims = ("sample", "time", *names) if v.time_varying else ("sample", *names)
        attrs = {"units": v.unit} if v.unit else {}
        variables[v.name] = xr.Variable(dims, field if v.time_varying else field[:, 0], attrs)
    used = {d for x in variables.values() for d in x.dims}
    coordinates = {k: c for k, c in grid_coordinates(schema).items() if set(c.dims) <= used}
    if times is not None and "time" in used:
        coordinates["time"] = xr.Variable(("time",), times)
    return xr.Dataset(variables, coordinates)
