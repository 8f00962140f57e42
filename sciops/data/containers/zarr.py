"""zarr stores (folders of version 2 or 3), through the optional package zarr.

Codecs that run code (pickle) or that are not known are refused before anything is decoded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sciops.core.errors import DataError, MissingPackage
from sciops.data import budget
from sciops.data.layout import Stored

METADATA = ("zarr.json", ".zgroup", ".zarray")
NAMES = "_ARRAY_DIMENSIONS"
LONGEST = (1 << 63) - 1  # entries along an axis that an index can count
SMALL = 1 << 24  # bytes of a metadata file
CODECS = {
    "adler32", "astype", "bitround", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta",
    "fixedscaleoffset", "fletcher32", "gzip", "lz4", "lzma", "packbits", "quantize",
    "sharding_indexed", "shuffle", "transpose", "zfpy", "zlib", "zstd",
}  # fmt: skip


def is_container(path: Path) -> bool:
    """Whether it is a folder with the metadata of a store."""
    return path.is_dir() and any((path / name).is_file() for name in METADATA)


def arrays(path: Path) -> dict[str, Stored]:
    """The numeric arrays, by their path in the store."""
    _refuse_codecs(path)
    found: dict[str, Stored] = {}
    for key, array in _walk(path, _open(path), ""):
        if array.dtype.kind in "fiucb":
            filters = tuple(type(c).__name__ for c in array.compressors)
            shape = tuple(int(n) for n in array.shape)
            chunks = tuple(int(n) for n in array.chunks)
            if max((*shape, *chunks), default=0) > LONGEST:
                raise DataError(path, f"{key} declares the shape {shape}, chunks {chunks}")
            axes = ("?",) * len(shape)
            found[key] = Stored(
                str(path), "zarr", key, axes, shape, array.dtype.str, None, chunks, filters
            )
    return found


def labels(path: Path) -> dict[str, tuple[tuple[str, ...] | None, dict[str, Any]]]:
    """Key -> (names of the dimensions, attributes); None where the array names no dimensions.

    Version 3 has the names in its metadata, version 2 by xarray's habit in an attribute.
    """
    _refuse_codecs(path)
    found: dict[str, tuple[tuple[str, ...] | None, dict[str, Any]]] = {}
    for key, array in _walk(path, _open(path), ""):
        attributes = dict(array.attrs)
        names: Any = getattr(array.metadata, "dimension_names", None) or attributes.get(NAMES)
        whole = isinstance(names, (list, tuple)) and len(names) == len(array.shape)
        found[key] = (tuple(map(str, names)) if whole else None, attributes)
    return found


def load(stored: Stored) -> Any:
    """One array of the store."""
    import zarr

    root = _open(Path(stored.path))
    found = root if isinstance(root, zarr.Array) else root[stored.key]
    budget.require(found.chunks, found.dtype.itemsize, stored.path, f"one chunk of {stored.key}")
    return found


def _open(path: Path) -> Any:
    try:
        import zarr
    except ImportError:
        raise MissingPackage("zarr", "zarr", "reading a zarr store") from None
    try:
        return zarr.open(str(path), mode="r")
    except Exception as error:  # zarr raises many kinds on damaged metadata
        raise DataError(path, f"a damaged zarr store ({type(error).__name__}: {error})") from None


def _walk(path: Path, node: Any, prefix: str) -> list[tuple[str, Any]]:
    import zarr

    if isinstance(node, zarr.Array):
        return [(prefix or "array", node)]
    try:
        members = list(node.members())
    except Exception as error:
        raise DataError(path, f"a damaged zarr store ({type(error).__name__}: {error})") from None
    return [one for k, m in members for one in _walk(path, m, f"{prefix}/{k}".strip("/"))]


def _refuse_codecs(path: Path) -> None:
    """DataError where the metadata name a codec that is not in `CODECS`, or a link leaves."""
    root = path.resolve()
    for file in sorted(p for name in METADATA for p in path.rglob(name)):
        if root not in file.resolve().parents or file.stat().st_size > SMALL:
            raise DataError(file, "metadata that lie outside the store, or are not small")
        try:
            tree = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(file, f"not JSON ({error})") from None
        for codec in _codecs(tree):
            if codec.removeprefix("numcodecs.") not in CODECS:
                raise DataError(file, f"the codec {codec!r} is refused; known: {sorted(CODECS)}")


def _codecs(tree: Any) -> list[str]:
    """Names of all codecs in the metadata of an array."""
    if not isinstance(tree, dict):
        return []
    listed = [tree.get("compressor"), *(tree.get("filters") or []), *(tree.get("codecs") or [])]
    names = []
    for entry in listed:
        if isinstance(entry, dict):
            names.append(str(entry.get("id", entry.get("name"))))
            names += _codecs(entry.get("configuration"))
        elif entry is not None:
            names.append(str(entry))
    return names
