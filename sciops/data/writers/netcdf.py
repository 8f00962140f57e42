"""netCDF-4 with named dimensions and coordinates, through h5netcdf.

Booleans become 8-bit integers with the attribute ``dtype = "bool"``, as xarray writes them; complex
fields take the compound type that netCDF's library reads as complex.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.schema import Variable
from sciops.data.writers._flat import Flat


class NetCDFWriter(Flat):
    """netCDF-4."""

    title = "netCDF-4 (CF names where they are known)"
    suffix = ".nc"
    take_bool = True

    def create(self, path: Path) -> None:
        """See `Writer`."""
        import h5netcdf

        with h5netcdf.File(path, "w") as file:
            for name, value in {"Conventions": "CF-1.11", **self.source.attributes}.items():
                if len(value) < 1 << 14:
                    file.attrs[name] = value
            for key, item in self.small().items():
                _declare(file, item.dims, item.values.shape)
                one = file.create_variable(key, item.dims, item.values.dtype)
                one[...] = item.values
                for name, value in item.attrs.items():
                    one.attrs[name] = value
            for v in self.fields:
                dims, shape = self.dimension_names(v), self.stored_shape(v)
                _declare(file, dims, shape)
                kind = self.source.dtype(v.name)
                attrs = self.attributes(v)
                if kind.kind == "b":
                    kind, attrs = np.dtype(np.int8), attrs | {"dtype": "bool"}
                chunks = self.storage.chunks(self.stored_axes(v), shape, kind.itemsize)
                one = file.create_variable(
                    v.name, dims, kind, chunks=chunks, **self.storage.compression
                )
                for name, value in attrs.items():
                    one.attrs[name] = value

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """See `Writer`."""
        import h5netcdf

        with h5netcdf.File(path, "a") as file:
            self._file: Any = file
            yield

    def put(self, v: Variable, sample: int, frames: slice, values: NDArray[Any]) -> None:
        """See `Writer`."""
        kind = np.int8 if values.dtype.kind == "b" else values.dtype
        self._file[v.name][self.place(v, sample, frames)] = self.squeezed(v, values).astype(kind)


def _declare(file: Any, dims: tuple[str, ...], shape: tuple[int, ...]) -> None:
    for name, size in zip(dims, shape, strict=True):
        if name not in file.dimensions:
            file.dimensions[name] = size
