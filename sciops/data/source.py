"""What the tools read and the writers write: samples of fields, one at a time.

    FileSource(layout)            the data of a file
    Selected(source, samples)     some samples of another source, in that order

Other sources (`sciops.data.resample`, `merge`, `repair`) change what lies under them while it is
read, so a chain of tools streams: nothing holds more than one block of one sample.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.core.schema import Schema, Variable
from sciops.data import reader
from sciops.data.files import checksum
from sciops.data.layout import Layout
from sciops.data.open import open_layout

BLOCK = 1 << 25  # bytes of the blocks in which the tools read a trajectory


class Source(ABC):
    """A data set that can be read sample by sample.

    Attributes
    ----------
    schema
        As in `Layout`.
    lengths
        (n,) frames of each sample; 1 where nothing evolves.
    attributes, provenance, notes
        As in `Layout`.
    """

    schema: Schema
    lengths: NDArray[np.int64]
    attributes: Mapping[str, str]
    provenance: Mapping[str, str]
    notes: tuple[str, ...]

    @abstractmethod
    def times(self, sample: int) -> NDArray[np.float64]:
        """(T,) times of the frames of one sample; NaN where they are not known."""

    @abstractmethod
    def params(self, sample: int) -> NDArray[np.float64]:
        """(P,) parameters of one sample, in the schema's order."""

    @abstractmethod
    def subset(self, sample: int) -> str | None:
        """The part that the data set itself gives the sample to: train, valid, test, or None."""

    @abstractmethod
    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """([T,] *N, *components) of one variable of one sample."""

    @abstractmethod
    def dtype(self, name: str) -> np.dtype[Any]:
        """Type of the values that `read` gives."""

    def shared(self, name: str) -> bool:
        """Whether a static field is one and the same for all samples."""
        return False

    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 of everything that determines the numbers: a stopped conversion asks for it."""

    @property
    def n_samples(self) -> int:
        """Number of samples n."""
        return len(self.lengths)

    @property
    def ragged(self) -> bool:
        """Whether trajectories differ in length."""
        return bool((self.lengths != self.lengths[0]).any())

    def blocks(self, name: str, sample: int) -> Iterator[tuple[slice, NDArray[Any]]]:
        """(frames, values) that cover one sample in order, each of at most about `BLOCK` bytes.

        A variable that does not vary in time comes as one block with the frames ``slice(0, 1)``
        and without a time axis.
        """
        v = self.schema[name]
        if not v.time_varying:
            yield slice(0, 1), self.read(name, sample)
            return
        assert v.domain is not None
        n = int(self.lengths[sample])
        one = int(np.prod(v.domain.shape)) * v.width * self.dtype(name).itemsize
        step = max(BLOCK // max(one, 1), 1)
        for begin in range(0, n, step):
            frames = slice(begin, min(begin + step, n))
            yield frames, self.read(name, sample, frames)


class FileSource(Source):
    """The data of a layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.schema = layout.schema
        self.lengths = layout.lengths
        foreign = {} if layout.format in ("sciops", "arrays") else {"source_format": layout.format}
        self.attributes = foreign | dict(layout.attributes)
        self.provenance = layout.provenance
        self.notes = layout.notes

    def times(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        return self.layout.times(sample)

    def params(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        return self.layout.params(sample)

    def subset(self, sample: int) -> str | None:
        """See `Source`."""
        return self.layout.locate(sample)[0].subset

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        return reader.read(self.layout, name, sample, frames)

    def dtype(self, name: str) -> np.dtype[Any]:
        """See `Source`."""
        kinds = {s.values_dtype for p in self.layout.parts for s in p.arrays[name]}
        return np.result_type(*kinds)

    def shared(self, name: str) -> bool:
        """See `Source`."""
        if self.schema[name].time_varying or len(self.layout.parts) > 1:
            return False
        return all("sample" not in s.axes for s in self.layout.parts[0].arrays[name])

    @cached_property
    def _checksum(self) -> str:
        return checksum(self.layout)

    def fingerprint(self) -> str:
        """See `Source`."""
        return self._checksum


class Derived(Source):
    """A source that passes on what lies under it; subclasses change what they are about."""

    def __init__(self, under: Source) -> None:
        self.under = under
        self.schema = under.schema
        self.lengths = under.lengths
        self.attributes = under.attributes
        self.provenance = under.provenance
        self.notes = under.notes

    def times(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        return self.under.times(sample)

    def params(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        return self.under.params(sample)

    def subset(self, sample: int) -> str | None:
        """See `Source`."""
        return self.under.subset(sample)

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        return self.under.read(name, sample, frames)

    def dtype(self, name: str) -> np.dtype[Any]:
        """See `Source`."""
        return self.under.dtype(name)

    def shared(self, name: str) -> bool:
        """See `Source`."""
        return self.under.shared(name)

    def fingerprint(self) -> str:
        """See `Source`."""
        return joined(self.under.fingerprint(), type(self).__name__, self.settings())

    @abstractmethod
    def settings(self) -> Any:
        """What was changed, as JSON types."""


class Selected(Derived):
    """Some samples of a source, in the order of `samples`."""

    def __init__(self, under: Source, samples: Sequence[int]) -> None:
        super().__init__(under)
        wrong = [s for s in samples if not 0 <= s < under.n_samples]
        if wrong or not len(samples):
            raise SchemaError(
                f"samples must be some of 0 .. {under.n_samples - 1}, got {wrong[:5] or 'none'}"
            )
        self.samples = tuple(int(s) for s in samples)
        self.lengths = under.lengths[list(self.samples)]

    def times(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        return self.under.times(self.samples[sample])

    def params(self, sample: int) -> NDArray[np.float64]:
        """See `Source`."""
        return self.under.params(self.samples[sample])

    def subset(self, sample: int) -> str | None:
        """See `Source`."""
        return self.under.subset(self.samples[sample])

    def read(self, name: str, sample: int, frames: slice = slice(None)) -> NDArray[Any]:
        """See `Source`."""
        return self.under.read(name, self.samples[sample], frames)

    def settings(self) -> Any:
        """See `Derived`."""
        return self.samples


def open_source(path: str | Path, format: str | None = None) -> FileSource:
    """The data of a file or folder, for the tools; see `open_layout`."""
    return FileSource(open_layout(path, format))


def joined(*parts: Any) -> str:
    """One SHA-256 of several things that go to JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def by_name(source: Source) -> list[Variable]:
    """The fields in the order of their names, which no format changes."""
    fields = (v for v in source.schema.variables if v.role != "param")
    return sorted(fields, key=lambda v: v.name)


def sample_hash(source: Source, sample: int) -> str:
    """SHA-256 of the fields and parameters of one sample; independent of storage, without times."""
    digest = hashlib.sha256()
    for v in by_name(source):
        digest.update(f"{v.name} {source.dtype(v.name).str}".encode())
        for _, values in source.blocks(v.name, sample):
            digest.update(np.ascontiguousarray(values).tobytes())
    digest.update(np.ascontiguousarray(source.params(sample)).tobytes())
    return digest.hexdigest()
