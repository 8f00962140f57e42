"""Sphinx configuration.  Build with `python3 run.py docs`; no network is needed."""

from __future__ import annotations

import ast
import inspect
import os
import re
import textwrap
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

HERE = Path(__file__).resolve().parent
HAS_EXAMPLES = any((HERE / "examples").glob("plot_*.py"))

project = "sciops"
author = copyright = "The sciops developers"
release = version = installed_version("sciops")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build", "_templates", "examples"]
templates_path = ["_templates"]
suppress_warnings = [
    "ref.python",  # two parts may use one name (Config); a short reference then means either
]

myst_enable_extensions = ["colon_fence", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
napoleon_google_docstring = False
napoleon_use_rtype = False

default_role = "py:obj"  # `Operator.fit` in a docstring links where it can

html_theme = "furo"
html_title = "sciops"
html_show_sphinx = False

if HAS_EXAMPLES:
    extensions.append("sphinx_gallery.gen_gallery")
    os.environ.setdefault("MPLBACKEND", "Agg")
    sphinx_gallery_conf = {
        "examples_dirs": "examples",
        "gallery_dirs": "auto_examples",
        "filename_pattern": r"plot_",
        "abort_on_example_error": True,
        "write_computation_times": False,
        "download_all_examples": False,
    }


# Docstrings are written to be read in the source: formulas stand indented, columns are aligned, and
# shapes (B, C, *N) and norms |x| carry no backslashes.  What follows makes reStructuredText of it.

INLINE_LITERAL = re.compile(r"(``.+?``|`[^`]+`)")
MARKS = re.compile(r"(?<![*\w\\])\*(?=[^\s*])|(?<!\\)\|(?=\S)|(?<=\S)(?<!\\)\|")
LIST_ITEM = re.compile(r"\s*([*-]|\d+\.|\.\.) ")
COLUMNS = re.compile(r"\w {2,}\S")


def process_docstring(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Indented and column-wise paragraphs become literal blocks; stray marks are escaped."""
    out: list[str] = []
    before = ""  # the last line of the paragraph before
    literal = None  # inside a literal block: the margin of the text around it
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        block = paragraph.strip("\n").split("\n")
        if literal is None and before.endswith("::"):
            literal = margin(before)
        if literal is not None and margin(block[0]) <= literal:
            literal = None
        if literal is None and before and margin(block[0]) > margin(before):
            if not LIST_ITEM.match(before):
                literal = margin(before)
                out += [" " * literal + "::", ""]
        elif literal is None and is_columns(block):
            out += [" " * margin(block[0]) + "::", ""]
            out += ["    " + line for line in block] + [""]
            before = block[0]
            continue
        out += block if literal is not None else [without_marks(line) for line in block]
        out.append("")
        before = block[-1]
    if inspect.isclass(obj) and issubclass(obj, BaseModel):
        out += settings(obj)
    lines[:] = out


def settings(model: type[BaseModel]) -> list[str]:
    """The fields of a settings class as they stand in its source, with their comments."""
    source = textwrap.dedent(inspect.getsource(model))
    definition = ast.parse(source).body[0]
    assert isinstance(definition, ast.ClassDef)
    fields = [
        line
        for node in definition.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in model.model_fields
        for line in source.splitlines()[node.lineno - 1 : node.end_lineno]
    ]
    return ["", ".. code-block:: python", "", *fields, ""] if fields else []


def margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def is_columns(block: list[str]) -> bool:
    """Whether the lines are aligned by hand (and are no table of reStructuredText)."""
    return sum(bool(COLUMNS.search(s)) for s in block) > 1 and not any("===" in s for s in block)


def without_marks(line: str) -> str:
    """`line` with the marks of emphasis and substitution escaped outside its inline literals."""
    pieces = INLINE_LITERAL.split(line)
    pieces[::2] = [MARKS.sub(lambda mark: "\\" + mark.group(), piece) for piece in pieces[::2]]
    return "".join(pieces)


def add_gallery(app: Any, name: str, source: list[str]) -> None:
    """The examples join the table of contents where there are any."""
    if name == "index":
        source[0] += "\n```{toctree}\n:caption: Examples\n\nauto_examples/index\n```\n"


def add_contracts(app: Any, name: str, source: list[str]) -> None:
    """The table of operators and contracts, from what the operators themselves declare."""
    if name != "operators":
        return
    from sciops.core import resolve
    from sciops.core.operator import CONTRACTS

    breaks = {name: resolve.find("operators", name).breaks for name in resolve.names("operators")}
    rows = [f"| contract | {' | '.join(breaks)} |", "|---" * (1 + len(breaks)) + "|"]
    for contract, text in CONTRACTS.items():
        marks = ["no" if contract in broken else "yes" for broken in breaks.values()]
        rows.append(f"| {text} | {' | '.join(marks)} |")
    reasons = [
        f"- `{operator}`, {CONTRACTS[contract]}: {reason}."
        for operator, broken in breaks.items()
        for contract, reason in broken.items()
    ]
    source[0] += "\n" + "\n".join(rows) + "\n\n" + "\n".join(reasons) + "\n"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_contracts)
    app.connect("autodoc-process-docstring", process_docstring, priority=100)  # before napoleon
    if HAS_EXAMPLES:
        app.connect("source-read", add_gallery)
