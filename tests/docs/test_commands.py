"""The commands that the documentation shows exist, with their options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_commands_exist(page):
    from sciops.cli import application

    root = get_command(application())
    blocks = re.findall(r"```shell\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line for b in blocks for line in b.splitlines() if line.startswith("sciops ")]
    for line in lines:
        command = root
        words = line.split("#")[0].split()
        for word in words[1:]:
            if word not in getattr(command, "commands", {}):
                break
            command = command.commands[word]
        assert not getattr(command, "commands", {}), f"no such command: {line}"
        options = {o for p in command.params for o in p.opts}
        assert {w for w in words if w.startswith("-")} <= options, line


def test_data_page_shows_every_tool():
    from sciops.cli import application

    shown = (DOCS / "data.md").read_text()
    for name in get_command(application()).commands["data"].commands:
        assert f"sciops data {name} " in shown, name
