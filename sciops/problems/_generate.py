r"""A data set from a problem: reproducible, parallel, resumable.

    sample i = problem.sample(default_rng(SeedSequence(seed, spawn_key=(i,)))),   i = 0 .. n-1

A sample depends on the settings, the seed and its own number only, so the arrays are the same bytes
for any number of workers, and the first m of n samples are the data set of m samples.

Blocks of samples are written to `<path>.parts/` (temporary name, then renamed).  A run that was
killed goes on with the blocks that are missing; at the end the blocks become the file at `path` and
the folder goes away.

Workers are processes of their own (`_worker.py`).  They are started as commands and not through
`multiprocessing`, which would run an unguarded script of the user a second time; and each has one
BLAS thread, since two levels of parallelism on the same cores were measured ten times slower, and
the order of summation must not depend on the machine's number of cores.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import ConfigError, DataError, ResumeError, SciopsError
from sciops.core.problem import Problem
from sciops.problems._worker import Block, part_of

Progress = Callable[[int, int], None]

RECIPE = "recipe.json"
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
}


def generate(
    problem: Problem,
    samples: int,
    seed: int,
    path: str | Path,
    workers: int | None = None,
    progress: Progress | None = None,
    block: int = 25,
    dtype: Literal["float32", "float64"] = "float32",
    overwrite: bool = False,
) -> Path:
    """Make `samples` samples of `problem` and write them to one file.

    Parameters
    ----------
    problem
        Any problem whose class can be imported by its `kind`.
    samples, seed
        Number of samples, and the seed from which each takes its own.
    path
        The HDF5 file to write; its folder must exist.
    workers
        Processes; as many as there are usable cores where not given.
    progress
        Called as progress(done, total) at the start and after each block.
    block
        Samples written at a time; more is lost when a run is killed, less makes more files.
    dtype
        Type of the stored fields; the equations are solved in float64.
    overwrite
        Replace a file that is already there.

    Returns
    -------
    Path
        The file written.  Its attribute ``recipe`` is JSON text: the problem's settings, seed,
        samples, dtype and the versions of sciops, numpy and scipy.

    Raises
    ------
    DataError
        If the folder does not exist, or `path` does and `overwrite` is not set.
    ResumeError
        If `<path>.parts` holds blocks of another recipe.
    ConfigError
        If a number is out of range, or the problem's class cannot be imported by a worker.
    """
    path = Path(path)
    _check(problem, samples, seed, path, workers, block, overwrite)
    recipe = make_recipe(problem, samples, seed, dtype)
    parts = path.with_name(path.name + ".parts")
    _open_parts(parts, recipe | {"block": block})
    blocks = [(i, min(i + block, samples)) for i in range(0, samples, block)]
    missing = [b for b in blocks if not part_of(parts, b).exists()]
    done = samples - sum(stop - start for start, stop in missing)
    if progress is not None:
        progress(done, samples)
    with closing(_run(recipe, parts, missing, workers or usable_cores())) as sizes:
        for size in sizes:
            done += size
            if progress is not None:
                progress(done, samples)
    _assemble(problem, recipe, parts, blocks, path, overwrite)
    shutil.rmtree(parts)
    return path


def make_recipe(problem: Problem, samples: int, seed: int, dtype: str) -> dict[str, Any]:
    """All that decides the arrays, as JSON types."""
    try:
        own = metadata.version("sciops")
    except metadata.PackageNotFoundError:
        own = "unknown"
    return {
        "problem": problem.model_dump(mode="json"),
        "samples": samples,
        "seed": seed,
        "dtype": dtype,
        "versions": {"sciops": own, "numpy": np.__version__, "scipy": metadata.version("scipy")},
    }


def usable_cores() -> int:
    """Cores that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _check(
    problem: Problem,
    samples: int,
    seed: int,
    path: Path,
    workers: int | None,
    block: int,
    overwrite: bool,
) -> None:
    """Everything that can be refused before any work."""
    least = {
        "samples": (samples, 1),
        "seed": (seed, 0),
        "block": (block, 1),
        "workers": (workers or 1, 1),
    }
    for name, (value, bound) in least.items():
        if value < bound:
            raise ConfigError(f"{name} must be at least {bound}, got {value}")
    if problem.kind.startswith("__main__"):
        raise ConfigError(
            f"the problem {problem.kind} is defined in a script, where workers cannot find it; "
            f"move the class to a module of its own and import it"
        )
    if not path.parent.is_dir():
        raise DataError(path, f"the folder {path.parent} does not exist; create it first")
    if path.exists() and not overwrite:
        raise DataError(path, "exists already; choose another name, or overwrite it on request")
    problem.schema()  # a resolution that cannot be is refused here


def _open_parts(parts: Path, recipe: dict[str, Any]) -> None:
    """Make the folder of blocks, or check that the one that is there belongs to `recipe`."""
    note = parts / RECIPE
    if note.exists():
        try:
            found = json.loads(note.read_text(encoding="utf-8"))
        except ValueError:
            found = {}
        different = [k for k in recipe if not isinstance(found, dict) or found.get(k) != recipe[k]]
        if different:
            k = different[0]
            raise ResumeError(
                f"{parts} holds part of another data set: {', '.join(different)} differ, {k} is "
                f"{found.get(k)!r} there and {recipe[k]!r} here; finish that one with its own "
                f"settings, choose another path, or delete the folder"
            )
        return
    if parts.exists() and any(parts.iterdir()):
        raise ResumeError(
            f"{parts} is no folder of ours (no {RECIPE}); move it away or choose another path"
        )
    parts.mkdir(exist_ok=True)
    temporary = parts / f"{RECIPE}.tmp"
    temporary.write_text(json.dumps(recipe, indent=1), encoding="utf-8")
    os.replace(temporary, note)


def _run(
    recipe: dict[str, Any], parts: Path, blocks: list[Block], workers: int
) -> Generator[int, None, None]:
    """Let workers write the blocks; yield the number of samples of each block that is done."""
    if not blocks:
        return
    shares = [blocks[i::workers] for i in range(min(workers, len(blocks)))]
    news: queue.Queue[int | SciopsError | None] = queue.Queue()
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(shares)))
        for share in shares:
            worker = stack.enter_context(_Worker({**recipe, "parts": str(parts), "blocks": share}))
            pool.submit(worker.follow, news)
        running = len(shares)
        while running:
            item = news.get()
            if isinstance(item, SciopsError):
                raise item
            if item is None:
                running -= 1
            else:
                yield item


class _Worker:
    """A process that writes blocks: its task goes in as JSON, one line a block comes out."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = json.dumps(task)
        path = [str(Path(p or os.curdir).resolve()) for p in sys.path]
        self.environment = {
            **os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"
        }  # fmt: skip

    def __enter__(self) -> _Worker:
        self.log = tempfile.TemporaryFile()
        command = [sys.executable, "-m", "sciops.problems._worker"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self.log, text=True, env=self.environment
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def follow(self, news: queue.Queue[int | SciopsError | None]) -> None:
        """Report sizes of finished blocks, then None; or the error that ended the worker."""
        try:
            assert self.process.stdin is not None and self.process.stdout is not None
            with suppress(BrokenPipeError):
                self.process.stdin.write(self.task)
                self.process.stdin.close()
            for line in self.process.stdout:
                message = json.loads(line)
                if "error" in message:
                    raise SciopsError(message["error"])
                news.put(message["done"])
            if self.process.wait() != 0:
                self.log.seek(0)
                text = self.log.read().decode(errors="replace").strip()
                raise SciopsError(
                    f"a worker ended with code {self.process.returncode}; finished blocks are "
                    f"kept, so the same call goes on from here. What it said:\n{text}"
                )
        except SciopsError as error:
            news.put(error)
        except Exception as error:  # a thread must not die in silence
            news.put(SciopsError(f"lost a worker: {type(error).__name__}: {error}"))
        else:
            news.put(None)


def _assemble(
    problem: Problem,
    recipe: dict[str, Any],
    parts: Path,
    blocks: list[Block],
    path: Path,
    overwrite: bool,
) -> None:
    """Put the blocks together, on disk and not in memory, and write the file."""
    from sciops.data.write import write_dataset

    schema = problem.schema()
    whole: dict[str, NDArray[Any]] = {}
    for start, stop in blocks:
        with np.load(part_of(parts, (start, stop)), allow_pickle=False) as part:
            for name in part.files:
                values = part[name]
                if name not in whole:
                    shape = (recipe["samples"], *values.shape[1:])
                    whole[name] = np.lib.format.open_memmap(
                        parts / f"{name}.npy", "w+", values.dtype, shape
                    )
                whole[name][start:stop] = values
    params = {v.name: np.array(whole.pop(v.name)) for v in schema.params}
    attributes = {"recipe": json.dumps(recipe)}
    write_dataset(path, schema, whole, params, attributes, problem.times(), overwrite=overwrite)
