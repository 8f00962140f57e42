"""NumPy's ``.npz``, uncompressed, so that the members can be read through a memory map."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sciops.data.writers._flat import InMemory


class NpzWriter(InMemory):
    """An archive of arrays."""

    title = "NumPy .npz"
    suffix = ".npz"

    def create(self, path: Path) -> None:
        """See `Writer`."""
        self.allocate(path)

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """See `Writer`."""
        yield
        small = {key: item.values for key, item in self.small().items()}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **self.arrays, **small)
