"""Write the table of docs/formats.md from the formats themselves.

python docs/formats_table.py            writes it
python docs/formats_table.py --check    exit code 1 where it is out of date
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from sciops.core import resolve

PAGE = Path(__file__).parent / "formats.md"
BEGIN, END = "<!-- formats: begin -->", "<!-- formats: end -->"


def table() -> str:
    """One row a format."""
    rows = ["| name | title | what is stored | tried on | schema from |", "|---|---|---|---|---|"]
    for name in resolve.names("formats"):
        cls = resolve.find("formats", name)
        tried = cls.verified or "**unverified**: files made after the schema only"
        if cls.on_request:
            tried += "; used where it is named, never recognised"
        cells = (f"`{name}`", cls.title, stored(cls), tried, cls.source)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def stored(cls: type) -> str:
    """The sentence by which the format's module says what its files hold."""
    source = Path(sys.modules[cls.__module__].__file__ or "").read_text(encoding="utf-8")
    first = (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0]
    return " ".join(first.replace("``", "`").split())


def page(text: str) -> str:
    """The page with the table in its place."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    old = PAGE.read_text(encoding="utf-8")
    new = page(old)
    if arguments == ["--check"]:
        return int(old != new)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
