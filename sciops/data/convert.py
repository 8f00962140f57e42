"""From any source to any format that sciops writes: streaming, resumable, verified.

Blocks go to ``.<name>.partial`` beside the target, and ``.<name>.journal.json`` keeps the SHA-256
of every sample that is on disk.  A conversion that was stopped reads back what the journal lists
and goes on behind it; at the end the whole file is read as its format and compared, and only then
renamed.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sciops.core import resolve
from sciops.core.errors import DataError, SciopsError
from sciops.data import hdf5
from sciops.data.files import require_new, sidecar, write_manifest, write_text
from sciops.data.open import get
from sciops.data.source import FileSource, Source, by_name, joined, sample_hash
from sciops.data.split import Split
from sciops.data.writers._writer import Storage, Writer

Progress = Callable[[int, int], None]
COMMIT = 2.0  # seconds of work that a kill may cost


@dataclass(frozen=True)
class Converted:
    """What a conversion did: the file, what changed, and whether it went on from a stopped one."""

    path: Path
    notes: tuple[str, ...]
    resumed: int  # samples that were already there


def convert(
    source: Source,
    path: str | Path,
    to: str = "sciops",
    storage: Storage | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Write a data set in one of the formats of `sciops.data.writers`.

    Parameters
    ----------
    source
        What to write.
    path
        File (or folder, for zarr) to make.
    to
        Name of the format.
    storage
        How arrays lie in the file.
    overwrite
        Whether an existing file may be replaced; it is, only after the new one was verified.
    progress
        Called with (samples done, samples).

    Raises
    ------
    SchemaError
        If the format has no place for the data.
    DataError
        If the target cannot be written, or what was written does not read back as it was.
    """
    path = Path(path)
    require_new(path, overwrite)
    cls = resolve.find("writers", to)
    source, notes = cls.adapted(source)  # type: ignore[attr-defined]
    writer: Writer = cls(source, storage or Storage())
    partial, journal = partial_paths(path)
    recipe = joined(source.fingerprint(), to, writer.storage.model_dump(), source.schema.to_json())
    hashes = _resumed(partial, journal, recipe, writer)
    resumed = len(hashes)
    if not hashes:
        _remove(partial)
        writer.create(partial)
    _write(writer, partial, journal, recipe, hashes, progress)
    _verify(writer, partial, hashes)
    if partial.is_file():
        write_manifest(path, partial, hashes)
    if path.is_dir():
        shutil.rmtree(path)
    partial.replace(path)
    journal.unlink(missing_ok=True)
    split = _own_split(source)
    if split is not None:
        split.write(sidecar(path, "splits") if path.is_file() else path / "splits.json")
    return Converted(path, tuple(notes), resumed)


def partial_paths(path: Path) -> tuple[Path, Path]:
    """(unfinished file, journal) of a conversion to `path`."""
    return path.with_name(f".{path.name}.partial"), path.with_name(f".{path.name}.journal.json")


def discard(path: Path) -> None:
    """Remove what a conversion to `path` that failed left behind."""
    partial, journal = partial_paths(path)
    _remove(partial)
    journal.unlink(missing_ok=True)


def _write(
    writer: Writer,
    partial: Path,
    journal: Path,
    recipe: str,
    hashes: list[str],
    progress: Progress | None,
) -> None:
    source, n = writer.source, writer.source.n_samples
    if progress is not None:
        progress(len(hashes), n)
    while len(hashes) < n:
        commit = time.monotonic() + (COMMIT if writer.streams else math.inf)
        with writer.opened(partial):
            for sample in range(len(hashes), n):
                hashes.append(_put(writer, source, sample))
                if progress is not None:
                    progress(len(hashes), n)
                if time.monotonic() >= commit:
                    break
        if writer.streams:
            write_text(journal, json.dumps({"recipe": recipe, "hashes": hashes}))


def _put(writer: Writer, source: Source, sample: int) -> str:
    """Write one sample; its `sample_hash`."""
    digest = hashlib.sha256()
    for v in by_name(source):
        digest.update(f"{v.name} {source.dtype(v.name).str}".encode())
        for frames, values in source.blocks(v.name, sample):
            digest.update(np.ascontiguousarray(values).tobytes())
            if sample == 0 or not source.shared(v.name):
                writer.put(v, sample, frames, values)
    digest.update(np.ascontiguousarray(source.params(sample)).tobytes())
    return digest.hexdigest()


def _resumed(partial: Path, journal: Path, recipe: str, writer: Writer) -> list[str]:
    """Hashes of the samples that a stopped conversion of the same recipe left whole."""
    try:
        tree = json.loads(journal.read_text(encoding="utf-8"))
        hashes = [str(h) for h in tree["hashes"]]
        if tree["recipe"] != recipe or not partial.exists():
            return []
        there = _read_back(writer, partial)
        for sample, expected in enumerate(hashes):
            if sample_hash(there, sample) != expected:
                return hashes[:sample]
        return hashes
    except (OSError, ValueError, KeyError, TypeError, SciopsError):
        return []
    finally:
        hdf5.close_all()


def _read_back(writer: Writer, path: Path) -> Source:
    return FileSource(get(writer.reads_as).layout(path))


def _verify(writer: Writer, partial: Path, hashes: list[str]) -> None:
    source = writer.source
    there = _read_back(writer, partial)
    if there.n_samples != source.n_samples or not np.array_equal(there.lengths, source.lengths):
        raise DataError(partial, "what was written has other samples or lengths than what was read")
    for sample, expected in enumerate(hashes):
        same = np.array_equal(there.times(sample), source.times(sample), equal_nan=True)
        if sample_hash(there, sample) != expected or not same:
            raise DataError(partial, f"sample {sample} does not read back as it was written")
    hdf5.close_all()


def _own_split(source: Source) -> Split | None:
    """The parts that the source's own format declares, for a file that has no folders."""
    parts: dict[str, list[int]] = {}
    for sample in range(source.n_samples):
        subset = source.subset(sample)
        if subset is None:
            return None
        parts.setdefault(subset, []).append(sample)
    named: Mapping[str, tuple[int, ...]] = {k: tuple(v) for k, v in parts.items()}
    return Split(named, "given by the source")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
