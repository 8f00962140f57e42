"""The command line: ``sciops doctor | list | data | train | predict | solve | bench | demo``.

A sub-command group a file.  Nothing heavy is imported before a command runs, so ``--help`` is
instant.  What the user can put right ends in one paragraph on stderr and exit code 2.
"""

from __future__ import annotations

import sys

import typer

from sciops.core.errors import SciopsError

INTERRUPTED = 130


def application() -> typer.Typer:
    """All commands; each imports what it needs when it runs."""
    from sciops.cli import bench, data, demo, info, solve, train

    app = typer.Typer(
        name="sciops",
        help="Scientific operator learning: PDE surrogates, benchmark data, benchmark runs.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.command("doctor")(info.doctor)
    app.command("list")(info.listing)
    app.add_typer(data.app, name="data")
    app.command("train")(train.train)
    app.command("predict")(train.predict)
    app.command("solve")(solve.solve)
    app.add_typer(bench.app, name="bench")
    app.command("demo")(demo.demo)
    return app


def main() -> None:
    """Entry point of the command ``sciops``."""
    try:
        application()()
    except SciopsError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 2))
    except SystemExit as end:
        if end.code == INTERRUPTED:  # what typer makes of KeyboardInterrupt, without a word
            print("stopped", file=sys.stderr)
        raise
    except KeyboardInterrupt:  # before typer took over
        print("stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)
