"""The order in which windows are drawn: at random, or at random by blocks of the storage.

A chunk of a compressed file holds many frames.  Windows drawn at random decompress it again for
each of them; drawn by blocks it is decompressed about once an epoch:

    1. windows whose first frames lie in one block (see `sciops.data.blocks`) form a group,
    2. the groups are put in random order,
    3. the windows of `pool` consecutive groups are shuffled together, pool after pool.

Every window comes once in an epoch, whatever the order.  The pool is as large as the blocks that
are kept in memory allow, so neighbours in a batch come from many trajectories.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Sampler

from sciops.data import blocks
from sciops.data.layout import Stored

if TYPE_CHECKING:
    from sciops.data.windows import Windows


def chunked(windows: Windows) -> list[Stored]:
    """One stored array of each variable that lies in chunks that hold several windows."""
    found = []
    for v in {v.name: v for v in (*windows.schema.inputs, *windows.schema.targets)}.values():
        for stored in windows.layout.parts[0].arrays[v.name]:
            if stored.chunks is not None and math.prod(blocks.block_shape(stored)) > 1:
                found.append(stored)
    return found


def pays(windows: Windows) -> bool:
    """Whether drawing by blocks saves decompression: chunks, and more of them than are kept."""
    size = sum(math.prod(s.shape) * np.dtype(s.dtype).itemsize for s in chunked(windows))
    return size * len(windows.layout.parts) > blocks.KEPT // 2


def block_order(windows: Windows, generator: torch.Generator) -> list[int]:
    """Numbers of all windows, each once, drawn by blocks; see the top of this file."""
    arrays = chunked(windows)
    shapes = [blocks.block_shape(s) for s in arrays] or [(1, 1)]
    n_samples, n_frames = max(s for s, _ in shapes), max(f for _, f in shapes)
    groups: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for number, (sample, start) in enumerate(windows.starts.tolist()):
        part, i = windows.layout.place(sample)
        groups[part, i // n_samples, start // n_frames].append(number)
    size = sum(blocks.block_bytes(s) for s in arrays)
    pool = max(blocks.KEPT // 2 // max(size, 1), 1)
    listed = list(groups.values())
    turned = [listed[k] for k in torch.randperm(len(listed), generator=generator).tolist()]
    out: list[int] = []
    for begin in range(0, len(turned), pool):
        members = [i for group in turned[begin : begin + pool] for i in group]
        out += [members[k] for k in torch.randperm(len(members), generator=generator).tolist()]
    return out


class BlockShuffle(Sampler[int]):
    """Draws windows by blocks of their storage, for any DataLoader.

    Parameters
    ----------
    windows
        What is drawn from.
    seed
        The order of epoch k follows from (seed, k) alone; call `set_epoch` to resume.
    """

    def __init__(self, windows: Windows, seed: int = 0) -> None:
        self.windows, self.seed, self.epoch = windows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch whose order comes next; each pass adds one by itself."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.windows)

    def __iter__(self) -> Iterator[int]:
        entropy = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(entropy[0]) & (2**63 - 1))
        self.epoch += 1
        return iter(block_order(self.windows, generator))
