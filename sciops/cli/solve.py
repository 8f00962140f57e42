"""``sciops solve``: a linear system from files, by any solver with any preconditioner."""

from __future__ import annotations

import typer


def solve(
    matrix: str = typer.Argument(
        help=".npz .h5 .mtx .mtx.gz .mat .npy; FILE:NAME for one of several in it"
    ),
    given: list[str] = typer.Argument(
        None,
        metavar="[RHS] [a.b=value]...",
        help="file of the right-hand side (left out: the b beside the matrix, else b = A 1), and "
        "settings: solver.rtol=1e-8 preconditioner.smoothing_steps=2",
    ),
    solver: str = typer.Option(
        None, help="a name of `sciops list solvers`; cg, or fcg where the preconditioner is not SPD"
    ),
    preconditioner: str = typer.Option(
        None, help="multigrid, amg, jacobi, .. or the folder of a trained one"
    ),
    shape: str = typer.Option(None, help="grid of the unknowns, the last axis fastest: 256,256"),
    spd: bool = typer.Option(
        False, "--spd", help="promise that the matrix is symmetric positive definite: no checks"
    ),
    output: str = typer.Option(None, "-o", "--output", help="the solution: .npz .npy .h5 .hdf5"),
    plot: str = typer.Option(None, help="convergence picture: .png .pdf .svg .jpg"),
    overwrite: bool = typer.Option(False, help="replace existing files"),
) -> None:
    """Solve A x = b; exit code 1 if the residual, recomputed in float64, is too large."""
    from pathlib import Path

    from sciops.cli._console import console
    from sciops.cli._solve import chosen, run
    from sciops.core.errors import ConfigError
    from sciops.core.memory import keep_large_blocks_unless_told
    from sciops.data.files import require_new
    from sciops.data.matrices import check_solution_name, located, write_solution
    from sciops.plots.output import check, save

    rhs, settings = _arguments(given or [])
    if output:
        check_solution_name(Path(output))
    if plot:
        check(Path(plot))
    for path in filter(None, (output, plot)):
        require_new(Path(path), overwrite)
        for given_file in (matrix, rhs):
            if given_file and Path(path).exists() and Path(path).samefile(located(given_file)[0]):
                raise ConfigError(f"{path}: is read from, and would be replaced; name another file")
    keep_large_blocks_unless_told()
    choice = chosen(solver, preconditioner, settings)
    result = run(matrix, rhs, _grid(shape), choice, spd, bool(plot))
    console.print(result.table())
    if output:
        solution = result.solution
        write_solution(
            Path(output), result.x, solution.residual.numpy(), solution.iterations.numpy()
        )
        console.print(f"solution: {output}", emoji=False)
    if plot:
        console.print(f"picture: {save(result.picture(), plot)}", emoji=False)
    if not result.solved:
        raise typer.Exit(1)


def _arguments(given: list[str]) -> tuple[str | None, list[str]]:
    """(file of the right-hand side, settings): a setting has an =, a file of that name has not."""
    from pathlib import Path

    from sciops.core.errors import ConfigError

    files = [a for a in given if "=" not in a or Path(a).exists()]
    if len(files) > 1:
        raise ConfigError(
            f"expected one right-hand side and settings such as solver.rtol=1e-8, got {files}; "
            f"several right-hand sides are the columns of one file"
        )
    return files[0] if files else None, [a for a in given if a not in files]


def _grid(shape: str | None) -> tuple[int, ...] | None:
    from sciops.core.errors import ConfigError

    if shape is None:
        return None
    words = shape.replace("x", ",").strip("()[]").split(",")
    if not all(w.strip().isdigit() and int(w) > 0 for w in words):
        raise ConfigError(f"--shape: expected numbers of points as in 256,256, got {shape!r}")
    return tuple(int(w) for w in words)
