"""Compressed chunks of zarr stores: looked at before zarr decompresses them.

A chunk is a file; with the codec ``sharding_indexed`` it is a shard, a row of compressed inner
chunks with an index (offset, bytes) as little-endian 64-bit numbers and a CRC-32C at one of its
ends.  Source: Zarr core protocol 3.0; ZEP 2, "Sharding codec".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sciops.core.errors import DataError
from sciops.data.inflate import CODECS, Guarded, require_small

EMPTY = (1 << 64) - 1  # offset of an inner chunk that is not there
ENTRY, CHECKSUM = 16, 4  # bytes
INDEX = ["bytes", "crc32c"]  # the codecs of an index that is read here


def guarded(path: Path, key: str, array: Any) -> Any:
    """The array of a store; guarded where its chunks are compressed."""
    tree = array.metadata.to_dict()
    sharding, codecs = _codecs(tree)
    if not codecs and sharding is None:
        return array
    inner, outer = tuple(array.chunks), tuple(array.shards or array.chunks)
    most = math.prod(inner) * array.dtype.itemsize
    per_shard = math.prod(a // b for a, b in zip(outer, inner, strict=True))
    folder = path if array.path == "" else path / array.path

    def require(number: tuple[int, ...]) -> None:
        file = folder / array.metadata.encode_chunk_key(number)
        if not file.is_file():
            return
        data = file.read_bytes()
        parts = [data] if sharding is None else _inner(file, data, per_shard, sharding)
        for part in parts:
            for codec in codecs:
                require_small(part, codec, most, path, key)

    return Guarded(array, tuple(array.shape), outer, require)


def _codecs(tree: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, list[str]]:
    """(settings of the sharding, names of the compressors)."""
    if "codecs" not in tree:
        compressor = tree.get("compressor")
        listed, sharding = [] if compressor is None else [compressor["id"]], None
    else:
        entries = list(tree["codecs"])
        found = [e["configuration"] for e in entries if e["name"] == "sharding_indexed"]
        sharding = found[0] if found else None
        listed = [e["name"] for e in (sharding["codecs"] if sharding else entries)]
    names = [str(name).removeprefix("numcodecs.") for name in listed]
    return sharding, [name for name in names if name in CODECS]


def _inner(file: Path, data: bytes, n: int, sharding: Mapping[str, Any]) -> Iterator[bytes]:
    """The compressed inner chunks of a shard."""
    codecs: Sequence[Mapping[str, Any]] = sharding["index_codecs"]
    if [c["name"] for c in codecs] != INDEX:
        raise DataError(file, f"the index of a shard must have the codecs {INDEX}")
    size = n * ENTRY
    begin = 0 if sharding.get("index_location") == "start" else len(data) - size - CHECKSUM
    if begin < 0 or begin + size > len(data):
        raise DataError(file, f"a shard of {len(data)} bytes is too short for its index of {n}")
    for offset, length in struct.iter_unpack("<QQ", data[begin : begin + size]):
        if offset != EMPTY:
            yield data[offset : offset + length]
