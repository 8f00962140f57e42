"""Suites: jobs in their own processes, skipped when finished, failures reported."""

from __future__ import annotations

import csv
import os

import numpy as np
import pytest
import xarray as xr

from sciops.bench import solver_suite
from sciops.bench import suite as suites
from sciops.bench.runner import COLUMNS, run_suite, state
from sciops.core.config import read_yaml
from sciops.core.errors import ConfigError, NotFound, ResumeError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.task import load
from sciops.data.write import write_dataset
from sciops.training.run import read_run

SUITE = """
name: toy
data: {path: toy.hdf5, valid: 0.2, test: 0.2, rollout: 3}
training: {epochs: 1, batch_size: 8}
seeds: [0, 1]
operators:
  persistence: {operator: {kind: persistence}, seeds: [0]}
  unet: {operator: {kind: unet, width: 4, levels: 1}, training: {lr: 1.0e-3}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    grid = Grid((Axis.uniform("x", 8, spacing="periodic"),))
    u = np.random.default_rng(0).normal(size=(10, 6, 8)).astype(np.float32)
    schema = Schema((Variable("u", grid, time_varying=True),), name="toy")
    write_dataset(tmp_path / "toy.hdf5", schema, {"u": u}, times=np.arange(6.0))
    (tmp_path / "toy.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )
    return tmp_path


def run(folder, *assignments):
    suite, jobs = suites.read(folder / "toy.yaml", assignments)
    data = {job.folder: load(job.config.data) for job in jobs}
    seen = []
    statuses = run_suite(
        suite, jobs, data, folder / "out", lambda j, s: seen.append((j.folder, s)), True
    )
    return jobs, data, statuses, seen


def test_a_suite_from_begin_to_end(folder):
    jobs, data, statuses, _ = run(folder)
    assert statuses == dict.fromkeys(["persistence-seed0", "unet-seed0", "unet-seed1"], "finished")
    with open(folder / "out" / "results.csv") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == set(COLUMNS)
    assert {r["lead"] for r in rows} == {"0", "1", "2", "3"}
    chosen = [
        r for r in rows if (r["operator"], r["metric"], r["lead"]) == ("persistence", "rmse", "2")
    ]
    u = xr.open_dataset(folder / "toy.hdf5", engine="sciops")["u"].values
    ids = data["unet-seed0"].split.parts["test"]
    errors = [np.sqrt(((u[i, k] - u[i, k + 2]) ** 2).mean()) for i in ids for k in range(3)]
    assert float(chosen[0]["mean"]) == pytest.approx(np.mean(errors), rel=1e-5)
    assert int(chosen[0]["n"]) == len(errors)
    times = {j.folder: read_run(folder / "out" / j.folder)["finished"] for j in jobs}
    _, _, statuses, seen = run(folder)
    assert seen == [(name, "finished") for name in statuses]
    assert times == {j.folder: read_run(folder / "out" / j.folder)["finished"] for j in jobs}


def test_a_job_that_fails_does_not_stop_the_others(folder):
    (folder / "faulty.py").write_text(
        "from sciops.operators.mean import Config as Mean\n"
        "class Config(Mean):\n"
        "    def build(self, schema):\n"
        "        raise RuntimeError('this operator is faulty')\n"
    )
    import sys

    sys.path.insert(0, str(folder))
    try:
        faulty = "{operator: {kind: 'faulty:Config'}, seeds: [0]}"
        good = "{operator: {kind: persistence}, seeds: [0]}"
        jobs, data, statuses, _ = run(folder, f"operators={{faulty: {faulty}, good: {good}}}")
    finally:
        sys.path.remove(str(folder))
    assert statuses == {"faulty-seed0": "failed", "good-seed0": "finished"}
    assert "this operator is faulty" in (folder / "out" / "faulty-seed0" / "error.txt").read_text()
    with open(folder / "out" / "results.csv") as file:
        status = {r["operator"]: r["status"] for r in csv.DictReader(file)}
    assert status == {"faulty": "failed", "good": "finished"}
    assert state(folder / "out", jobs[0], data["faulty-seed0"]) == "new"


def test_other_settings_in_the_same_folder_are_refused(folder):
    alone = "operators={persistence: {operator: {kind: persistence}, seeds: [0]}}"
    run(folder, alone)
    with pytest.raises(ResumeError, match="other settings"):
        run(folder, alone, "training.epochs=2")


def test_data_sets_the_path_alone(folder):
    suite, jobs = suites.read(folder / "toy.yaml", ["data=other.hdf5"])
    assert jobs[0].config.data.path == "other.hdf5"
    assert jobs[0].config.data.rollout == 3
    assert suite.data["path"] == "other.hdf5"


def test_faults_name_the_operator(folder):
    (folder / "toy.yaml").write_text(SUITE.replace("levels: 1", "leevls: 1"))
    with pytest.raises(ConfigError, match=r"operators\.unet: operator: unknown setting 'leevls'"):
        suites.read(folder / "toy.yaml")


@pytest.mark.parametrize("name", suites.definitions())
def test_the_suites_that_come_with_the_package_are_valid(name):
    tree = read_yaml(suites.find(name))
    if "systems" in tree:
        assert solver_suite.read(tree, name).name == name
        return
    suite, jobs = suites.read(suites.find(name))
    assert suite.name == name
    assert jobs
    assert suite.headline in suite.metrics


def test_an_unknown_suite():
    with pytest.raises(NotFound, match="Did you mean 'demo'"):
        suites.find("dem")
