"""``sciops data cards`` and ``sciops data download``: which data sets there are; fetch them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sciops.data.cards import Card
    from sciops.data.download import Plan, Progress

SHOWN = 10  # files of a plan that are printed


def cards(
    name: str | None = typer.Argument(None, help="show the whole card; all names if left out"),
) -> None:
    """List the data cards, or show one as Markdown."""
    from sciops.data import cards as known
    from sciops.data.card_page import page

    if name is None:
        _table({key: known.read(folder) for key, folder in known.definitions().items()})
    else:
        print(page(known.find(name)), end="")


def _table(found: dict[str, Card]) -> None:
    from rich.table import Table

    from sciops.cli._console import console
    from sciops.data.card_page import card_size

    table = Table(box=None)
    for column in ("name", "size", "licence", "format"):
        table.add_column(column, overflow="fold")
    for name, card in found.items():
        table.add_row(name, card_size(card), card.licence or "not stated", card.format)
    console.print(table)


def download(
    name: str = typer.Argument(help="name of a data card; see: sciops data cards"),
    files: list[str] = typer.Option(
        None, "--file", help="name, pattern ('*Nu0.01*') or subset of files; may be repeated"
    ),
    output: str = typer.Option(None, "-o", "--output", help="folder; data/<name> if left out"),
    dry_run: bool = typer.Option(False, "--dry-run", help="say what would be done, and stop"),
    yes: bool = typer.Option(False, "--yes", help="do not ask"),
    unverified: bool = typer.Option(
        False, "--unverified", help="also files whose hash is not known"
    ),
) -> None:
    """Download a data set; what broke off continues, and every file is checked."""
    from sciops.cli._console import console
    from sciops.core.errors import ConfigError
    from sciops.data.cards import find
    from sciops.data.download import download as run
    from sciops.data.download import plan

    card = find(name)
    folder = output or f"data/{card.name}"
    todo = plan(card, folder, files or None)
    _announce(card, todo, folder)
    if dry_run:
        return
    if card.files and todo.missing and not yes:
        import sys

        if not sys.stdin.isatty():
            raise ConfigError("nothing was downloaded: there is nobody to ask; pass --yes")
        typer.confirm("download?", abort=True)
    with _bar() as progress:
        paths = run(card, folder, files or None, progress, unverified)
    console.print(f"{folder}: {len(paths)} files, {'not all ' if unverified else ''}checked")


def _announce(card: Card, todo: Plan, folder: str) -> None:
    """Size, licence and what is cited, before anything is fetched."""
    from sciops.cli._console import console
    from sciops.data.card_page import size_text

    console.print(f"{card.title} -> {folder}")
    console.print(f"licence: {card.licence or 'not stated; ask the publisher'} ({card.source})")
    for paper in card.citation:
        console.print(f"cite: {paper.authors}: {paper.title} ({paper.year})")
    if card.access:
        console.print(card.access)
    if not card.files:
        console.print("the card lists no files")
        return
    for file in todo.missing[:SHOWN]:
        size = size_text(file.size, exact=file.bytes is not None)
        console.print(f"  {file.name}: {size}, {file.known_hash or 'no hash known'}")
    if len(todo.missing) > SHOWN:
        console.print(f"  and {len(todo.missing) - SHOWN} more")
    least = "at least " if todo.unknown else ""
    console.print(
        f"{len(todo.missing)} files to fetch, {least}{size_text(todo.needed)}"
        f"{f' ({todo.unknown} of unknown size)' if todo.unknown else ''}; "
        f"{len(todo.present)} there already; {size_text(todo.free)} free"
    )
    if todo.unknown and card.total_bytes:
        console.print(
            f"the publisher states {size_text(card.total_bytes, False)} for the whole set"
        )
    if todo.unhashed:
        console.print(f"{len(todo.unhashed)} have no known hash: they need --unverified")


@contextmanager
def _bar() -> Iterator[Progress]:
    """Bars, one a file, for the progress of a download."""
    from rich import progress as bars

    from sciops.cli._console import console

    columns = (bars.TextColumn("{task.description}"), bars.DownloadColumn())
    with bars.Progress(*columns, bars.TransferSpeedColumn(), console=console) as shown:
        tasks: dict[str, bars.TaskID] = {}

        def update(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=total)
            shown.update(tasks[name], completed=done, total=total)

        yield update
