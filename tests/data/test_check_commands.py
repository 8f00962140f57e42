"""The commands that look, compare and divide: what they print, and with what they end."""

from __future__ import annotations

import json

import pytest
import typer
from data import faulty
from typer.testing import CliRunner

from sciops.cli import _data_check as commands
from sciops.core.errors import ConfigError, DataError, SciopsError
from sciops.data.split import Split

NAMES = ("validate", "stats", "diff", "verify", "describe", "split")


@pytest.fixture
def run():
    """Runs one command; gives what it printed."""
    app = typer.Typer()
    for name in NAMES:
        app.command(name)(getattr(commands, name))

    def run(*arguments, code=0):
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        if isinstance(done.exception, SciopsError):
            raise done.exception
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    return run


SCIOPS = ("--format", "sciops")
BOTH = (*SCIOPS, "--second-format", "sciops")


def test_validate(run, tmp_path):
    path = faulty.clean(tmp_path)
    out = run("validate", path, "--here", *SCIOPS)
    assert "0 error(s), 0 warning(s)" in out and "divergence" in out
    tree = json.loads(run("validate", path, "--here", "--json", "--statistics", *SCIOPS))
    assert tree["ok"] is True
    path = faulty.FAULTS["NaN"][1](tmp_path)
    out = run("validate", path, "--here", *SCIOPS, code=1)
    assert "not-finite" in out and "1 error(s)" in out
    tree = json.loads(run("validate", path, "--here", "--json", *SCIOPS, code=1))
    assert [f["code"] for f in tree["findings"] if f["severity"] == "error"] == ["not-finite"]
    assert tree["findings"][0]["numbers"] == {"count": 1}
    (tmp_path / "text.h5").write_text("nothing")
    with pytest.raises(DataError):
        run("validate", tmp_path / "text.h5", "--here")


@pytest.mark.parametrize("incompressible", [None, True, False])
def test_validate_goes_through_a_child(incompressible, run, tmp_path, monkeypatch):
    from sciops.cli import data

    path = faulty.clean(tmp_path)
    asked = []
    monkeypatch.setattr(data, "_guarded", lambda arguments: asked.append(arguments))
    commands.validate(str(path), "sciops", True, incompressible, True, False)
    [(group, *arguments)] = asked
    assert group == "data" and arguments[1] == str(path)  # the place in which _guarded looks
    assert json.loads(run(*arguments))["ok"]


def test_stats(run, tmp_path):
    path = faulty.clean(tmp_path)
    out = run("stats", path, *SCIOPS)
    for part in ("train", "valid", "test", "velocity.increment"):
        assert part in out
    tree = json.loads(run("stats", path, "--json", "--write", "--against", path, *SCIOPS))
    assert set(tree["parts"]) == {"train", "valid", "test"}
    assert all(s["shift"] == 0 for s in tree["shifts"])
    assert run("validate", path, "--here", "--statistics", *SCIOPS)
    beside = path.with_suffix(".stats.json")
    stored = json.loads(beside.read_text())
    assert stored["variables"] == tree["parts"]["train"]
    assert set(stored["parts"]) == {"valid", "test"}
    assert "std ratio" in run("stats", path, "--against", beside, *SCIOPS)
    path.with_suffix(".splits.json").unlink()
    assert "all samples" in run("stats", path, *SCIOPS)


def test_diff(run, tmp_path):
    first = faulty.clean(tmp_path)
    assert "no difference" in run("diff", first, first, *BOTH)
    (tmp_path / "other").mkdir()
    second = faulty.values("t0_fields/density", (1, 2, 3, 4), 2.0)(tmp_path / "other")
    out = run("diff", first, second, *BOTH, code=1)
    assert "density" in out and "1 values in 1 sample" in out.replace("\n", " ")
    tree = json.loads(run("diff", first, second, "--json", *BOTH, code=1))
    assert [d["kind"] for d in tree["differences"]] == ["field"]
    assert "no difference" in run("diff", first, second, "--atol", "2", *BOTH)


def test_verify(run, tmp_path):
    path = faulty.clean(tmp_path)
    assert "ok" in run("verify", path, *SCIOPS)
    path = faulty.changed_file(tmp_path)
    assert "changed" in run("verify", path, *SCIOPS, code=1)
    assert json.loads(run("verify", path, *SCIOPS, "--json", code=1))["ok"] is False


def test_describe(run, tmp_path):
    path = faulty.clean(tmp_path)
    assert run("describe", path, *SCIOPS).startswith("# waves")
    run("describe", path, *SCIOPS, "-o", tmp_path / "sheet.md")
    assert "## Variables" in (tmp_path / "sheet.md").read_text()
    with pytest.raises(DataError, match="exists already"):
        run("describe", path, *SCIOPS, "-o", tmp_path / "sheet.md")


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        (["--shares", "train=0.6,valid=0.2,test=0.2"], (3, 1, 1)),
        (["--rule", "parameter", "--parameter", "nu"], (3, 1, 1)),
        (["--rule", "range", "--parameter", "nu", "--low", "0.35"], (2, 1, 2)),
    ],
)
def test_split(arguments, sizes, run, tmp_path):
    path = faulty.clean(tmp_path)
    beside = path.with_suffix(".splits.json")
    with pytest.raises(DataError, match="exists already"):
        run("split", path, *arguments, *SCIOPS)
    out = run("split", path, *arguments, "--overwrite", "--seed", "3", *SCIOPS)
    assert "stats --write" in out
    split = Split.read(beside)
    assert tuple(len(split.parts[k]) for k in ("train", "valid", "test")) == sizes
    assert split.seed == 3 and split.settings
    assert split.hash[:12] in out.replace("\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rule", "nonsense"],
        ["--rule", "parameter"],
        ["--rule", "range", "--parameter", "nu"],
        ["--rule", "format"],
        ["--shares", "train"],
        ["--shares", "train=a"],
        ["--shares", "train=0.5"],
        ["--rule", "range", "--parameter", "nu", "--low", "0.35", "--shares", "test=1"],
        ["--rule", "pdebench-first"],
        ["--rule", "pdebench-last", "--shares", "x"],
        ["--rule", "cfdbench-auto"],
    ],
)
def test_what_cannot_be_split(arguments, run, tmp_path):
    path = faulty.clean(tmp_path)
    beside = path.with_suffix(".splits.json")
    before = beside.read_text()
    with pytest.raises(SciopsError):
        run("split", path, *arguments, "--overwrite", *SCIOPS)
    assert beside.read_text() == before


def test_names_of_rules_are_those_that_are_known(run, tmp_path):
    with pytest.raises(ConfigError) as error:
        run("split", faulty.clean(tmp_path), "--rule", "x", "--overwrite", *SCIOPS)
    for name in commands.RULES.split(" | "):
        assert name in str(error.value)
