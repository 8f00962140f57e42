"""What the README says works as it stands (on fewer, smaller samples)."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_python_example(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "size=(300, 32, 32)" in code
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code.replace("size=(300, 32, 32)", "size=(20, 8, 8)"), names)
    assert names["fields"]["u"].shape == (20, 8, 8)
    import sciops

    again = sciops.load(tmp_path / "my-model").predict(names["data"])
    assert (again["u"].values == names["fields"]["u"].values).all()


def test_the_commands_exist():
    from typer.main import get_command

    from sciops.cli import application

    root = get_command(application())
    lines = [w.split("#")[0].split() for w in README.splitlines() if w.startswith("sciops ")]
    assert len(lines) >= 6
    for words in lines:
        command = root
        for word in words[1:]:
            if word not in getattr(command, "commands", {}):
                break
            command = command.commands[word]
        assert command is not root, words
        options = {o for p in command.params for o in p.opts}
        assert {w for w in words if w.startswith("-")} <= options, words


def test_the_table_names_what_is_there():
    from sciops.core import resolve

    for group in ("operators", "problems", "solvers", "formats"):
        for name in resolve.names(group):
            assert f"`{name}`" in README, name
