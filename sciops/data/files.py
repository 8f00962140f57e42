"""Files that are whole or not there (temporary name, flush, rename), and their checksums."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sciops.core.errors import DataError
from sciops.data.layout import Layout

WHOLE = 1 << 30  # files up to 1 GiB are hashed whole
SAMPLE = 1 << 24  # of larger ones, this much at the begin, the middle and the end


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that becomes `path` if the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed."""
    for rest in folder.rglob(".*.tmp"):
        if rest.is_dir():
            shutil.rmtree(rest, ignore_errors=True)
        else:
            rest.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file in one piece."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sidecar(path: Path, kind: str) -> Path:
    """Where splits, stats or manifest of a data set stand.

    ``kind.json`` in a folder; ``name.kind.json`` beside the HDF5 file ``name.hdf5``; the ending is
    kept for any other (``name.nc.kind.json``), so that one folder can hold a set in many formats.
    """
    if path.is_dir():
        return path / f"{kind}.json"
    name = path.stem if path.suffix in (".hdf5", ".h5") else path.name
    return path.with_name(f"{name}.{kind}.json")


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file; above 1 GiB, of its size and three samples (``sampled:``)."""
    size = os.path.getsize(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        if size <= WHOLE:
            while block := file.read(1 << 22):
                digest.update(block)
            return digest.hexdigest()
        digest.update(str(size).encode())
        for place in (0, size // 2, size - SAMPLE):
            file.seek(place)
            digest.update(file.read(SAMPLE))
    return f"sampled:{digest.hexdigest()}"


def checksum(layout: Layout) -> str:
    """One SHA-256 that stands for the bytes of a data set, independent of where it lies."""
    digest = hashlib.sha256()
    for path in map(Path, layout.paths):
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in inside:  # a zarr store is a folder
            if path.is_dir():
                digest.update(file.relative_to(path).as_posix().encode())
            digest.update(file_sha256(file).encode())
    for part in layout.parts:
        for name in sorted(part.arrays):
            for stored in part.arrays[name]:
                if stored.array is not None:
                    digest.update(name.encode() + np.ascontiguousarray(stored.array).tobytes())
    return digest.hexdigest()


def write_manifest(path: Path, whole: Path, samples: list[str]) -> None:
    """``manifest.json`` of `path`, which `whole` will become: checksums of the file and of samples.

    `samples` are the `sciops.data.source.sample_hash` of each, which do not depend on the format.
    """
    tree = {
        "file": path.name,
        "bytes": whole.stat().st_size,
        "sha256": file_sha256(whole),
        "samples": samples,
    }
    write_text(sidecar(path, "manifest"), json.dumps(tree, indent=1))


def require_new(path: Path, overwrite: bool = False) -> None:
    """DataError unless a file can be written to `path`."""
    if not path.parent.is_dir():
        raise DataError(path, f"the folder {path.parent} does not exist; make it first")
    if path.exists() and not overwrite:
        raise DataError(path, "exists already; choose another name, or --overwrite")
