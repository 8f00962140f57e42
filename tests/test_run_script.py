"""run.py: what it does without a network, on copies of itself."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(tmp_path):
    for name in ("run.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    spec = importlib.util.spec_from_file_location("run_script", tmp_path / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_missing_ensurepip_is_named_before_anything_is_made(script, monkeypatch):
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as end:
        script.prepare({"test"})
    assert f"apt-get install python{script.VERSION}-venv" in str(end.value)
    assert not script.VENV.exists()


def test_a_set_up_that_is_current_does_nothing(script, monkeypatch):
    script.VENV.mkdir()
    stamp = {
        "python": script.VERSION,
        "torch_index": "",
        "files": script.fingerprint(),
        "extras": ["test", "viz"],
    }
    script.STAMP.write_text(json.dumps(stamp))
    monkeypatch.setattr(script, "probe", lambda: {"pip", "torch", "sciops", script.VERSION})
    monkeypatch.setattr(script, "execute", lambda command: pytest.fail(f"ran {command}"))
    monkeypatch.delenv("SCIOPS_TORCH_INDEX", raising=False)
    script.prepare({"viz"})
    script.prepare({"viz", "test"})


@pytest.mark.parametrize("change", ["constraints", "extras", "index", "broken"])
def test_what_changed_is_installed_with_torch_first_and_alone(script, monkeypatch, change):
    script.VENV.mkdir()
    stamp = {
        "python": script.VERSION,
        "torch_index": "",
        "files": script.fingerprint(),
        "extras": ["viz"],
    }
    script.STAMP.write_text(json.dumps(stamp))
    found = {"pip", "torch", "sciops", script.VERSION}
    monkeypatch.setattr(script, "probe", lambda: set() if change == "broken" else found)
    monkeypatch.delenv("SCIOPS_TORCH_INDEX", raising=False)
    if change == "index":
        monkeypatch.setenv("SCIOPS_TORCH_INDEX", "https://example.org/cpu")
    if change == "constraints":
        path = script.ROOT / "constraints.txt"
        path.write_text(path.read_text() + "\n")
    ran = []
    monkeypatch.setattr(script, "execute", ran.append)
    monkeypatch.setattr(script, "pip_has_index", lambda: True)
    script.prepare({"test", "viz"} if change == "extras" else {"viz"})
    installs = [c for c in ran if "install" in c]
    assert any(word.startswith("torch==") for word in installs[0])
    assert "-e" not in installs[0]
    assert ("--index-url" in installs[0]) == (change == "index")
    assert installs[1][-4:-1] == ["-c", "constraints.txt", "-e"]
    assert "--index-url" not in installs[1]
    assert any("venv" in c for c in ran) == (change in ("index", "broken"))
    assert json.loads(script.STAMP.read_text())["files"] == script.fingerprint()


def test_without_a_gpu_the_download_is_announced(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "pip_has_index", lambda: False)
    monkeypatch.setattr(script.shutil, "which", lambda name: None)
    monkeypatch.setattr(script.sys, "platform", "linux")
    monkeypatch.setattr(script.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(script.Path, "exists", lambda self: False)
    script.warn_of_cuda("")
    assert "several GB" in capsys.readouterr().out
    script.warn_of_cuda("https://example.org/cpu")
    assert capsys.readouterr().out == ""
