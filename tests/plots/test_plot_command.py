"""``sciops data plot`` as a function of typer."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from sciops.cli._plot_data import plot
from sciops.core.errors import ConfigError, DataError, NotFound


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command beside a small file of PDEBench's scalar 1-D layout."""
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(plot)
    with h5py.File("waves.hdf5", "w") as file:
        x, t = np.arange(16) / 16, np.arange(7) * 0.1
        tensor = np.sin(2 * np.pi * (x - t[:6, None]))
        file["tensor"] = np.stack([tensor, 2 * tensor]).astype(np.float32)
        file["x-coordinate"], file["t-coordinate"] = x.astype("f4"), t.astype("f4")

    def call(*arguments):
        return CliRunner().invoke(app, ["waves.hdf5", *arguments], catch_exceptions=False)

    return call


@pytest.mark.parametrize("kind", ["fields", "space-time", "spectra"])
def test_pictures_have_a_name_by_themselves(run, tmp_path, kind):
    result = run("--kind", kind, "--sample", "1")
    assert result.exit_code == 0
    assert result.output.startswith(f"waves-{kind}.png: 0.")
    assert (tmp_path / f"waves-{kind}.png").read_bytes().startswith(b"\x89PNG")


def test_an_animation(run, tmp_path):
    assert run("--kind", "animation", "-o", "a.gif", "--variable", "u").exit_code == 0
    assert (tmp_path / "a.gif").read_bytes().startswith(b"GIF89a")


def test_times_and_endings(run, tmp_path):
    assert run("--times", "0,0.3", "-o", "a.svg").exit_code == 0
    text = (tmp_path / "a.svg").read_text()
    assert text.lstrip().startswith("<?xml") and len(text) > 1000


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (["--kind", "field"], ConfigError, "Did you mean 'fields'"),
        (["--times", "a,b"], ConfigError, "expected numbers as in"),
        (["--times", "5"], ConfigError, "time 5 is outside of the data"),
        (["--kind", "space-time", "--times", "0"], ConfigError, "leave it out"),
        (["--kind", "animation", "--times", "0"], ConfigError, "leave it out"),
        (["--kind", "slices", "--times", "0,0.1"], ConfigError, "one time, got 2"),
        (["--kind", "space-time", "--variable", "u", "--variable", "u"], ConfigError, "got 2"),
        (["--variable", "v"], NotFound, "no variable 'v'"),
        (["--sample", "2"], NotFound, "has 2"),
        (["-o", "a.txt"], ConfigError, "a picture ends in"),
        (["-o", "no/a.png"], ConfigError, "does not exist"),
        (["-o", "waves.hdf5"], ConfigError, "a picture ends in"),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(run, tmp_path, arguments, error, says):
    with pytest.raises(error, match=says):
        run(*arguments)
    assert [p.name for p in tmp_path.iterdir()] == ["waves.hdf5"]


def test_nothing_is_overwritten_unasked(run, tmp_path):
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(DataError, match="exists already"):
        run("-o", "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"mine"
    run("-o", "a.png", "--overwrite")
    assert (tmp_path / "a.png").read_bytes() != b"mine"
