"""A suite is one YAML: data x operators x seeds, and how they are trained.

    name: darcy_neuralop
    data: {path: .., train: .., tests: {..}, window: {..}}    # `data=PATH` replaces the path alone
    training: {epochs: 40, ..}                                 # for every operator
    seeds: [0, 1, 2]
    operators:
      fno:  {operator: {kind: neuralop, ..}, training: {lr: 5.0e-3}}   # label: own settings
      mean: {operator: {kind: mean}, seeds: [0]}

Every (operator, seed) is a job, and a job is a run folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciops.core.config import FileName, Settings, override, read_yaml, validate
from sciops.core.errors import ConfigError, NotFound, did_you_mean
from sciops.training.run import RunConfig


class Entry(Settings):
    """One operator of a suite."""

    operator: dict[str, Any]  # settings with `kind`
    training: dict[str, Any] = {}  # on top of the suite's
    seeds: tuple[int, ...] | None = None  # None: the suite's


class Suite(Settings):
    """The settings of a suite."""

    name: str
    title: str = ""
    note: str = ""  # shown in the report: protocol, source of the figures to compare with
    data: dict[str, Any]
    training: dict[str, Any] = {}
    metrics: tuple[str, ...] = ("relative_l2", "rmse", "nrmse", "vrmse", "max_error")
    headline: str = "relative_l2"  # metric of the main table
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    operators: dict[FileName, Entry]  # a run folder each


@dataclass(frozen=True)
class Job:
    """One run of a suite."""

    label: str
    config: RunConfig

    @property
    def folder(self) -> str:
        """Name of the run folder inside the suite's."""
        return f"{self.label}-seed{self.config.seed}"


def definitions() -> dict[str, Path]:
    """Suites that come with the package: name -> file."""
    inside = Path(__file__).parent.parent / "_definitions" / "benchmarks"
    checkout = Path(__file__).parents[2] / "benchmarks"
    root = inside if inside.is_dir() else checkout
    return {p.stem: p for p in sorted(root.glob("*.yaml"))}


def find(name: str) -> Path:
    """A suite's file, by path or by the name of one that comes with the package."""
    if Path(name).is_file():
        return Path(name)
    known = definitions()
    if name in known:
        return known[name]
    raise NotFound(
        f"no suite {name!r}: neither a file nor one of {', '.join(known) or 'none'}."
        f"{did_you_mean(name, known)}"
    )


def read(path: Path, assignments: Sequence[str] = ()) -> tuple[Suite, list[Job]]:
    """The suite and its jobs, with every setting checked."""
    tree = read_yaml(path)
    shortened = [
        f"data.path={a.partition('=')[2]}" if a.startswith("data=") else a for a in assignments
    ]
    suite = validate(Suite, override(tree, shortened), str(path))
    if not suite.operators:
        raise ConfigError(f"{path}: operators: expected at least one")
    jobs = []
    for label, entry in suite.operators.items():
        for seed in suite.seeds if entry.seeds is None else entry.seeds:
            settings = {
                "data": suite.data,
                "operator": entry.operator,
                "training": {**suite.training, **entry.training},
                "seed": seed,
                "device": suite.device,
                "metrics": suite.metrics,
            }
            jobs.append(Job(label, validate(RunConfig, settings, f"{path}: operators.{label}")))
    return suite, jobs
