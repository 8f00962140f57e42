"""What a format must do to be written, block by block.

    with writer.opened(path):  writer.put(variable, sample, frames, values)

`create` makes a file with every array in its final shape; `put` fills in blocks in any order, so a
conversion that was stopped goes on with the samples that are missing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sciops.core.config import Settings
from sciops.core.schema import Variable
from sciops.data import contents
from sciops.data.layout import COMPONENTS
from sciops.data.source import Source
from sciops.data.xarray_backend import axis_names

CHUNK = 1 << 20  # bytes of a chunk, as HDF5 recommends at most


class Storage(Settings):
    """How arrays lie in the file, by how they will be read.

    ``windows``       contiguous, uncompressed: memory maps, the fastest random windows
    ``frames``        one chunk a frame, lzf: windows of compressed data
    ``trajectories``  chunks of about 1 MiB along a trajectory, lzf: whole trajectories
    ``archive``       one chunk a frame, shuffle and gzip: the smallest file
    """

    preset: Literal["windows", "frames", "trajectories", "archive"] = "windows"

    @property
    def compression(self) -> dict[str, Any]:
        """Filters for `h5py.Group.create_dataset`."""
        filters: dict[str, dict[str, Any]] = {
            "windows": {},
            "frames": {"compression": "lzf"},
            "trajectories": {"compression": "lzf"},
            "archive": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
        }
        return filters[self.preset]

    def chunks(self, axes: tuple[str, ...], shape: tuple[int, ...], itemsize: int) -> Any:
        """Chunk shape of an array with those axes; None where it is contiguous."""
        if self.preset == "windows" or not shape or 0 in shape:
            return None
        frame = tuple(1 if a in ("sample", "time") else n for a, n in zip(axes, shape, strict=True))
        if self.preset != "trajectories" or "time" not in axes:
            return frame
        steps = CHUNK // max(int(np.prod(frame)) * itemsize, 1)
        long = min(max(steps, 1), shape[axes.index("time")])
        return tuple(long if a == "time" else n for a, n in zip(axes, frame, strict=True))


class Writer(ABC):
    """One format, for one conversion.

    Attributes
    ----------
    title, suffix
        For people; the ending of its files.
    reads_as
        Name of the format as which the result is read back and verified.
    streams
        Whether blocks are written as they come; else all is held in memory, within the budget.
    presets
        Whether `Storage` means anything to it.
    """

    title: ClassVar[str]
    suffix: ClassVar[str]
    reads_as: ClassVar[str] = "sciops"
    streams: ClassVar[bool] = True
    presets: ClassVar[bool] = True

    def __init__(self, source: Source, storage: Storage) -> None:
        self.source, self.storage = source, storage

    @classmethod
    def adapted(cls, source: Source) -> tuple[Source, list[str]]:
        """The source as this format can hold it, and what that changed.

        Raises
        ------
        SchemaError
            If the format has no place for it.
        """
        return source, []

    @abstractmethod
    def create(self, path: Path) -> None:
        """A file with all arrays, times, parameters and attributes, but without the fields."""

    @contextmanager
    @abstractmethod
    def opened(self, path: Path) -> Iterator[None]:
        """Within the block `put` may be called; what was put is on disk after it."""

    @abstractmethod
    def put(self, v: Variable, sample: int, frames: slice, values: NDArray[Any]) -> None:
        """Write some frames ([T,] *N, *components) of one variable of one sample."""

    def stored_axes(self, v: Variable) -> tuple[str, ...]:
        """Axes under which a variable is stored: shared and constant ones are left out."""
        assert v.domain is not None
        sample = () if self.source.shared(v.name) else ("sample",)
        time = ("time",) if v.time_varying else ()
        space = tuple(a for a in v.domain.names if a not in v.constant_along)
        return (*sample, *time, *space, *COMPONENTS[: v.rank])

    def stored_shape(self, v: Variable) -> tuple[int, ...]:
        """Shape of the stored array of a variable."""
        assert v.domain is not None
        sizes = dict(zip(v.domain.names, v.domain.shape, strict=True))
        sizes |= {"sample": self.source.n_samples, "time": int(self.source.lengths.max())}
        sizes |= dict(zip(COMPONENTS, v.components, strict=False))
        return tuple(sizes[a] for a in self.stored_axes(v))

    def dimension_names(self, v: Variable) -> tuple[str, ...]:
        """Names of the stored axes that are unique within the file."""
        assert v.domain is not None
        schema = self.source.schema
        own = dict(zip(v.domain.names, axis_names(v, schema), strict=True))
        sizes = {c for w in schema.variables for c in w.components}
        suffix = f"_{v.name}" if len(sizes) > 1 else ""
        own |= {c: f"{c}{suffix}" for c in COMPONENTS}
        return tuple(own.get(a, a) for a in self.stored_axes(v))

    def place(self, v: Variable, sample: int, frames: slice) -> tuple[Any, ...]:
        """Index of a block in the stored array."""
        index: list[Any] = [] if self.source.shared(v.name) else [sample]
        return (*index, frames) if v.time_varying else tuple(index)

    def squeezed(self, v: Variable, values: NDArray[Any]) -> NDArray[Any]:
        """The values without the axes along which the variable is constant."""
        assert v.domain is not None
        lead = 1 if v.time_varying else 0
        for k in sorted((v.domain.names.index(a) + lead for a in v.constant_along), reverse=True):
            values = values.take(0, k)
        return values

    def times(self) -> NDArray[np.float64] | None:
        """(T,) or (n, T) times; NaN after the end of shorter ones; None where nothing evolves."""
        source = self.source
        if not any(v.time_varying for v in source.schema.variables):
            return None
        rows = np.full((source.n_samples, int(source.lengths.max())), np.nan)
        for s in range(source.n_samples):
            found = source.times(s)
            rows[s, : len(found)] = found
        if source.ragged or not _all_equal(rows):
            return rows
        return rows[0]

    def params(self) -> dict[str, NDArray[np.float64]]:
        """Parameter name -> (n,)."""
        source = self.source
        rows = np.array([source.params(s) for s in range(source.n_samples)], dtype=np.float64)
        return {v.name: rows[:, k].copy() for k, v in enumerate(source.schema.params)}

    def contents(
        self,
        keys: dict[str, list[dict[str, Any]]],
        params: dict[str, str],
        times: str | None,
        lengths: str | None,
    ) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
        """What `sciops.data.contents` writes, for one part that holds all samples."""
        source = self.source
        part = {
            "n_samples": source.n_samples,
            "frames": int(source.lengths.max()),
            "subset": None,
            "times": times,
            "lengths": lengths,
            "params": params,
            "arrays": keys,
        }
        return contents.text(
            source.schema, [part], source.attributes, source.provenance, source.notes
        )


def _all_equal(rows: NDArray[np.float64]) -> bool:
    return bool(((rows == rows[0]) | (np.isnan(rows) & np.isnan(rows[0]))).all())
