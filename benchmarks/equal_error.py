"""After how many epochs one operator of a suite is as good as another at the end of its training.

    python benchmarks/equal_error.py SUITE_FOLDER mgno mgno_published

Reads the validation errors in `metrics.jsonl` of the run folders, seed by seed.  With a rate that
falls to zero at the end of the training, the first operator is still on its way at that epoch.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main() -> None:
    """One line a seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("first")
    parser.add_argument("other")
    parser.add_argument("--metric", default="relative_l2")
    given = parser.parse_args()
    for run in sorted(given.folder.glob(f"{given.first}-seed*")):
        seed = run.name.rpartition("-")[2]
        curves = [
            errors(given.folder / f"{name}-{seed}" / "metrics.jsonl", given.metric)
            for name in (given.first, given.other)
        ]
        best = min(curves[1].values())
        reached = [epoch for epoch, error in curves[0].items() if error <= best]
        when = f"epoch {min(reached)}" if reached else "never"
        print(f"{seed}: {given.other} {best:.4g} after {max(curves[1])}; {given.first}: {when}")


def errors(path: Path, metric: str) -> dict[int, float]:
    """Epoch -> validation error."""
    entries = map(json.loads, path.read_text().splitlines())
    return {e["epoch"]: e["valid"][metric] for e in entries if "valid" in e}


if __name__ == "__main__":
    main()
