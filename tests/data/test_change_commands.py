"""The commands that make new files, as a user types them: what they write, say and refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from data import faulty
from data.in_memory import everything, flow
from typer.main import get_command
from typer.testing import CliRunner

from sciops.cli import data
from sciops.core.errors import ConfigError, DataError, NotFound, SciopsError
from sciops.data.convert import convert
from sciops.data.source import open_source
from sciops.data.split import Split, split_samples

COMMANDS = (
    *("inspect", "describe", "plot", "stats", "validate", "diff", "verify"),
    *("cards", "download", "generate", "split", "mask"),
    *("convert", "rechunk", "subsample", "merge", "mini", "repair"),
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs ``sciops data ..`` in a folder; gives what it printed on one line."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, code=0):
        done = CliRunner().invoke(data.app, [str(a) for a in arguments])
        if isinstance(done.exception, SciopsError):
            raise done.exception
        assert done.exit_code == code, (done.output, done.exception)
        return " ".join(done.output.split())

    return run


@pytest.fixture
def path(tmp_path):
    """Twelve samples with a split beside them."""
    made = convert(flow(n=12), tmp_path / "flow.hdf5").path
    split_samples(12, {"train": 0.8, "test": 0.2}, 0).write(tmp_path / "flow.splits.json")
    return made


def test_all_commands_are_there_with_an_example():
    command = get_command(data.app)
    assert tuple(command.commands) == COMMANDS
    for name, one in command.commands.items():
        assert one.help and one.short_help and len(one.short_help) < 64, name
        assert one.epilog.startswith(f"Example: sciops data {name} "), name
        assert one.rich_help_panel


def test_examples_parse():
    """Every option of an example exists, and no argument is missing."""
    command = get_command(data.app)
    for name, one in command.commands.items():
        text = one.epilog.removeprefix(f"Example: sciops data {name} ").replace("'", "")
        one.make_context(name, text.split())


def test_help_is_grouped_and_instant():
    code = (
        "import sys; sys.argv = ['sciops', 'data', '--help']; from sciops.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    for panel in ("Look:", "Check and compare:", "Get and make:", "Change (new files):"):
        assert panel in done.stdout
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    assert (
        max(map(len, done.stdout.splitlines())) <= 80 and "..." not in done.stdout.split("\n", 1)[1]
    )
    heavy = (
        "import sys, sciops.cli.data; print([m for m in sys.modules if m in {'torch', 'numpy'}])"
    )
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("ending", ["nc", "npz", "pt", "h5"])
def test_convert(run, path, ending):
    out = run("convert", path, "-o", f"new.{ending}")
    assert "12 sample(s)" in out and "read back and verified" in out
    splits = "new.splits.json" if ending == "h5" else f"new.{ending}.splits.json"
    assert splits in out
    new, old = open_source(f"new.{ending}"), open_source(path)
    for key, q in everything(old).items():
        np.testing.assert_array_equal(new.read(*key), q)
    assert (
        Split.read(path.with_name(splits)).hash
        == Split.read(path.with_name("flow.splits.json")).hash
    )


def test_convert_some_samples_keeps_their_parts(run, path):
    run("convert", path, "-o", "new.hdf5", "--samples", "2:12:3", "--storage", "archive")
    new, old = open_source("new.hdf5"), open_source(path)
    chosen = [2, 5, 8, 11]
    for k, s in enumerate(chosen):
        np.testing.assert_array_equal(new.read("strain", k), old.read("strain", s))
    before = Split.read(path.with_name("flow.splits.json")).parts
    after = Split.read(path.with_name("new.splits.json")).parts
    for name, ids in after.items():
        assert [chosen[i] for i in ids] == [s for s in before[name] if s in chosen]
    assert sum(map(len, after.values())) == 4
    run("convert", path, "-o", "two.hdf5", "--samples", "-1,0")
    np.testing.assert_array_equal(open_source("two.hdf5").params(0), old.params(11))


def test_own_arrays_become_a_data_set(run, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"k": rng.random((4, 6, 5)), "u": rng.random((4, 5, 6))}
    np.savez(tmp_path / "mine.npz", **arrays)
    words = ("--dims", "k=sample,x,y", "--dims", "u=sample,y,x", "--inputs", "k", "--targets", "u")
    assert "k(sample, x" in run("inspect", "mine.npz", "--here", *words)
    assert "4 sample(s)" in run("convert", "mine.npz", "-o", "ours.hdf5", *words)
    made = open_source("ours.hdf5")
    np.testing.assert_array_equal(made.read("k", 3), arrays["k"][3])
    assert made.schema["u"].role == "target"


def test_convert_says_what_it_changed(run, path):
    out = run("convert", path, "-o", "w.hdf5", "--to", "the_well")
    assert "note: fields of" in out and "became float32" in out
    with pytest.raises(SciopsError, match="has a place"):
        run("convert", path, "-o", "p.hdf5", "--to", "pdebench")
    assert not path.with_name("p.hdf5").exists()


def test_a_stopped_conversion_says_that_it_goes_on(run, path, monkeypatch):
    from sciops.data.source import FileSource

    monkeypatch.setattr("sciops.data.convert.COMMIT", 0.0)
    read = FileSource.read

    def stopping(self, name, sample, frames=slice(None)):
        if sample == 5:
            raise KeyboardInterrupt
        return read(self, name, sample, frames)

    with monkeypatch.context() as stopped:
        stopped.setattr(FileSource, "read", stopping)
        run("convert", path, "-o", "new.nc", code=130)
    assert not path.with_name("new.nc").exists()
    assert "5 sample(s) were there from a run that was stopped" in run(
        "convert", path, "-o", "new.nc"
    )


def test_nothing_is_overwritten_unasked(run, path):
    before = path.read_bytes()
    for arguments in (
        ("convert", path, "-o", path),
        ("mini", path, "-o", path),
        ("rechunk", path, "-o", path, "--for", "archive"),
        ("repair", path, "-o", path, "--unit", "x=km"),
        ("mask", "--like", path, "--circle", "1,0.5,0.2", "-o", path),
    ):
        with pytest.raises(DataError, match="exists already"):
            run(*arguments)
    # a name that would share manifest and splits with another file
    with pytest.raises(DataError, match="belongs to another file"):
        run("convert", path, "-o", "flow.h5")
    assert path.read_bytes() == before


def test_in_place(run, path):
    old = everything(open_source(path))
    path.with_name("flow.stats.json").write_text("{}")
    run("convert", path, "-o", path, "--storage", "archive", "--overwrite", "--samples", "0:6")
    new = open_source(path)
    assert new.n_samples == 6 and not path.with_name("flow.stats.json").exists()
    for s in range(6):
        np.testing.assert_array_equal(new.read("count", s), old["count", s])
    ids = [
        i for part in Split.read(path.with_name("flow.splits.json")).parts.values() for i in part
    ]
    assert sorted(ids) == list(range(6))
    assert "ok" in run("verify", path)


def test_an_old_split_does_not_stay(run, path):
    convert(flow(n=3, seed=9), path.with_name("other.hdf5"))
    run("convert", "other.hdf5", "-o", path, "--overwrite")
    assert not path.with_name("flow.splits.json").exists()


def test_rechunk(run, path):
    out = run("rechunk", path, "-o", "fast.hdf5", "--for", "archive")
    for part in ("one window of 2 frame(s)", "one whole trajectory", "size of the files", " x"):
        assert part in out
    with h5py.File("fast.hdf5") as file:
        assert file["t0_fields/density"].chunks == (1, 1, 12, 8)
    with pytest.raises(ConfigError, match="Did you mean 'windows'"):
        run("rechunk", path, "-o", "b.hdf5", "--for", "window")
    with pytest.raises(ConfigError, match="one piece"):
        run("rechunk", path, "-o", "b.npz", "--for", "windows")


def test_rechunk_keeps_the_format(run, tmp_path):
    path = faulty.write(tmp_path / "w.hdf5", own=False)
    assert "format the_well" in run("rechunk", path, "-o", "a.hdf5", "--for", "trajectories")
    out = run("rechunk", path, "-o", "b.nc", "--for", "frames")
    assert "format netcdf" in out and "end in .hdf5" in out


def test_subsample(run, path):
    out = run(
        "subsample", path, "-o", "s.hdf5", "--frames", "1:6:2", "--crop", "x=:2", "--crop",
        "y=0.25:0.8", "--stride", "x=2", "--resolution", "x=2,y=4", "--method", "average",
    )  # fmt: skip
    for part in (
        "frames 1:6:2",
        "12 points became 8 (cropped",
        "(stride 2)",
        "averages over cells",
    ):
        assert part in out
    new = open_source("s.hdf5")
    assert new.schema["density"].domain.shape == (2, 4) and list(new.lengths) == [3] * 12
    out = run("subsample", path, "-o", "t.hdf5", "--resolution", "y=4", "--method", "spectral",
              "--samples", "0:2")  # fmt: skip
    assert "trigonometric interpolation" in out
    assert open_source("t.hdf5").schema["density"].domain.shape == (12, 4)
    assert "12 sample(s)" in run("subsample", path, "-o", "u.nc", "--stride", "3,2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to do"),
        (["--resolution", "4"], "needs a --method"),
        (["--method", "average"], "needs a --method"),
        (["--resolution", "4", "--method", "linear"], "one of stride, average, spectral"),
        (["--resolution", "4,4,4", "--method", "average"], "has the axes x, y"),
        (["--stride", "two"], "expected one number"),
        (["--stride", "x=a"], "expected one number"),
        (["--crop", "x"], "axis=from:to"),
        (["--crop", "x=1"], "axis=from:to"),
        (["--frames", "3"], "first:end"),
        (["--frames", "a:b"], "first:end"),
        (["--samples", "20:30"], "different samples of 0 .. 11"),
        (["--samples", "1,1"], "different samples"),
        (["--samples", "x"], "0:100 or 0,3,7"),
        (["--stride", "z=2"], "no axis 'z'"),
    ],
)
def test_what_cannot_be_subsampled(run, path, arguments, words):
    with pytest.raises((ConfigError, NotFound), match=words):
        run("subsample", path, "-o", "s.hdf5", *arguments)
    assert not path.with_name("s.hdf5").exists()


def test_merge(run, path, tmp_path):
    convert(flow(n=2, seed=7), tmp_path / "b.hdf5")
    out = run("merge", path, "b.hdf5", "-o", "m.hdf5", "--param", "Re[1]=10,20")
    assert "14 sample(s)" in out and "2 data sets were merged" in out
    new = open_source("m.hdf5")
    assert new.params(11)[1] == 10.0 and new.params(12)[1] == 20.0 and new.schema["Re"].unit == "1"
    assert not (tmp_path / "m.splits.json").exists()  # b has none
    split_samples(2, {"train": 0.5, "test": 0.5}, 0).write(tmp_path / "b.splits.json")
    run("merge", path, "b.hdf5", "-o", "n.hdf5")
    parts = Split.read(tmp_path / "n.splits.json").parts
    assert {k: len(v) for k, v in parts.items()} == {"train": 11, "test": 3}
    with pytest.raises(SciopsError, match="same numbers"):
        run("merge", path, path, "-o", "o.hdf5")
    assert "24 sample(s)" in run("merge", path, path, "-o", "o.hdf5", "--allow-duplicates")
    with pytest.raises(ConfigError, match="--param"):
        run("merge", path, "b.hdf5", "-o", "p.hdf5", "--param", "Re=a,b")


def test_mini(run, path):
    out = run("mini", path, "-o", "mini.hdf5")
    assert "3 sample(s), format sciops" in out and "sample(s) 0, 6, 11 of" in out.replace(
        "5,", "6,"
    )
    assert list(open_source("mini.hdf5").lengths) == [5, 5, 5]
    assert Split.read(path.with_name("mini.splits.json")).parts


def test_repair(run, path):
    out = run(
        "repair", path, "-o", "r.hdf5", "--boundary", "x=wall", "--unit", "velocity=m/s",
        "--rename", "velocity=u", "--role", "level=forcing", "--dt", "0.25", "--start", "1",
        "--nan", "drop", "--drop-duplicates",
    )  # fmt: skip
    for part in (
        "boundary x lower: inflow became wall", "unit of velocity: unknown became m/s",
        "velocity is called u", "role of level: input became forcing", "dt: 0.5 became 0.25",
    ):  # fmt: skip
        assert part in out
    new = open_source("r.hdf5")
    assert new.times(0)[0] == 1.0 and new.schema["u"].unit == "m/s"
    assert (
        Split.read(path.with_name("r.splits.json")).hash
        == Split.read(path.with_name("flow.splits.json")).hash
    )
    assert "nothing had to be repaired" in run("repair", path, "-o", "q.hdf5", "--nan", "error")
    run("repair", path, "-o", "t.hdf5", "--times", "0,1,2,4,8,16")
    assert open_source("t.hdf5").schema.dt is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to do"),
        (["--nan", "fill"], "drop, error or a number"),
        (["--unit", "velocity"], "NAME=VALUE"),
        (["--rename", "velocity="], "NAME=VALUE"),
        (["--start", "1"], "either --dt"),
        (["--dt", "1", "--times", "0,1"], "either --dt"),
        (["--times", "now"], "--times"),
    ],
)
def test_what_cannot_be_repaired(run, path, arguments, words):
    with pytest.raises(ConfigError, match=words):
        run("repair", path, "-o", "r.hdf5", *arguments)


def test_dropped_samples_leave_the_split(run, path):
    with h5py.File(path, "r+") as file:
        file["t0_fields/density"][4, 0, 0, 0] = np.nan
    out = run("repair", path, "-o", "r.hdf5", "--nan", "drop")
    assert "1 of 12 samples hold NaN or infinities: 4; they were dropped" in out
    before = Split.read(path.with_name("flow.splits.json")).parts
    after = Split.read(path.with_name("r.splits.json")).parts
    left = [s for s in range(12) if s != 4]
    for name, ids in after.items():
        assert [left[i] for i in ids] == [s for s in before[name] if s != 4]


def test_mask(run, path):
    out = run("mask", "--like", path, "--circle", "1.5,0.5,0.25", "--rectangle", "0,0,1,0.25",
              "-o", "mask.hdf5")  # fmt: skip
    assert "exact 0.44635" in out
    assert "first-order bound" in out and "% of the domain" in out
    assert open_source("mask.hdf5").read("mask", 0).dtype == bool
    run("mask", "--like", path, "--polygon", "0,0,1,0,1,1", "--fluid", "inside", "--with-data",
        "--name", "wedge", "-o", "both.hdf5")  # fmt: skip
    both = open_source("both.hdf5")
    assert both.n_samples == 12 and both.schema["wedge"].role == "geometry"
    assert path.with_name("both.splits.json").is_file()
    for arguments, words in (
        ((), "no shape"),
        (("--circle", "1,2"), "x,y,radius"),
        (("--polygon", "0,0,1"), "x0,y0"),
        (("--circle", "1,1,1", "--fluid", "left"), "outside or inside"),
    ):
        with pytest.raises(ConfigError, match=words):
            run("mask", "--like", path, "-o", "x.hdf5", *arguments)
    out = run("mask", "--like", path, "--circle", "50,50,1", "-o", "far.hdf5")
    assert "no part of the shapes" in out


def test_an_ending_that_says_nothing_is_refused(run, path):
    for name in ("new", "new.dat"):
        with pytest.raises(ConfigError, match="does not say in which format"):
            run("convert", path, "-o", name)
    with pytest.raises(NotFound, match="Did you mean 'netcdf'"):
        run("convert", path, "-o", "new.nc", "--to", "netcfd")


def test_inspect_and_validate_run_in_a_child(path, monkeypatch, tmp_path):
    asked = []

    class Done:
        returncode = 0

    def instead(command, timeout, preexec_fn, check):
        asked.append((command, timeout))
        return Done()

    monkeypatch.setattr(subprocess, "run", instead)
    with (tmp_path / "large.h5").open("wb") as file:
        os.truncate(file.fileno(), 5_000_000_000)  # takes no room on the disk
    for command in ("inspect", "validate"):
        for name in (path, tmp_path / "large.h5"):
            data._guarded(["data", command, str(name), "--here"])
    assert [round(t) for _, t in asked] == [60, 60, 60, 160]
    assert asked[3][0][1:6] == ["-m", "sciops.cli", "data", "validate", str(tmp_path / "large.h5")]

    def late(*_, **__):
        raise subprocess.TimeoutExpired("x", 1)

    monkeypatch.setattr(subprocess, "run", late)
    with pytest.raises(DataError, match="validate did not end within 60 s"):
        data._guarded(["data", "validate", str(path), "--here"])


def test_inspect_finds_what_lies_in_the_folder(run, tmp_path):
    folder = tmp_path / "set" / "data" / "train"
    folder.mkdir(parents=True)
    faulty.write(folder / "w.hdf5", own=False)
    (tmp_path / "set" / "set.yaml").write_text("dataset_name: waves\n")
    split_samples(5, {"train": 0.6, "test": 0.4}, 0).write(tmp_path / "set" / "splits.json")
    tree = json.loads(run("inspect", tmp_path / "set", "--here", "--json"))
    assert tree["sidecars"]["splits"]["parts"] == {"train": 3, "test": 2}
    assert "splits: train 3, test 2" in run("inspect", tmp_path / "set", "--here")
