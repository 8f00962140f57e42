"""The worker process of `_generate.py`: a task in JSON comes in, one line a block goes out.

It runs as ``python -m sciops.problems._worker``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core import resolve
from sciops.core.config import validate
from sciops.core.errors import SciopsError
from sciops.core.problem import Problem

Block = tuple[int, int]  # samples start .. stop-1


def work(task: dict[str, Any]) -> Iterator[int]:
    """What a worker does: write the blocks of `task`, yielding the size of each."""
    settings = task["problem"]
    cls = resolve.find("problems", settings["kind"])
    problem: Problem = validate(cls, settings, "problem")
    for start, stop in task["blocks"]:
        fields = block_of(problem, task["seed"], start, stop, task["dtype"])
        save(part_of(Path(task["parts"]), (start, stop)), fields)
        yield stop - start


def block_of(
    problem: Problem, seed: int, start: int, stop: int, dtype: str
) -> dict[str, NDArray[Any]]:
    """Samples start .. stop-1: variable name -> (stop - start, *shape); params stay float64."""
    drawn = []
    for i in range(start, stop):
        sample = problem.sample(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,))))
        problem.check_sample(sample)
        drawn.append(sample)
    params = {v.name for v in problem.schema().params}
    return {
        name: np.stack([s[name] for s in drawn]).astype(np.float64 if name in params else dtype)
        for name in drawn[0]
    }


def part_of(parts: Path, block: Block) -> Path:
    """The file of a block."""
    return parts / f"{block[0]:08d}-{block[1]:08d}.npz"


def save(path: Path, fields: dict[str, NDArray[Any]]) -> None:
    """Write an .npz under a temporary name and rename it, so that `path` is whole or absent."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **fields)
    os.replace(temporary, path)


def main() -> int:
    """A worker process."""
    try:
        for size in work(json.load(sys.stdin)):
            print(json.dumps({"done": size}), flush=True)
    except SciopsError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 2
    except BrokenPipeError:  # whoever asked is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
