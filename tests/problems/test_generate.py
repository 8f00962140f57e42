"""Generated data sets: the same bytes however they are made, and a killed run goes on."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest

from sciops.core.errors import ConfigError, DataError, ResumeError, SciopsError
from sciops.problems import _generate
from sciops.problems._generate import generate, make_recipe
from sciops.problems._worker import block_of
from sciops.problems.darcy import Darcy
from sciops.problems.poisson import Poisson

DARCY = Darcy(resolution=(9, 8))


def arrays(path) -> dict[str, bytes]:
    """Every array of the file: its place -> its bytes."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: np.asarray(item[()]).tobytes()})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


def one(path, name):
    """The one array of the file whose place ends in `name`."""
    with h5py.File(path) as file:
        found = []
        file.visititems(lambda n, x: found.append(x[()]) if n.split("/")[-1] == name else None)
    assert len(found) == 1
    return found[0]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Seven samples made by one worker."""
    folder = tmp_path_factory.mktemp("reference")
    return generate(DARCY, 7, 3, folder / "darcy.hdf5", workers=1, block=3)


def test_two_workers_and_other_blocks_give_the_same_bytes(reference, tmp_path):
    seen = []
    path = generate(
        DARCY, 7, 3, tmp_path / "darcy.hdf5", workers=2, block=2, progress=lambda *p: seen.append(p)
    )
    assert arrays(path) == arrays(reference) and len(arrays(path)) >= 2
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[0] == (0, 7) and seen[-1] == (7, 7)
    assert not (tmp_path / "darcy.hdf5.parts").exists()


def test_samples_are_those_of_their_own_seeds(reference):
    a, u = one(reference, "coefficient"), one(reference, "solution")
    assert a.shape == u.shape == (7, 9, 8) and u.dtype == np.float32
    for i in (0, 6):
        rng = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(i,)))
        sample = DARCY.sample(rng)
        np.testing.assert_array_equal(a[i], sample["coefficient"].astype(np.float32))
        np.testing.assert_allclose(u[i], sample["solution"], rtol=1e-6)
    assert not np.array_equal(a[0], a[1])


def test_fewer_samples_are_a_prefix():
    many, few = block_of(DARCY, 3, 0, 5, "float64"), block_of(DARCY, 3, 2, 4, "float64")
    for name in many:
        assert many[name][2:4].tobytes() == few[name].tobytes()


def test_recipe_stands_in_the_file(reference):
    with h5py.File(reference) as file:
        recipe = json.loads(file.attrs["recipe"])
    assert recipe == make_recipe(DARCY, 7, 3, "float32")
    assert recipe["problem"]["resolution"] == [9, 8] and recipe["versions"]["numpy"]


def test_params_and_double_precision(tmp_path):
    problem = Poisson(resolution=6)
    path = generate(problem, 3, 0, tmp_path / "poisson.hdf5", workers=1, dtype="float64")
    expected = block_of(problem, 0, 0, 3, "float64")
    np.testing.assert_array_equal(one(path, "solution"), expected["solution"])
    np.testing.assert_array_equal(one(path, "amplitude"), expected["amplitude"])


class Stop(Exception):
    pass


def interrupted(path, **settings):
    """A run that is stopped after its first block."""

    def stop(done, total):
        if done:
            raise Stop

    with pytest.raises(Stop):
        generate(DARCY, 7, 3, path, workers=1, block=2, progress=stop, **settings)
    return path.with_name(path.name + ".parts")


def test_interrupted_run_goes_on(reference, tmp_path):
    path = tmp_path / "darcy.hdf5"
    parts = interrupted(path)
    blocks = sorted(parts.glob("*.npz"))
    assert not path.exists() and 1 <= len(blocks) < 4
    first, seen = blocks[0].stat().st_mtime_ns, []

    def look(done, total):
        seen.append(done)
        assert blocks[0].stat().st_mtime_ns == first  # not made again

    generate(DARCY, 7, 3, path, workers=1, block=2, progress=look)
    assert seen[0] >= 2 and seen[-1] == 7 and arrays(path) == arrays(reference)


def test_parts_of_another_recipe_are_refused(tmp_path):
    path = tmp_path / "darcy.hdf5"
    parts = interrupted(path)
    kept = sorted(p.name for p in parts.iterdir())
    others = {"seed": 4, "samples": 8, "block": 3, "dtype": "float64", "problem": Darcy()}
    for change in ({name: value} for name, value in others.items()):
        call = {"problem": DARCY, "samples": 7, "seed": 3, "path": path, "block": 2} | change
        with pytest.raises(ResumeError, match=f"{next(iter(change))} .* delete the folder"):
            generate(**call)
    assert sorted(p.name for p in parts.iterdir()) == kept


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "x.hdf5.parts").mkdir()
    (tmp_path / "x.hdf5.parts" / "thesis.tex").touch()
    with pytest.raises(ResumeError, match="no folder of ours"):
        generate(DARCY, 1, 0, tmp_path / "x.hdf5")


def test_existing_file_is_kept_unless_told_otherwise(tmp_path, monkeypatch):
    path = tmp_path / "darcy.hdf5"
    path.write_text("mine")
    with monkeypatch.context() as no_work, pytest.raises(DataError, match="exists already"):
        no_work.setattr(_generate, "_run", None)
        generate(DARCY, 1, 0, path)
    assert path.read_text() == "mine"
    generate(DARCY, 1, 0, path, overwrite=True)
    assert one(path, "solution").shape == (1, 9, 8)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"path": "nowhere/x.hdf5"}, DataError, "does not exist"),
        ({"samples": 0}, ConfigError, "samples must be at least 1"),
        ({"seed": -1}, ConfigError, "seed"),
        ({"block": 0}, ConfigError, "block"),
        ({"workers": -2}, ConfigError, "workers"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(change, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_generate, "_run", None)
    with pytest.raises(error, match=words):
        generate(**{"problem": DARCY, "samples": 1, "seed": 0, "path": "x.hdf5"} | change)
    assert not list(tmp_path.iterdir())


BROKEN = """
import numpy as np
from sciops.core.errors import ConfigError
from sciops.core.problem import Problem
from sciops.problems.poisson import Poisson

class Broken(Problem):
    order = 2.0
    told: bool = False
    def describe(self): ...
    def refined(self, factor=2): ...
    def operator(self): ...
    def rhs(self): ...
    def exact(self): ...
    def schema(self): return Poisson(resolution=4).schema()
    def sample(self, generator):
        if self.told:
            raise ConfigError("this cannot be sampled")
        return {"source": np.zeros((4, 4))}
"""


@pytest.mark.parametrize("told", [True, False])
def test_errors_of_a_worker_reach_the_caller(told, tmp_path, monkeypatch):
    (tmp_path / "outside_problem.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "outside_problem", raising=False)
    problem = importlib.import_module("outside_problem").Broken(told=told)
    assert problem.kind == "outside_problem:Broken"
    with pytest.raises(SciopsError, match="this cannot be sampled" if told else "must hold"):
        generate(problem, 4, 0, tmp_path / "x.hdf5", workers=2, block=1)


def test_works_from_a_script_without_a_main_guard(tmp_path):
    """multiprocessing would run such a script again in every worker."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from sciops.problems._generate import generate
            from sciops.problems.darcy import Darcy
            generate(Darcy(resolution=5), 2, 0, sys.argv[1], workers=2, block=1)
            print("once", "torch" in sys.modules)
            """
        )
    )
    command = [sys.executable, str(script), str(tmp_path / "x.hdf5")]
    path = {"PYTHONPATH": ":".join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, env=path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once False\n"


def test_a_class_of_a_script_is_refused(tmp_path):
    problem = DARCY.model_copy(update={"kind": "__main__:Mine"})
    with pytest.raises(ConfigError, match="defined in a script"):
        generate(problem, 1, 0, tmp_path / "x.hdf5")
