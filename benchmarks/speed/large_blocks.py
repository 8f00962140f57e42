"""What keeping large blocks of memory is worth: operations on tensors of 33.5 MB, with and without.

    python benchmarks/speed/large_blocks.py [--quick] [--threads 1] [--json PATH]

The setting (`sciops.core.memory.keep_large_blocks`) holds for a process, so each side runs in fresh
processes of its own, in turn.  CPU time, the system's share of it included, which is where the
kernel's work on pages is counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from sciops.core.memory import keep_large_blocks
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.operators.fno import Config


def main() -> None:
    """Time, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="less than a minute")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    rounds = []
    for _ in range(1 if given.quick else 5):
        rounds.append([apart(keep, given.threads) for keep in (True, False)])
    rows = []
    for case in rounds[0][0]:
        pairs = [(kept[case], returned[case]) for kept, returned in rounds]
        ratios = [b / a for a, b in pairs]
        found = {
            "case": case,
            "ours_ms": statistics.median(a for a, _ in pairs),
            "peer": "glibc's default",
            "peer_ms": statistics.median(b for _, b in pairs),
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
        }
        rows.append(found)
        print(
            f"{case:44s} {found['ours_ms']:9.2f} ms  {found['peer_ms']:9.2f} ms  "
            f"x{found['ratio']:5.2f}  ({found['ratio_min']:.2f} - {found['ratio_max']:.2f})"
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


def apart(keep: bool, threads: int) -> dict[str, float]:
    """Milliseconds of every case, in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (keep, threads))


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
        "FNO 4x256x256, width 32, training step": training_step(256),
        "FNO 4x64x64, width 32, training step": training_step(64),
    }
    return {name: median(work) for name, work in cases.items()}


def training_step(n: int) -> Callable[[], None]:
    """Forward, backward and AdamW of an FNO."""
    grid = Grid(tuple(Axis.uniform(name, n, spacing="periodic") for name in ("x", "y")))
    schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")))
    operator = Config().build(schema)
    optimizer = torch.optim.AdamW(operator.parameters())
    a, u = torch.randn(4, 1, n, n), torch.randn(4, 1, n, n)

    def step() -> None:
        optimizer.zero_grad()
        (operator(a) - u).square().mean().backward()
        optimizer.step()

    return step


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
