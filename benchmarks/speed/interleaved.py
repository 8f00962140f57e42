"""What the scripts of this folder share: arguments, clock, turns, rows of the table.

Ours and a peer take turns in one process, so that what else the machine does meets both.  A row
holds the medians over the turns, and the median and range of the ratio peer / ours of one turn.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

Row = dict[str, Any]


def options(description: str | None, device: bool = False) -> argparse.ArgumentParser:
    """The options that every script has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where the rows are written")
    if device:
        parser.add_argument("--device", default="cpu")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The given options; torch works on as many threads from here on."""
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    return given


def race(
    case: str,
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    name: str,
    repeats: int,
    device: str = "cpu",
) -> Row:
    """Both in turn after a warm-up, printed."""
    turns = [(seconds(ours, device), seconds(peer, device)) for _ in range(repeats + 2)][2:]
    return show(row(case, [1e3 * a for a, _ in turns], name, [1e3 * b for _, b in turns]))


def row(
    case: str, mine: Sequence[float], peer: str, theirs: Sequence[float], unit: str = "ms"
) -> Row:
    """Medians, and the ratio with its range over the turns."""
    ratios = [b / a for a, b in zip(mine, theirs, strict=True)]
    return {
        "case": case,
        f"ours_{unit}": rounded(statistics.median(mine)),
        "peer": peer,
        f"peer_{unit}": rounded(statistics.median(theirs)),
        "ratio": rounded(statistics.median(ratios)),
        "ratio_min": rounded(min(ratios)),
        "ratio_max": rounded(max(ratios)),
    }


def rounded(value: float) -> float:
    """Five digits: more than repeat."""
    return float(f"{value:.5g}")


def show(found: Row) -> Row:
    """Print one line of the table."""
    unit = next(key for key in found if key.startswith("ours_")).removeprefix("ours_")
    print(
        f"{found['case']:86s} {found[f'ours_{unit}']:10.3f} {unit}  {found['peer']:28s} "
        f"{found[f'peer_{unit}']:10.3f} {unit}  x{found['ratio']:6.2f}  "
        f"({found['ratio_min']:.2f} - {found['ratio_max']:.2f})",
        flush=True,
    )
    return found


def write(path: Path | None, rows: list[Row]) -> None:
    """The table as JSON, where it is asked for."""
    if path is not None:
        path.write_text(json.dumps(rows, indent=1) + "\n")


def clock(device: str = "cpu") -> float:
    """Seconds: CPU time on one thread, which other load disturbs less; wall time otherwise."""
    alone = device == "cpu" and torch.get_num_threads() == 1
    return time.process_time() if alone else time.perf_counter()


def seconds(work: Callable[[], Any], device: str = "cpu") -> float:
    """Of one call."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    started = clock(device)
    work()
    wait()
    return clock(device) - started


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of `work` in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def forward(module: nn.Module, x: Tensor) -> Tensor:
    """Inference."""
    with torch.no_grad():
        return module(x)


def training_step(module: nn.Module, x: Tensor, y: Tensor) -> Callable[[], None]:
    """Forward, backward, AdamW."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)

    def run() -> None:
        optimizer.zero_grad()
        (module(x) - y).square().mean().backward()
        optimizer.step()

    return run


def count(module: nn.Module) -> int:
    """Real parameters."""
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in module.parameters())


def tensor_memory(run: Callable[[], None]) -> float:
    """MB of tensors at the peak of a call beyond those before it, by torch's own account."""
    run()  # what stays, such as the moments of an optimizer
    with torch.profiler.profile(profile_memory=True) as profile:
        run()
    events = profile.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(itertools.accumulate(change for _, change in changes)) / 2**20
