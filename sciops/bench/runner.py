"""Running a suite: every job in its own process, skipped when finished, reported when it fails."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sciops.bench.suite import Job, Suite
from sciops.core.config import to_yaml
from sciops.core.errors import ResumeError
from sciops.data.files import write_text
from sciops.data.task import TaskData
from sciops.training.run import read_run, run_id

COLUMNS = (
    "operator",
    "seed",
    "data",
    "split",
    "resolution",
    "variable",
    "lead",
    "metric",
    "mean",
    "median",
    "std",
    "n",
    "params",
    "ms_per_sample",
    "train_seconds",
    "peak_mb",
    "status",
)
INTERRUPTED = (130, 143)  # exit codes of a job that a signal stopped

Notify = Callable[[Job, str], None]


def state(folder: Path, job: Job, data: TaskData) -> str:
    """``new``, ``started`` or ``finished``; ResumeError if the folder holds another run."""
    before = read_run(folder / job.folder)
    if not before:
        return "new"
    if before.get("run_id") != run_id(job.config, data):
        raise ResumeError(
            f"{folder / job.folder}: holds a run with other settings or data; choose another "
            f"folder for this suite, or remove that one"
        )
    return "finished" if before.get("status") == "finished" else "started"


def run_suite(
    suite: Suite,
    jobs: list[Job],
    data: dict[str, TaskData],
    folder: Path,
    notify: Notify,
    quiet: bool = False,
) -> dict[str, str]:
    """Run what is not finished yet; returns the status of every job.

    Parameters
    ----------
    data
        Of each job's folder name: already opened and checked.
    folder
        The suite's folder; gets a run folder a job, ``suite.yaml`` and ``results.csv``.
    notify
        Called with each job before (``new``, ``started``, ``finished``) and after it.
    quiet
        Whether the jobs print nothing.
    """
    for job in jobs:
        state(folder, job, data[job.folder])  # refuse before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "suite.yaml", to_yaml(suite))
    statuses = {}
    for job in jobs:
        now = state(folder, job, data[job.folder])
        notify(job, now)
        if now != "finished":
            now = _run(folder, job, quiet)
            notify(job, now)
        statuses[job.folder] = now
    write_results(folder, jobs)
    return statuses


def _run(folder: Path, job: Job, quiet: bool) -> str:
    """One job in a process of its own."""
    settings = folder / f"{job.folder}.yaml"
    write_text(settings, to_yaml(job.config))
    command = [
        sys.executable,
        "-m",
        "sciops.cli",
        "train",
        str(settings),
        "-o",
        str(folder / job.folder),
    ]
    command.append("--quiet" if quiet else "--brief")
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    failure = folder / job.folder / "error.txt"
    if done.returncode == 0:
        settings.unlink()
        failure.unlink(missing_ok=True)
        return "finished"
    if done.returncode in INTERRUPTED or done.returncode < 0:
        raise KeyboardInterrupt
    failure.parent.mkdir(parents=True, exist_ok=True)
    write_text(failure, done.stderr.strip() or f"ended with exit code {done.returncode}")
    return "failed"


def write_results(folder: Path, jobs: list[Job]) -> Path:
    """``results.csv``: one row a job x test set x variable x lead x metric (lead 0: all leads)."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS)
    writer.writeheader()
    for job in jobs:
        writer.writerows(rows(folder / job.folder, job))
    write_text(folder / "results.csv", buffer.getvalue())
    return folder / "results.csv"


def rows(folder: Path, job: Job) -> list[dict[str, Any]]:
    """The rows of one job; a failed one has a single row without numbers."""
    run = read_run(folder)
    common = {
        "operator": job.label,
        "seed": job.config.seed,
        "data": run.get("data", ""),
        "params": run.get("params", ""),
        "train_seconds": run.get("training", {}).get("train_seconds", ""),
        "peak_mb": run.get("peak_mb", ""),
        "status": run.get("status", "failed"),
    }
    if run.get("status") != "finished" or not (folder / "errors.nc").is_file():
        return [common | {"status": "failed"}]
    out = []
    with xr.open_dataset(folder / "errors.nc", engine="h5netcdf") as errors:
        for split in dict.fromkeys(errors["split"].values.tolist()):
            part = errors.isel(sample=np.flatnonzero(errors["split"].values == split))
            test = run["tests"][split]
            place = common | {
                "split": split,
                "resolution": test["resolution"],
                "ms_per_sample": test["ms_per_sample"],
            }
            for metric in part.data_vars:
                for variable in part["variable"].values.tolist():
                    values = part[metric].sel(variable=variable)
                    leads = [(0, values.mean("lead").values)]
                    if values.sizes["lead"] > 1:
                        leads += [(int(k), values.sel(lead=k).values) for k in part["lead"].values]
                    for lead, x in leads:
                        out.append(
                            place
                            | {"variable": variable, "lead": lead, "metric": metric}
                            | summary(x)
                        )
    return out


def summary(x: np.ndarray) -> dict[str, float | int]:
    """Mean, median, standard deviation over the samples, and their number."""
    return {
        "mean": float(x.mean()),
        "median": float(np.median(x)),
        "std": float(x.std()),
        "n": len(x),
    }
