"""What an operator costs: parameters, time a sample, memory."""

from __future__ import annotations

import resource
import statistics
import sys
import time

import torch

from sciops.core.operator import Operator
from sciops.data.windows import Windows

REPEATS = 7
BATCH = 32


def milliseconds_per_sample(operator: Operator, windows: Windows, device: torch.device) -> float:
    """Median time of one forward pass over a batch, divided by its samples, after a warm-up."""
    batch = next(windows.batches(min(BATCH, len(windows))))
    a, params = batch["inputs"].to(device), batch["params"].to(device)
    at = operator.at_targets(windows.schema)
    times = []
    operator.eval()
    with torch.no_grad():
        for k in range(REPEATS + 2):
            _wait(device)
            started = time.perf_counter()
            operator(a, params, at)
            _wait(device)
            if k >= 2:
                times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times) / len(a)


def peak_megabytes(device: torch.device) -> float:
    """Largest memory so far: of the GPU where one is used, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB here
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
