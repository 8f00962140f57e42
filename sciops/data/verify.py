"""Whether a data set still is what its ``manifest.json`` says: bytes, arrays, samples.

    {"file": "darcy.hdf5", "bytes": 81920, "sha256": "..",
     "samples": [`sample_hash` of each, ..],       what sciops writes
     "arrays": {name: `array_hash`}}               what sciops 0.1 wrote

Where the file's own checksum fits, arrays and samples can only differ if they were listed wrongly;
where it does not, they say what changed and whether the numbers did.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sciops.core.errors import DataError
from sciops.data.files import WHOLE, file_sha256, sidecar
from sciops.data.source import FileSource, Source, open_source, sample_hash

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Checked:
    """One thing that a manifest names: what it is, whether it is as it was, and what is not."""

    what: str
    ok: bool
    message: str = ""


@dataclass(frozen=True)
class Verified:
    """Everything that was compared with one or more manifests."""

    checked: tuple[Checked, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return all(c.ok for c in self.checked)

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        return {"ok": self.ok, "checked": [vars(c) for c in self.checked]}


def verify(
    path: str | Path, format: str | None = None, progress: Progress | None = None
) -> Verified:
    """Compare a file, or every file of a folder that has a manifest, with its manifest.

    Parameters
    ----------
    path
        The data set, or a folder of data sets.
    format
        Name of the format; None to recognise it.
    progress
        Called with (samples done, samples) while arrays or samples are read.

    Raises
    ------
    DataError
        If there is no manifest, or it is not one.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(path, "no such file or folder")
    found: list[Checked] = []
    for manifest in _manifests(path):
        tree = read_manifest(manifest)
        file = manifest.parent / tree["file"]
        found += check_file(file, tree)
        if file.exists() and ("arrays" in tree or "samples" in tree):
            found += _contents(file, tree, format, progress)
    return Verified(tuple(found))


def _manifests(path: Path) -> list[Path]:
    own = sidecar(path, "manifest")
    if own.is_file():
        return [own]
    inside = sorted(path.glob("*.manifest.json")) if path.is_dir() else []
    if not inside:
        raise DataError(
            path, f"there is no {own.name} beside it; sciops data convert writes one with the data"
        )
    return inside


def read_manifest(manifest: Path) -> dict[str, Any]:
    """The tree of a manifest, checked."""
    try:
        tree = json.loads(manifest.read_text(encoding="utf-8"))
        name, size, digest = str(tree["file"]), int(tree["bytes"]), str(tree["sha256"])
        arrays = {str(k): str(h) for k, h in tree.get("arrays", {}).items()}
        samples = [str(h) for h in tree.get("samples", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(manifest, f"not a manifest ({type(error).__name__}: {error})") from None
    if name != Path(name).name or name in ("", ".", ".."):
        raise DataError(manifest, f"it must name a file beside it, got {name!r}")
    return {"file": name, "bytes": size, "sha256": digest} | (
        {"arrays": arrays} if arrays else {"samples": samples} if samples else {}
    )


def check_file(file: Path, tree: dict[str, Any]) -> list[Checked]:
    """The file's size and checksum against a manifest."""
    if not file.is_file():
        return [Checked(file.name, False, "the file is not there")]
    size = file.stat().st_size
    if size != tree["bytes"]:
        return [Checked(file.name, False, f"{size} bytes, {tree['bytes']} are expected")]
    sampled = "" if size <= WHOLE else " (of size and three samples)"
    if file_sha256(file) != tree["sha256"]:
        return [Checked(file.name, False, f"the SHA-256{sampled} differs: the bytes were changed")]
    return [Checked(file.name, True, f"SHA-256{sampled}, {size} bytes")]


def _contents(
    file: Path, tree: dict[str, Any], format: str | None, progress: Progress | None
) -> Iterator[Checked]:
    try:
        source = open_source(file, format)
    except DataError as error:
        yield Checked(f"{file.name}, contents", False, str(error))
        return
    if "samples" in tree:
        yield from _samples(source, tree["samples"], progress)
    else:
        yield from _arrays(source, tree["arrays"], progress)


def _samples(source: Source, expected: list[str], progress: Progress | None) -> Iterator[Checked]:
    if len(expected) != source.n_samples:
        yield Checked("samples", False, f"{source.n_samples}, {len(expected)} are expected")
        return
    wrong = []
    for sample, digest in enumerate(expected):
        try:
            same = sample_hash(source, sample) == digest
        except DataError:
            same = False
        wrong += [] if same else [sample]
        if progress is not None:
            progress(sample + 1, source.n_samples)
    text = f"{len(wrong)} of {len(expected)} differ, the first is {wrong[0]}" if wrong else ""
    yield Checked(f"{len(expected)} samples", not wrong, text)


def _arrays(
    source: FileSource, expected: dict[str, str], progress: Progress | None
) -> Iterator[Checked]:
    known = {v.name: v for v in source.schema.variables}
    for done, (name, digest) in enumerate(expected.items()):
        if name not in known:
            yield Checked(name, False, "the array is not there")
            continue
        try:
            same = array_hash(source, name) == digest
            yield Checked(name, same, "" if same else "the values were changed")
        except DataError as error:
            yield Checked(name, False, str(error))
        if progress is not None:
            progress(done + 1, len(expected))


def array_hash(source: Source, name: str) -> str:
    """SHA-256 of the type, the shape (n, ..) and the bytes of one variable of all samples."""
    v, n = source.schema[name], source.n_samples
    if v.role == "param":
        k = [p.name for p in source.schema.params].index(name)
        values = np.array([source.params(i)[k] for i in range(n)])
        digest = hashlib.sha256(f"{values.dtype.str}{values.shape}".encode())
        digest.update(values.tobytes())
        return digest.hexdigest()
    assert v.domain is not None
    frames = (int(source.lengths.max()),) if v.time_varying else ()
    shape = (n, *frames, *v.domain.shape, *v.components)
    digest = hashlib.sha256(f"{source.dtype(name).str}{shape}".encode())
    for sample in range(n):
        for _, values in source.blocks(name, sample):
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
