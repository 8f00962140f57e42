"""Reads what the runner left in a suite folder.  Whatever is missing or broken becomes a note.

    suite/results.csv          a row for each job x split x variable x lead x metric
    suite/suite.yaml           what was asked for
    suite/<job>/run.json       operator, seed, device, versions, status, checksums, command
    suite/<job>/metrics.jsonl  training and validation losses
    suite/<job>/errors.nc      a variable for each metric, (sample, variable, lead)
    suite/<job>/predictions.nc a group for each test split, a few samples
    suite/<job>/error.txt      only where the job failed

Nothing is trusted: text is taken as text, and a number that is none becomes NaN.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import yaml
from numpy.typing import NDArray

from sciops.core.errors import DataError

BASELINES = ("mean", "persistence", "least_squares")  # nothing is trained by gradient descent
FAILED = ("failed", "error", "crashed", "killed", "timeout")
PREFERRED = ("relative_l2", "nrmse", "vrmse", "rmse")  # the metric that ranks, if there
NUMBERS = ("mean", "median", "std", "n", "params", "ms_per_sample", "train_seconds", "peak_mb")
TEXTS = ("operator", "seed", "data", "split", "resolution", "variable", "metric", "status")
TEXT_LIMIT = 100_000  # characters of a text file that are read


class Result(NamedTuple):
    """A row of results.csv; `lead` is 0 for all lead times together."""

    operator: str
    seed: str
    data: str
    split: str
    resolution: str
    variable: str
    metric: str
    status: str
    lead: int
    mean: float
    median: float
    std: float
    n: float
    params: float
    ms_per_sample: float
    train_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class RunFolder:
    """One run folder."""

    folder: Path
    info: Mapping[str, Any]
    error: str | None

    @property
    def operator(self) -> str:
        """Its label in the suite: run folders are called ``label-seedN``."""
        label, found, _ = self.folder.name.rpartition("-seed")
        return label if found else str(self.info.get("operator", self.folder.name))

    @property
    def seed(self) -> str:
        """Seed, as text."""
        return str(self.info.get("seed", self.folder.name.rpartition("-seed")[2]))

    @property
    def data(self) -> str:
        """Name of the data set, where the run says it."""
        data = self.info.get("data", "")
        return str(data.get("name", data.get("kind", "")) if isinstance(data, Mapping) else data)

    @property
    def status(self) -> str:
        """``finished``, ``failed``, ``running`` or what else the run says."""
        status = str(self.info.get("status", "unknown"))
        return "failed" if self.error is not None or status.lower() in FAILED else status

    @property
    def reason(self) -> str:
        """The line of the error that says most: the first, of a traceback the last."""
        lines = [line for line in (self.error or "").splitlines() if line.strip()]
        traceback = any(line.startswith("Traceback (most recent call") for line in lines)
        return first_line(lines[-1] if traceback else "\n".join(lines)) or "no message"

    def losses(self) -> list[dict[str, Any]]:
        """Lines of metrics.jsonl that are JSON objects."""
        lines = []
        path = self.folder / "metrics.jsonl"
        if path.is_file():
            for text in path.read_text("utf-8", errors="replace").splitlines():
                entry = _json(text)
                if entry:
                    lines.append(entry)
        return lines

    def errors(self, metric: str, variable: str, split: str) -> NDArray[np.float64] | None:
        """(n, T) errors of the samples of a split at the T lead times; None where not stored."""
        stored = self._errors
        names = [] if stored is None else [n for n in stored.data_vars if short(n) == short(metric)]
        if stored is None or not names or not {"sample", "variable"} <= set(stored[names[0]].dims):
            return None
        e = stored[names[0]]
        e = e if "lead" in e.dims else e.expand_dims("lead")
        variables = [str(v) for v in stored["variable"].values]
        if variable not in variables:
            return None
        values = e.transpose("variable", "sample", "lead").values[variables.index(variable)]
        if "split" in stored.variables:
            values = values[[str(s) == split for s in stored["split"].values]]
        return np.asarray(values, dtype=float) if values.size else None

    @cached_property
    def _errors(self) -> xr.Dataset | None:
        path = self.folder / "errors.nc"
        if not path.is_file():
            return None
        with xr.open_dataset(path, engine="h5netcdf") as stored:
            return stored.load()


@dataclass
class SuiteFolder:
    """Everything that the report is made of."""

    folder: Path
    title: str
    note: str = ""
    headline: str = ""  # the metric that ranks
    definition: str = ""  # suite.yaml
    results: list[Result] = field(default_factory=list)
    jobs: list[RunFolder] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def operators(self) -> list[str]:
        """Operators that gave results, in the order of the file, baselines last."""
        names = list(dict.fromkeys(r.operator for r in self.results))
        return sorted(names, key=self.is_baseline)

    @property
    def baselines(self) -> list[str]:
        """Operators that need no training."""
        return [o for o in self.operators if self.is_baseline(o)]

    def is_baseline(self, operator: str) -> bool:
        """Known by name, or because its training took no time at all."""
        seconds = [r.train_seconds for r in self.results if r.operator == operator]
        return operator in BASELINES or (bool(seconds) and max(seconds) < 1e-3)

    def primary_metric(self) -> str | None:
        """The metric by which operators are ranked."""
        names = list(dict.fromkeys(r.metric for r in self.results))
        for wanted in (short(self.headline), *PREFERRED):
            for name in names:
                if short(name) == wanted:
                    return name
        return names[0] if names else None

    def job(self, operator: str, seed: str, data: str) -> RunFolder | None:
        """The finished run behind a row of the table; None where that is not certain."""
        found = [j for j in self.jobs if (j.operator, j.seed) == (operator, seed)]
        found = [j for j in found if j.status != "failed"]
        if len(found) > 1:
            found = [j for j in found if j.data == data]
        return found[0] if len(found) == 1 else None


def read(folder: str | Path) -> SuiteFolder:
    """Read a suite folder.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(folder, "no such folder; give the folder of `sciops bench run -o`")
    suite = SuiteFolder(folder, folder.resolve().name)
    suite.definition = _text(folder / "suite.yaml", suite.notes)
    try:
        tree = yaml.safe_load(suite.definition)
    except (yaml.YAMLError, ValueError, RecursionError):
        tree = None
        suite.notes.append("suite.yaml is not valid YAML.")
    said = {k: v for k, v in tree.items() if isinstance(v, str)} if isinstance(tree, dict) else {}
    suite.title = said.get("title") or said.get("name") or suite.title
    suite.note, suite.headline = said.get("note", ""), said.get("headline", "")
    suite.results = _results(folder / "results.csv", suite.notes)
    suite.jobs = [_job(p) for p in sorted(folder.iterdir()) if _is_job(p)]
    return suite


def short(metric: object) -> str:
    """``relative_l2`` for ``pointwise:relative_l2``."""
    return str(metric).rpartition(":")[2]


def first_line(text: str, limit: int = 300) -> str:
    """First line that is not empty, shortened."""
    line = next((x.strip() for x in text.splitlines() if x.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(text: Any) -> float:
    """The number, or NaN."""
    try:
        return float(text)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _results(path: Path, notes: list[str]) -> list[Result]:
    """Rows of results.csv except those of failed jobs."""
    if not path.is_file():
        notes.append("results.csv is missing: there are no numbers to show.")
        return []
    rows = []
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                texts = {k: str(row.get(k) or "") for k in TEXTS}
                if texts["status"].lower() in FAILED or not texts["metric"]:
                    continue
                lead = number(row.get("lead"))
                numbers = {k: number(row.get(k)) for k in NUMBERS}
                rows.append(
                    Result(**texts, lead=int(lead) if math.isfinite(lead) else 0, **numbers)
                )
    except (csv.Error, OSError) as error:
        notes.append(f"results.csv cannot be read to its end: {error}")
    return rows


def _is_job(path: Path) -> bool:
    return path.is_dir() and any((path / n).is_file() for n in ("run.json", "error.txt"))


def _job(folder: Path) -> RunFolder:
    info = _json(_text(folder / "run.json", []))
    error = _text(folder / "error.txt", []) if (folder / "error.txt").is_file() else None
    return RunFolder(folder, info, error)


def _json(text: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _text(path: Path, notes: list[str]) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(TEXT_LIMIT)
    except OSError:
        notes.append(f"{path.name} is missing.")
        return ""
