r"""What one window of a data set costs: time, and bytes read against bytes used.

A window of w frames of one sample meets whole chunks: with c_a entries of a chunk along the axis a
and the entries [b_a, e_a) that the window needs,

    read = prod_a (ceil(e_a / c_a) - floor(b_a / c_a)) c_a  bytes of every stored array,

before decompression is counted.  `blocks` keeps what was decompressed, so windows that follow one
another cost less; a window drawn at random costs this.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.layout import Layout, Stored

FRAMES = 2  # one frame in, one frame out
DRAWS = 5  # windows that are timed
WASTE = 3.0  # bytes read for one that is used, from which rechunking pays: measured 18 x at 11
LONG = 2.0  # seconds after which no further window is timed
WHOLE = ("npz", "matlab", "netcdf3", "text", "torch")  # read into memory as a whole


@dataclass(frozen=True)
class Cost:
    """What a window of `frames` frames of all variables costs, on average over some drawn ones.

    Attributes
    ----------
    milliseconds
        To read it at random, from the disk or its cache; NaN where it could not be read.
    used, read
        Bytes of the window, and of the chunks that it touches (before compression).
    in_memory
        Whether an array is held in memory as a whole.
    message
        Why it could not be read; else nothing.
    """

    frames: int
    milliseconds: float
    used: int
    read: int
    in_memory: bool
    message: str = ""

    @property
    def waste(self) -> float:
        """Bytes read for one that is used."""
        return self.read / max(self.used, 1)

    @property
    def advice(self) -> str:
        """Whether other chunks would pay."""
        if self.waste >= WASTE:
            return f"{self.waste:.1f} bytes are read for one that is used: sciops data rechunk pays"
        return "the chunks fit windows" if self.read > self.used else "nothing is read in vain"


def window_cost(layout: Layout, seed: int = 0) -> Cost:
    """Time some windows that are drawn at random, and count their bytes.

    A file that cannot be read gives a cost of NaN with the reason, not an error.
    """
    rng = np.random.default_rng(seed)
    evolves = any(v.time_varying for v in layout.schema.variables)
    width = min(FRAMES, int(layout.lengths.max())) if evolves else 1
    enough = np.flatnonzero(layout.lengths >= width)
    fields = [v for v in layout.schema.variables if v.role != "param"]
    seconds, used, read = [], 0, 0
    began = time.perf_counter()
    try:
        for _ in range(DRAWS):
            sample = int(rng.choice(enough))
            start = int(rng.integers(0, int(layout.lengths[sample]) - width + 1))
            frames = slice(start, start + width)
            begin = time.perf_counter()
            for v in fields:
                used += int(np.array(reader.read(layout, v.name, sample, frames)).nbytes)
            seconds.append(time.perf_counter() - begin)
            part, i = layout.locate(sample)
            read += sum(touched(s, i, frames) for v in fields for s in part.arrays[v.name])
            if time.perf_counter() - began > LONG:
                break
    except (DataError, OSError, MemoryError) as error:
        return Cost(width, float("nan"), 0, 0, False, str(error))
    whole = any(
        s.container in WHOLE and s.offset is None
        for p in layout.parts
        for v in fields
        for s in p.arrays[v.name]
    )
    n = len(seconds)
    return Cost(width, 1e3 * float(np.median(seconds)), used // n, read // n, whole)


def touched(stored: Stored, sample: int, frames: slice) -> int:
    """Bytes of the chunks that some frames of one sample meet; all that is used where unchunked."""
    fixed = dict(stored.fixed)
    size = np.dtype(stored.dtype).itemsize
    for k, (axis, n) in enumerate(zip(stored.axes, stored.shape, strict=True)):
        chunk = 1 if stored.chunks is None else stored.chunks[k]
        if k in fixed:
            begin, end = fixed[k], fixed[k] + 1
        elif axis == "sample":
            begin, end = sample, sample + 1
        elif axis == "time":
            begin, end = frames.start, frames.stop
        else:
            begin, end = 0, n
        size *= (-(-end // chunk) - begin // chunk) * chunk
    return size


def stored_bytes(layout: Layout) -> tuple[int, int]:
    """(bytes of all arrays before compression, bytes of the files)."""
    arrays = {
        (s.path, s.key): int(np.prod(s.shape, dtype=object)) * np.dtype(s.dtype).itemsize
        for p in layout.parts
        for several in p.arrays.values()
        for s in several
    }
    files = 0
    for name in layout.paths:
        path = Path(name)
        inside = path.rglob("*") if path.is_dir() else [path]
        files += sum(f.stat().st_size for f in inside if f.is_file())
    return sum(arrays.values()), files
