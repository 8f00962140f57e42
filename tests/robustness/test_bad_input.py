"""Wrong input through the command line: one paragraph, exit code 2, nothing written."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch

from sciops.cli import main
from sciops.core.schema import Axis, Grid, Schema, Variable
from sciops.data.write import write_dataset

RUN = """
data: {path: toy.hdf5}
operator: {kind: unet, width: 4, levels: 1}
training: {epochs: 1}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("bad")
    grid = Grid((Axis.uniform("x", 8), Axis.uniform("y", 6)))
    schema = Schema((Variable("a", grid, "input"), Variable("u", grid, "target")), name="toy")
    a = np.random.default_rng(0).normal(size=(12, 8, 6)).astype(np.float32)
    write_dataset(root / "toy.hdf5", schema, {"a": a, "u": a})
    bad = a.copy()
    bad[7, 3, 2] = np.nan
    write_dataset(root / "nan.hdf5", schema, {"a": bad, "u": a})
    other = Schema((Variable("b", grid, "input"), Variable("u", grid, "target")), name="other")
    write_dataset(root / "other.hdf5", other, {"b": a, "u": a})
    (root / "cut.hdf5").write_bytes((root / "toy.hdf5").read_bytes()[:3000])
    (root / "text.hdf5").write_text("these are my measurements\n")
    (root / "empty").mkdir()
    with h5py.File(root / "foreign.h5", "w") as f:
        f["something"] = np.zeros(3)
    torch.save({"x": torch.rand(4, 8), "y": torch.rand(5, 8)}, root / "shapes.pt")
    (root / "run.yaml").write_text(RUN)
    (root / "broken.yaml").write_text("data: [")
    return root


@pytest.fixture
def sciops(folder, monkeypatch, capfd):
    """Runs a command line in the folder; returns (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["sciops", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        out, err = capfd.readouterr()
        return code, out, err

    return run


TRAIN = ("train", "run.yaml", "-o", "out")
CASES = {
    "missing file": ((*TRAIN, "data.path=toi.hdf5"), "no such file"),
    "directory without data": ((*TRAIN, "data.path=empty"), "a folder without data"),
    "directory with data sets": ((*TRAIN, "data.path=."), "open one of its files"),
    "truncated": ((*TRAIN, "data.path=cut.hdf5"), "truncated"),
    "text": ((*TRAIN, "data.path=text.hdf5"), "not an HDF5 file: a text file"),
    "foreign": ((*TRAIN, "data.path=foreign.h5"), "it holds the arrays something"),
    "shapes": ((*TRAIN, "data.path=shapes.pt"), "no format recognises"),
    "unknown variable": ((*TRAIN, "data.window.inputs=[b]"), "no variable 'b'"),
    "other variables at test": (
        (*TRAIN, "data.path=.", "data.train=toy.hdf5", "data.tests={t: other.hdf5}"),
        "the training set",
    ),
    "missing test file": (
        (*TRAIN, "data.path=.", "data.train=toy.hdf5", "data.tests={t: toyy.hdf5}"),
        "Did you mean 'toy.hdf5'",
    ),
    "nan": ((*TRAIN, "data.path=nan.hdf5"), "1 NaN or infinite values in sample 7"),
    "no feedback": ((*TRAIN, "data.rollout=5"), "data.rollout=1"),
    "operator that cannot": ((*TRAIN, "operator={kind: persistence}"), "fed back"),
    "unknown operator": ((*TRAIN, "operator.kind=unett"), "Did you mean 'unet'"),
    "misspelt setting": ((*TRAIN, "operator.widht=3"), "Did you mean 'width'"),
    "wrong type": ((*TRAIN, "training.epochs=many"), "training.epochs"),
    "out of range": ((*TRAIN, "training.lr=-1"), "greater than 0"),
    "unknown metric": ((*TRAIN, "training.select=relative_l3"), "relative_l2"),
    "unknown objective": ((*TRAIN, "training.objective=mae"), "unknown objective"),
    "broken yaml": (("train", "broken.yaml", "-o", "out"), "not valid YAML"),
    "missing yaml": (("train", "none.yaml", "-o", "out"), "no such file"),
    "unknown suite": (
        ("bench", "run", "darcy_neuralopp", "-o", "out"),
        "Did you mean 'darcy_neuralop'",
    ),
    "unknown problem": (
        ("data", "generate", "darci", "--samples", "2", "-o", "out"),
        "Did you mean 'darcy'",
    ),
    "misspelt problem setting": (
        ("data", "generate", "darcy", "alhpa=3", "--samples", "2", "-o", "out"),
        "Did you mean 'alpha'",
    ),
    "no folder": (
        ("data", "generate", "darcy", "--samples", "2", "-o", "no/folder/out"),
        "does not exist",
    ),
    "not a model": (("predict", "empty", "toy.hdf5", "-o", "out"), "not a trained model"),
    "not a suite": (("bench", "report", "empty"), "not the folder of a suite"),
    "inspect nothing": (("data", "inspect", "nothing.h5"), "no such file"),
    "unknown list": (("list", "operatorz"), "Did you mean 'operators'"),
}


def files(folder):
    return sorted(p.relative_to(folder) for p in folder.rglob("*"))


@pytest.mark.parametrize("case", CASES)
def test_one_paragraph_exit_code_2_nothing_written(folder, sciops, case):
    arguments, text = CASES[case]
    before = files(folder)
    code, _, err = sciops(*arguments)
    assert code == 2, err
    assert text in err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) <= 4
    assert files(folder) == before


def test_a_resume_from_another_configuration(folder, sciops):
    assert sciops("train", "run.yaml", "-o", "first", "--quiet")[0] == 0
    log = (folder / "first" / "metrics.jsonl").read_bytes()
    code, _, err = sciops("train", "run.yaml", "-o", "first", "training.epochs=9")
    assert code == 2
    assert "training.epochs: 1 there, 9 now" in err
    assert (folder / "first" / "metrics.jsonl").read_bytes() == log
    code, out, _ = sciops("train", "run.yaml", "-o", "first")
    assert code == 0
    assert "finished already" in out


def test_the_process_itself_ends_with_2(folder):
    done = subprocess.run(
        [sys.executable, "-m", "sciops.cli", "data", "inspect", "text.hdf5"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: text.hdf5: not an HDF5 file: a text file without the HDF5 signature\n"
    )
