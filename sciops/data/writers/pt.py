"""A dictionary of tensors by ``torch.save``, which ``torch.load(weights_only=True)`` reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sciops.data.writers._flat import InMemory


class PtWriter(InMemory):
    """A file of torch."""

    title = "torch .pt (dictionary of tensors)"
    suffix = ".pt"

    def create(self, path: Path) -> None:
        """See `Writer`."""
        self.allocate(path)

    @contextmanager
    def opened(self, path: Path) -> Iterator[None]:
        """See `Writer`."""
        import torch

        yield
        small = {key: item.values for key, item in self.small().items()}
        torch.save(
            {k: torch.from_numpy(np.array(a)) for k, a in {**self.arrays, **small}.items()}, path
        )
