"""HDF5 in The Well's layout (see `sciops.data.formats._well`), created empty and filled by blocks.

contiguous arrays are allocated at once, so later writes touch no metadata and a process that
is killed leaves a file that opens; trajectories of different lengths are chunked by frame, and
the frames that do not exist take no room in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from sciops.core.schema import Axis, Grid, Variable
from sciops.data.formats._well import FIELD_GROUPS, bc_type
from sciops.data.writers._writer import Storage, Writer
from sciops.data.xarray_backend import axis_names


class WellLayout(Writer):
    """What The Well's format and our own have in common."""

    suffix = ".hdf5"
    _file: h5py.File | None = None

    def create(self, path: Path) -> None:
        """See `Writer`."""
        with h5py.File(path, "w", libver=("earliest", "v110")) as file:
            self._root(file)
            self.describe(file)
            self._dimensions(file)
            self._boundary(file)
            self._scalars(file)
            for rank, name in enumerate(FIELD_GROUPS):
                members = [v for v in self.fields if v.rank == rank]
                group = file.create_group(name)
                group.attrs["field_names"] = _texts(v.name for v in members)
                for v in members:
                    self._field(group, v)

    def describe(self, file: h5py.File) -> None:
        """Write what goes beyond the layout, before the fields."""

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """See `Writer`."""
        with h5py.File(path, "r+") as file:
            self._file = file
            try:
                yield
            finally:
                self._file = None

    def put(self, v: Variable, sample: int, frames: slice, values: NDArray[Any]) -> None:
        """See `Writer`."""
        assert self._file is not None
        self._file[self.key(v)][self.place(v, sample, frames)] = self.squeezed(v, values)

    @property
    def fields(self) -> list[Variable]:
        """The variables that are fields."""
        return [v for v in self.source.schema.variables if v.role != "param"]

    def key(self, v: Variable) -> str:
        """Where a field stands in the file."""
        return f"{FIELD_GROUPS[v.rank]}/{v.name}"

    def _root(self, file: h5py.File) -> None:
        schema = self.source.schema
        file.attrs["dataset_name"] = schema.name
        file.attrs["grid_type"] = "cartesian"
        file.attrs["n_spatial_dims"] = len(self._space())
        file.attrs["n_trajectories"] = self.source.n_samples
        file.attrs["simulation_parameters"] = _texts(v.name for v in schema.params)
        for name, values in self.params().items():
            if (values == values[0]).all():
                file.attrs[name] = float(values[0])

    def _space(self) -> tuple[Axis, ...]:
        """Axes of the first grid; the others stand in `dimensions` too."""
        for v in self.fields:
            if isinstance(v.domain, Grid):
                return v.domain.axes
        return ()

    def _dimensions(self, file: h5py.File) -> None:
        schema = self.source.schema
        group = file.create_group("dimensions")
        group.attrs["spatial_dims"] = _texts(a.name for a in self._space())
        times = self.times()
        _flags(
            group.create_dataset("time", data=np.zeros(1) if times is None else times),
            times is not None and times.ndim == 2,
            True,
        )
        if schema.time_unit is not None:
            group["time"].attrs["unit"] = schema.time_unit
        for v in self.fields:
            if isinstance(v.domain, Grid):
                for name, axis in zip(axis_names(v, schema), v.domain.axes, strict=True):
                    if name not in group:
                        _flags(group.create_dataset(name, data=axis.coordinates), False, False)
                        if axis.unit is not None:
                            group[name].attrs["unit"] = axis.unit
        if self.source.ragged:
            group.create_dataset("length", data=self.source.lengths)

    def _boundary(self, file: h5py.File) -> None:
        group = file.create_group("boundary_conditions")
        schema = self.source.schema
        for number, b in enumerate(schema.boundary):
            both = b.kind == "periodic"
            if both and b.side == "upper":
                continue  # one group tells both sides
            name = f"{b.axis}_{b.kind}" if both else f"{b.axis}_{b.side}_{b.kind}_{number}"
            one = group.create_group(name if name not in group else f"{name}_{number}")
            one.attrs["associated_dims"] = _texts([b.axis])
            one.attrs["associated_fields"] = _texts(b.variables)
            one.attrs["bc_type"] = bc_type(b.kind)
            _flags(one, False, False)
            mask = np.zeros(schema.axis(b.axis).size, dtype=bool)
            mask[0] |= both or b.side == "lower"
            mask[-1] |= both or b.side == "upper"
            one.create_dataset("mask", data=mask)

    def _scalars(self, file: h5py.File) -> None:
        group = file.create_group("scalars")
        params = self.params()
        group.attrs["field_names"] = _texts(params)
        for name, values in params.items():
            data = group.create_dataset(name, data=values)
            _flags(data, True, False)
            unit = self.source.schema[name].unit
            if unit is not None:
                data.attrs["unit"] = unit

    def _field(self, group: h5py.Group, v: Variable) -> None:
        data = create(
            group, v.name, self.stored_axes(v), self.stored_shape(v), self.source.dtype(v.name),
            self.storage, self.source.ragged and v.time_varying,
        )  # fmt: skip
        _flags(data, not self.source.shared(v.name), v.time_varying)
        assert v.domain is not None
        data.attrs["dim_varying"] = np.array([a not in v.constant_along for a in v.domain.names])
        if v.rank == 2:
            data.attrs["symmetric"] = v.symmetry == "symmetric"
            data.attrs["antisymmetric"] = v.symmetry == "antisymmetric"
        if v.unit is not None:
            data.attrs["unit"] = v.unit


def create(
    group: h5py.Group,
    name: str,
    axes: tuple[str, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    storage: Storage,
    sparse: bool = False,
) -> h5py.Dataset:
    """An empty data set; contiguous ones are allocated at once, `sparse` ones frame by frame."""
    chunks = storage.chunks(axes, shape, dtype.itemsize)
    if chunks is None and sparse:
        chunks = Storage(preset="frames").chunks(axes, shape, dtype.itemsize)
    if chunks is not None:
        return group.create_dataset(name, shape, dtype, chunks=chunks, **storage.compression)
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
    kind = h5py.h5t.py_create(dtype, logical=True)
    return h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, space, plan))


def _flags(data: h5py.Dataset | h5py.Group, sample: bool, time: bool) -> None:
    data.attrs["sample_varying"], data.attrs["time_varying"] = sample, time


def _texts(names: Any) -> NDArray[Any]:
    return np.array(list(names), dtype=h5py.string_dtype())
