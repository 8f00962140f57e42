"""The command line from generated data to a prediction, as a user would go."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import xarray as xr

from sciops.cli import main

RUN = """
data: {path: darcy.hdf5}
operator: {kind: unet, width: 4, levels: 1}
training: {epochs: 1, batch_size: 8}
"""


@pytest.fixture
def sciops(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["sciops", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        assert (end.value.code or 0) == code, out + err
        return out

    return run


def test_from_the_equation_to_a_prediction(sciops, tmp_path):
    out = sciops(
        "data",
        "generate",
        "darcy",
        "alpha=2.5",
        "--samples",
        "12",
        "--resolution",
        "16",
        "--workers",
        "1",
        "-o",
        "darcy.hdf5",
    )
    assert "12 samples in" in out
    text = sciops("data", "inspect", "darcy.hdf5", "--here")
    for part in ("format sciops", "coefficient(sample, x, y)  input", "dirichlet", "recipe"):
        assert part in text
    tree = json.loads(sciops("data", "inspect", "darcy.hdf5", "--here", "--json"))
    assert tree["samples"] == 12
    kinds = ("manifest", "splits", "stats")
    beside = {k: json.loads((tmp_path / f"darcy.{k}.json").read_text()) for k in kinds}
    assert beside["stats"]["fitted_on"] == beside["splits"]["hash"]
    assert {k: len(v) for k, v in beside["splits"]["parts"].items()} == {
        "train": 10,
        "valid": 1,
        "test": 1,
    }
    assert len(beside["manifest"]["samples"]) == 12
    assert json.loads(tree["attributes"]["recipe"])["problem"]["alpha"] == 2.5

    (tmp_path / "run.yaml").write_text(RUN)
    out = sciops("train", "run.yaml", "-o", "run", "training.epochs=2")
    assert "relative_l2" in out
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 4
    sciops("predict", "run", "darcy.hdf5", "-o", "out.nc")
    with xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf") as found:
        assert found["solution"].dims == ("sample", "x", "y")
        assert np.isfinite(found["solution"].values).all()
    sciops("predict", "run", "darcy.hdf5", "-o", "out.nc", code=2)


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("operators", ["unet", "deeponet", "neuralop", "mean", "persistence", "least_squares"]),
        ("formats", ["sciops", "the_well", "pdebench", "neuralop"]),
        ("problems", ["darcy", "poisson"]),
        ("solvers", ["cg", "direct"]),
        ("metrics", ["pointwise:relative_l2", "vrmse"]),
        ("suites", ["darcy_neuralop", "diff_react", "demo"]),
    ],
)
def test_lists(sciops, group, names):
    out = sciops("list", group)
    for name in names:
        assert name in out


def test_doctor(sciops):
    out = sciops("doctor")
    for part in ("torch", "HDF5 filters", "gzip", "processor"):
        assert part in out
    if find_spec("submitit") is None:
        assert "not installed: pip install 'sciops[slurm]'" in out


def test_dry_run_writes_nothing(sciops, tmp_path):
    sciops(
        "data",
        "generate",
        "darcy",
        "--samples",
        "12",
        "--resolution",
        "16",
        "-o",
        "darcy.hdf5",
        "--workers",
        "1",
    )
    before = sorted(tmp_path.rglob("*"))
    out = sciops(
        "bench",
        "run",
        "demo",
        "data=darcy.hdf5",
        "-o",
        "out",
        "--dry-run",
        "operators={unet: {operator: {kind: unet, width: 4, levels: 1}}}",
    )
    assert "unet-seed0" in out
    assert sorted(tmp_path.rglob("*")) == before


def test_an_interrupted_command_says_so(monkeypatch, capfd):
    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr("sciops.core.config.read_yaml", interrupted)
    monkeypatch.setattr(sys, "argv", ["sciops", "bench", "run", "solvers_media"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
    assert capfd.readouterr().err == "stopped\n"
    monkeypatch.setattr("sciops.cli.application", interrupted)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130 and capfd.readouterr().err == "stopped\n"
