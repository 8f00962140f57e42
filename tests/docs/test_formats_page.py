"""The table of formats is what the formats say of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_is_up_to_date():
    done = subprocess.run([sys.executable, DOCS / "formats_table.py", "--check"], check=False)
    assert done.returncode == 0, "run: python docs/formats_table.py"


def test_every_format_is_in_it():
    from sciops.core import resolve

    rows = (DOCS / "formats.md").read_text().splitlines()
    for name in resolve.names("formats"):
        (row,) = [r for r in rows if r.startswith(f"| `{name}` |")]
        assert resolve.find("formats", name).title in row
        assert ("unverified" in row) == (not resolve.find("formats", name).verified)
