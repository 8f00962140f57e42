"""Progress bars and tables of the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(
    highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 110
)


@contextmanager
def bar(text: str, quiet: bool = False) -> Iterator[Callable[..., None]]:
    """A progress bar: call what is given with (done, total[, numbers to show])."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
    )
    with Progress(
        *columns, console=console, disable=quiet, transient=not console.is_terminal
    ) as progress:
        task = progress.add_task(text, total=None, numbers="")

        def update(done: int, total: int, numbers: Mapping[str, float] | None = None) -> None:
            shown = "  ".join(f"{k} {v:.4g}" for k, v in (numbers or {}).items())
            progress.update(task, completed=done, total=total, numbers=shown)

        yield update
