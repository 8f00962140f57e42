"""zarr (version 3), readable by ``xarray.open_zarr``; needs the extra ``zarr``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import MissingPackage
from sciops.core.schema import Variable
from sciops.data.writers._flat import Flat
from sciops.data.writers._writer import Storage


class ZarrWriter(Flat):
    """A zarr store."""

    title = "zarr, version 3"
    suffix = ".zarr"

    def create(self, path: Path) -> None:
        """See `Writer`."""
        root = _zarr().create_group(str(path), attributes=dict(self.source.attributes))
        for key, item in self.small().items():
            one = root.create_array(
                key, shape=item.values.shape, dtype=item.values.dtype, dimension_names=item.dims
            )
            one[...] = item.values
            one.attrs.update(item.attrs)
        for v in self.fields:
            shape, kind = self.stored_shape(v), self.source.dtype(v.name)
            packed = self.storage.preset != "windows"
            one = root.create_array(
                v.name,
                shape=shape,
                dtype=kind,
                chunks=self._chunks(v, shape, kind),
                dimension_names=self.dimension_names(v),
                **({} if packed else {"compressors": None}),
            )
            one.attrs.update(self.attributes(v))

    def _chunks(self, v: Variable, shape: tuple[int, ...], kind: np.dtype[Any]) -> tuple[int, ...]:
        """A chunk is a file: one frame, or as many as make about 1 MiB."""
        preset = "frames" if self.storage.preset in ("frames", "archive") else "trajectories"
        frame = Storage(preset=preset).chunks(self.stored_axes(v), shape, kind.itemsize)  # type: ignore[arg-type]
        return tuple(frame) if frame else (1,)

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """See `Writer`."""
        self._root: Any = _zarr().open_group(str(path), mode="r+")
        yield

    def put(self, v: Variable, sample: int, frames: slice, values: NDArray[Any]) -> None:
        """See `Writer`."""
        self._root[v.name][self.place(v, sample, frames)] = self.squeezed(v, values)


def _zarr() -> Any:
    try:
        import zarr
    except ImportError:
        raise MissingPackage("zarr", "zarr", "writing a zarr store") from None
    return zarr
