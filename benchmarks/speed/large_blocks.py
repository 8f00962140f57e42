"""What keeping large blocks of memory is worth: operations on tensors of 33.5 MB, with and without.

    python benchmarks/speed/large_blocks.py [--quick] [--threads 1] [--json PATH]

The setting (`sciops.core.memory.keep_large_blocks`) holds for a process, so each side runs in fresh
processes of its own, in turn.  CPU time, the system's share of it included, which is where the
kernel's work on pages is counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from interleaved import apart, options, parse, row, show, training_step, write
from torch.nn import functional as F

from sciops.core.memory import keep_large_blocks
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.operators.fno import Config


def main() -> None:
    """Time, print, write."""
    given = parse(options(__doc__))
    rounds = []
    for _ in range(1 if given.quick else 5):
        rounds.append([apart(measure, keep, given.threads) for keep in (True, False)])
    rows = []
    for case in rounds[0][0]:
        kept, returned = ([side[case] for side in sides] for sides in zip(*rounds, strict=True))
        rows.append(show(row(case, kept, "glibc's default", returned)))
    write(given.json, rows)


def measure(keep: bool, threads: int) -> dict[str, float]:
    """Median milliseconds of each case."""
    torch.set_num_threads(threads)
    if keep and not keep_large_blocks():
        raise SystemExit("this C library has no such setting")
    x = torch.randn(128, 256, 256)
    cases: dict[str, Callable[[], Any]] = {
        "clone, 128 x 256 x 256": x.clone,
        "gelu": lambda: F.gelu(x),
        "rfft2": lambda: torch.fft.rfft2(x),
        "FNO 4x256x256, width 32, training step": fno_step(256),
        "FNO 4x64x64, width 32, training step": fno_step(64),
    }
    return {name: median(work) for name, work in cases.items()}


def fno_step(n: int) -> Callable[[], None]:
    """Forward, backward and AdamW of an FNO."""
    grid = Grid(tuple(Axis.uniform(name, n, spacing="periodic") for name in ("x", "y")))
    schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")))
    operator = Config().build(schema)
    return training_step(operator, *torch.randn(2, 4, 1, n, n))


def median(work: Callable[[], Any]) -> float:
    """Median CPU milliseconds of nine calls after two."""
    times = []
    for _ in range(11):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return 1e3 * statistics.median(times[2:])


if __name__ == "__main__":
    main()
