"""Chunked, compressed arrays: a chunk is decompressed once for several reads.

The frames of a trajectory are cut into blocks, whole chunks along the sample and time axes:

    frame t of sample s  lies in the block  (s // c_s, t // c_t),   c_t a multiple of the chunk's

A read that meets a block for the first time takes only its frames; a block that is met again
within the last `RECENT` reads is decompressed as a whole and kept, up to `KEPT` bytes in all.
Random reads over a large file therefore cost what they did, and windows that follow one another,
or that a `BlockShuffle` draws together, cost one decompression of each chunk.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.data import budget, hdf5
from sciops.data.layout import Stored

KEPT = 64 << 20  # bytes of all blocks of a process
LARGEST = 16 << 20  # bytes of one block; a larger one is never kept
FRAMES = 16  # a block has at least as many frames, where the chunks are shorter and it stays small
RECENT = 64  # blocks that were read in part and are remembered

Key = tuple[Any, ...]

_lock = threading.Lock()
_kept: OrderedDict[Key, NDArray[Any]] = OrderedDict()
_met: OrderedDict[Key, None] = OrderedDict()


def clear() -> None:
    """Forget all blocks."""
    with _lock:
        _kept.clear()
        _met.clear()


def block_shape(stored: Stored) -> tuple[int, int]:
    """(samples, frames) of a block; frames are 1 where nothing evolves."""
    assert stored.chunks is not None
    sizes = dict(zip(stored.axes, stored.shape, strict=True))
    chunk = dict(zip(stored.axes, stored.chunks, strict=True))
    n_samples = min(chunk.get("sample", 1), sizes.get("sample", 1))
    if "time" not in chunk:
        return n_samples, 1
    step = chunk["time"]
    fits = LARGEST // max(_bytes_per_frame(stored) * n_samples * step, 1)
    return n_samples, step * max(min(math.ceil(FRAMES / step), fits), 1)


def block_bytes(stored: Stored) -> int:
    """Bytes of one block."""
    return _bytes_per_frame(stored) * math.prod(block_shape(stored))


def _bytes_per_frame(stored: Stored) -> int:
    """Bytes of one frame of one sample, without the axes of which one entry is taken."""
    fixed = {k for k, _ in stored.fixed}
    left = [
        n
        for k, (a, n) in enumerate(zip(stored.axes, stored.shape, strict=True))
        if k not in fixed and a not in ("sample", "time", "")
    ]
    return math.prod(left) * np.dtype(stored.dtype).itemsize


def read(source: Any, stored: Stored, index: tuple[int | slice, ...]) -> NDArray[Any]:
    """source[index], through the blocks where they are small enough to be kept.

    Parameters
    ----------
    source
        The chunked array.
    stored
        Its description.
    index
        One entry a stored axis; slices go forwards.
    """
    n_samples, n_frames = block_shape(stored)
    size = _bytes_per_frame(stored) * n_samples * n_frames
    where = {a: k for k, a in enumerate(stored.axes)}
    frames = index[where["time"]] if "time" in where else slice(0, 1, 1)
    if size > LARGEST or not isinstance(frames, slice):
        return _direct(source, stored, index)
    wanted = range(*frames.indices(stored.shape[where["time"]] if "time" in where else 1))
    if not wanted:
        return _direct(source, stored, index)
    low, high = min(wanted), max(wanted) + 1
    sample = index[where["sample"]] if "sample" in where else 0
    assert isinstance(sample, int)
    root = (*_identity(stored), stored.key, stored.fixed)
    keys = [
        (*root, sample // n_samples, b) for b in range(low // n_frames, (high - 1) // n_frames + 1)
    ]
    if len(keys) * size > KEPT // 2 or not _known(source, keys):
        return _direct(source, stored, index)
    parts = [_block(source, stored, key, index, where, (n_samples, n_frames)) for key in keys]
    time = _left(stored, where, "time")
    if "sample" in where:
        s, axis = sample % n_samples, _left(stored, where, "sample")
        parts = [np.take(p, s, axis) if n_samples > 1 else p.squeeze(axis) for p in parts]
        time = time - 1 if time is not None and axis is not None and axis < time else time
    if time is None:
        return parts[0]
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=time)
    begin = keys[0][-1] * n_frames
    cut = [slice(None)] * whole.ndim
    cut[time] = slice(low - begin, high - begin, wanted.step)
    return whole[tuple(cut)]


def _identity(stored: Stored) -> Key:
    """What distinguishes the file from another that later stands under the same path."""
    return (os.getpid(), stored.path) if os.path.isdir(stored.path) else hdf5.identity(stored.path)


def _left(stored: Stored, where: dict[str, int], axis: str) -> int | None:
    """Number of an axis among those that a block keeps."""
    if axis not in where:
        return None
    gone = {k for k, _ in stored.fixed} | {k for k, a in enumerate(stored.axes) if a == ""}
    return sum(k not in gone for k in range(where[axis]))


def _direct(source: Any, stored: Stored, index: tuple[int | slice, ...]) -> NDArray[Any]:
    asked = [
        len(range(*i.indices(n)))
        for i, n in zip(index, stored.shape, strict=True)
        if isinstance(i, slice)
    ]
    budget.require(asked, np.dtype(stored.dtype).itemsize, stored.path, f"a part of {stored.key}")
    return np.asarray(source[index])


def _known(source: Any, keys: list[Key]) -> bool:
    """Whether every block is kept or was met lately; those that were not are remembered."""
    with _lock:
        new = [k for k in keys if k not in _kept and k not in _met]
        for key in new:
            _met[key] = None
        while len(_met) > RECENT:
            _met.popitem(last=False)
    return not new


def _block(
    source: Any,
    stored: Stored,
    key: Key,
    index: tuple[int | slice, ...],
    where: dict[str, int],
    shape: tuple[int, int],
) -> NDArray[Any]:
    """One block, kept for the next time."""
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    cut = list(index)
    for axis, size, number in zip(("sample", "time"), shape, key[-2:], strict=True):
        if axis in where:
            cut[where[axis]] = slice(number * size, (number + 1) * size)
    block = np.asarray(source[tuple(cut)])
    block.flags.writeable = False
    with _lock:
        _kept[key] = block
        while sum(b.nbytes for b in _kept.values()) > KEPT and len(_kept) > 1:
            _kept.popitem(last=False)
    return block
