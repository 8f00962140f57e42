"""A run folder: what it holds, that it continues, and that it refuses another run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import xarray as xr

from sciops.core.config import validate
from sciops.core.errors import ConfigError, DataError, NotFound, ResumeError
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.task import load as load_data
from sciops.data.write import write_dataset
from sciops.data.xarray_backend import open_dataset
from sciops.operators._trained import load, save
from sciops.training.distributed import World
from sciops.training.run import RunConfig, read_run, run_id, same_run, train


@pytest.fixture
def data(tmp_path):
    grid = Grid((Axis.uniform("x", 8), Axis.uniform("y", 6)))
    schema = Schema(
        (Variable("a", grid, "input"), Variable("u", grid, "target", unit="m")), name="toy"
    )
    a = np.random.default_rng(0).normal(size=(30, 8, 6)).astype(np.float32)
    return write_dataset(tmp_path / "toy.hdf5", schema, {"a": a, "u": a.cumsum(1)})


def config(data, **changes):
    tree = {
        "data": {"path": str(data)},
        "training": {"epochs": 1, "batch_size": 8},
        "operator": {"kind": "unet", "width": 4, "levels": 1},
    }
    return validate(RunConfig, {**tree, **changes})


def test_a_folder_says_everything(data, tmp_path):
    chosen = config(data)
    task = load_data(chosen.data)
    train(chosen, task, tmp_path / "run", World())
    files = {p.name for p in (tmp_path / "run").iterdir()}
    assert files >= {
        "config.yaml",
        "run.json",
        "metrics.jsonl",
        "splits.json",
        "stats.json",
        "model",
        "checkpoints",
    }
    run = read_run(tmp_path / "run")
    assert run["split"]["hash"] == task.split.hash
    assert run["checksums"] == {"toy.hdf5": task.checksums["toy.hdf5"]}
    assert run["versions"]["torch"] == torch.__version__
    assert run["params"] > 0
    assert same_run(tmp_path / "run", chosen, task)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"training": {"epochs": 2, "batch_size": 8}},
        {"operator": {"kind": "unet", "width": 8, "levels": 1}},
    ],
)
def test_another_run_is_refused_and_the_difference_named(data, tmp_path, change):
    task = load_data(config(data).data)
    train(config(data), task, tmp_path / "run", World())
    with pytest.raises(ResumeError, match="there, .* now"):
        same_run(tmp_path / "run", config(data, **change), task)


def test_the_run_id_follows_the_bytes_not_the_path(data, tmp_path):
    other = tmp_path / "elsewhere.hdf5"
    other.write_bytes(data.read_bytes())
    ids = [run_id(config(p), load_data(config(p).data)) for p in (data, other)]
    assert ids[0] == ids[1]
    with open(other, "r+b") as file:
        file.seek(-4, 2)
        file.write(b"\1\2\3\4")
    assert run_id(config(other), load_data(config(other).data)) != ids[0]


def test_a_folder_that_is_something_else_is_refused(data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("")
    with pytest.raises(ResumeError, match="not a run folder"):
        same_run(tmp_path / "run", config(data), load_data(config(data).data))


def test_a_trained_model_predicts_labelled_data(data, tmp_path):
    chosen = config(data)
    task = load_data(chosen.data)
    operator = train(chosen, task, tmp_path / "run", World())
    model = load(tmp_path / "run")
    dataset = open_dataset(data)
    found = model.predict(dataset)
    assert found["u"].dims == ("sample", "x", "y")
    assert found["u"].attrs["units"] == "m"
    np.testing.assert_array_equal(found["x"], dataset["x"])
    a = torch.tensor(dataset["a"].values[:, None])
    with torch.no_grad():
        torch.testing.assert_close(torch.tensor(found["u"].values), operator.eval()(a)[:, 0])
    finer = xr.Dataset({"a": (("y", "sample", "x"), np.zeros((12, 2, 16), np.float32))})
    assert model.predict(finer)["u"].shape == (2, 16, 12)


def test_prediction_refuses_what_does_not_fit(data, tmp_path):
    chosen = config(data)
    train(chosen, load_data(chosen.data), tmp_path / "run", World())
    model = load(tmp_path / "run")
    zeros = np.zeros((2, 8, 6), np.float32)
    with pytest.raises(NotFound, match="Did you mean 'aa'"):
        model.predict(xr.Dataset({"aa": (("sample", "x", "y"), zeros)}))
    with pytest.raises(DataError, match="has the dimensions"):
        model.predict(xr.Dataset({"a": (("sample", "x", "z"), zeros)}))
    with pytest.raises(DataError, match="NaN"):
        model.predict(xr.Dataset({"a": (("sample", "x", "y"), zeros + np.nan)}))


def test_a_rollout_has_times(tmp_path):
    from sciops.core.schema import Boundary
    from sciops.operators.persistence import Config

    grid = Grid((Axis.uniform("x", 8, spacing="periodic"),))
    schema = Schema(
        (Variable("u", grid, time_varying=True),), (Boundary("x", "lower", "periodic"),)
    )
    times = 0.5 * np.arange(4)
    path = write_dataset(
        tmp_path / "w.hdf5",
        schema,
        {"u": np.random.default_rng(0).normal(size=(3, 4, 8))},
        times=times,
    )
    task = load_data(
        validate(
            RunConfig,
            {
                "data": {"path": str(path), "valid": 0.3, "test": 0.3},
                "operator": {"kind": "persistence"},
            },
        ).data
    )
    save(tmp_path / "model", Config().build(task.schema).fit(task.train))
    found = load(tmp_path / "model").predict(path, steps=3)
    np.testing.assert_allclose(found["time"], [2.0, 2.5, 3.0])
    last = open_dataset(path)["u"].values[:, -1]
    np.testing.assert_allclose(found["u"].values, np.repeat(last[:, None], 3, 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("file", "content", "error"),
    [
        ("model.safetensors", b"\0" * 64, DataError),
        ("schema.json", b"{}", Exception),
        ("config.yaml", b"operator: {kind: unet, widht: 3}", ConfigError),
        ("config.yaml", b"operator: {kind: 'os:getcwd'}", ConfigError),
    ],
)
def test_a_damaged_or_hostile_model_is_refused(data, tmp_path, file, content, error):
    chosen = config(data)
    train(chosen, load_data(chosen.data), tmp_path / "run", World())
    (tmp_path / "run" / "model" / file).write_bytes(content)
    with pytest.raises(error):
        load(tmp_path / "run")


def test_not_a_model(tmp_path):
    with pytest.raises(DataError, match=r"model\.safetensors, config\.yaml, schema\.json missing"):
        load(tmp_path)


def test_no_file_of_a_run_needs_unpickling(data, tmp_path):
    chosen = config(data)
    train(chosen, load_data(chosen.data), tmp_path / "run", World())
    for path in (tmp_path / "run").rglob("*"):
        assert path.suffix in {".safetensors", ".json", ".jsonl", ".yaml", ".md", ""}, path
    json.loads((tmp_path / "run" / "model" / "schema.json").read_text())
