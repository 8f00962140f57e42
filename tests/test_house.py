"""The house stays in order: one way down, light imports, style, types, no pickles."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "sciops").rglob("*.py"))
HEAVY = ("torch", "xarray", "h5py", "matplotlib", "neuralop", "scipy", "pydantic")


def tool(*command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_imports_go_down_only():
    code = "import sys; from importlinter.cli import lint_imports_command as c; c()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_ruff():
    tool("ruff", "check", "--no-cache", ".")


def test_format():
    tool("ruff", "format", "--no-cache", "--check", ".")


def test_types(tmp_path):
    tool("mypy", "--cache-dir", str(tmp_path))


@pytest.mark.parametrize("what", ["import sciops", "import sciops.cli; sciops.cli.application()"])
def test_nothing_heavy_is_imported(what):
    code = f"{what}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_public_names_exist():
    import sciops

    for name in dir(sciops):
        assert getattr(sciops, name) is not None


def test_no_utils_and_no_packages_beside_the_library():
    assert not list((ROOT / "sciops").rglob("utils.py"))
    assert not (ROOT / "datasets" / "__init__.py").exists()
    assert not (ROOT / "benchmarks" / "__init__.py").exists()


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_never_unpickles(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not text.strip(), "the module has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {a.name.split(".")[0] for a in node.names}
            names.add((getattr(node, "module", None) or "").split(".")[0])
            assert not names & {"pickle", "dill", "joblib", "marshal", "shelve"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            settings = {k.arg: k.value for k in node.keywords}
            if ast.unparse(node.func) == "torch.load":
                assert ast.unparse(settings["weights_only"]) == "True"
            if ast.unparse(node.func) == "np.load":
                assert ast.unparse(settings["allow_pickle"]) == "False"
            assert ast.unparse(node.func) != "torch.set_num_threads"
