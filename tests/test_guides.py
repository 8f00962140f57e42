"""Every block of the guides runs as it stands, in order and in one folder.

Python blocks share their names; a YAML block begins with the name of its file; shell blocks hold
commands of sciops.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

GUIDES = sorted((Path(__file__).parents[1] / "docs" / "guides").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: p.stem)
def test_guide(guide, tmp_path, monkeypatch):
    from sciops.cli import application

    monkeypatch.chdir(tmp_path)
    text = guide.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert {kind for kind, _ in blocks} <= {"python", "yaml", "shell"}
    assert len(blocks) == text.count("\n```\n") > 0
    names: dict = {}
    for kind, block in blocks:
        if kind == "python":
            exec(compile(block, f"{guide.name}: {block[:40]!r}", "exec"), names)
        elif kind == "yaml":
            first = re.match(r"# (\S+\.yaml)\n", block)
            assert first, f"a YAML block begins with the name of its file: {block[:60]!r}"
            Path(first[1]).write_text(block)
        else:
            for line in block.splitlines():
                program, *arguments = shlex.split(line, comments=True)
                assert program == "sciops", line
                assert not application()(arguments, standalone_mode=False), line
