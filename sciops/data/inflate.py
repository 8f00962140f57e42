"""How large a compressed chunk becomes, known before a library inflates it into memory.

    deflate (gzip, zlib)   at most 1032 bytes of one; larger ones are inflated here and thrown away
    zstd                   what the frame declares; else its blocks of at most 128 KiB are counted
    blosc, lz4             what their first bytes say is what is allocated
    bzip2, lzma            inflated here and thrown away

HDF5 and zarr inflate what a chunk holds, not what its shape allows: ten megabytes can become ten
gigabytes.  Chunks that cannot exceed `FREE` are not looked at.
Sources: RFC 1950-1952 (deflate), RFC 8878 (zstd), C-Blosc's README_CHUNK_FORMAT.
"""

from __future__ import annotations

import bz2
import lzma
import math
import zlib
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from sciops.core.errors import DataError
from sciops.data.filters import available, codes

DEFLATE = 1  # number of that filter in HDF5
RATIO = 1032  # of deflate
FREE = 1 << 28  # bytes that any chunk may become
SLACK = 1 << 12  # bytes of checksums and headers
STEP = 1 << 20  # bytes that are inflated at a time
BLOCK = 1 << 17  # bytes of a block of zstd at most; encoders may make shorter ones
ZSTD_MAGIC = 0xFD2FB528
RUN = 1  # a block of zstd that repeats one byte

Index = tuple[int, ...]


class Guarded:
    """A chunked array of which suspicious chunks are looked at when they are first read.

    Parameters
    ----------
    array
        To be indexed with integers and slices, or ``...``.
    shape, chunks
        Of the array.
    require
        Raises a DataError where the chunk of that number along each axis is too large.
    """

    def __init__(
        self, array: Any, shape: Index, chunks: Index, require: Callable[[Index], None]
    ) -> None:
        self.array, self.shape, self.chunks = array, shape, chunks
        self._require = require
        self._seen: set[Index] = set()

    @property
    def id(self) -> Any:
        """That of the HDF5 data set."""
        return self.array.id

    def __getitem__(self, index: Any) -> Any:
        for number in self._touched(index):
            if number not in self._seen:
                self._require(number)
                self._seen.add(number)
        return self.array[index]

    def _touched(self, index: Any) -> Iterator[Index]:
        """Numbers of the chunks that an index meets."""
        entries = [] if index is ... or index == () else list(index)
        entries += [slice(None)] * (len(self.shape) - len(entries))
        ranges = []
        for entry, n, chunk in zip(entries, self.shape, self.chunks, strict=True):
            wanted = range(n)[entry] if isinstance(entry, slice) else range(int(entry), entry + 1)
            if not wanted:
                return
            low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
            ranges.append(range(low // chunk, high // chunk + 1))
        yield from product(*ranges)


def guarded_hdf5(path: str | Path, dataset: Any) -> Any:
    """The data set, guarded where a chunk of it is deflated and may become too large."""
    used = codes(dataset)
    for code in used:
        available(code)  # the plug-ins are registered where one is needed
    if used.count(DEFLATE) > 1:
        raise DataError(path, f"{dataset.name} is deflated twice, which is refused")
    if DEFLATE not in used or dataset.file.id.get_filesize() * RATIO <= FREE:
        return dataset
    chunks, suspicious = dataset.chunks, set()

    def look(chunk: Any) -> None:
        if chunk.size * RATIO > FREE:
            suspicious.add(tuple(o // c for o, c in zip(chunk.chunk_offset, chunks, strict=True)))

    dataset.id.chunk_iter(look)
    if not suspicious:
        return dataset
    most = math.prod(chunks) * dataset.dtype.itemsize

    def require(number: Index) -> None:
        if number in suspicious:
            offset = tuple(k * c for k, c in zip(number, chunks, strict=True))
            _, data = dataset.id.read_direct_chunk(offset)
            require_small(data, "zlib", most, path, dataset.name)

    return Guarded(dataset, dataset.shape, chunks, require)


def require_small(data: bytes, codec: str, most: int, path: str | Path, what: str) -> None:
    """DataError where a compressed chunk would become larger than the chunk is."""
    try:
        fits = CODECS[codec](data, max(most, FREE) + SLACK) if codec in CODECS else True
    except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(path, f"a chunk of {what} cannot be decompressed ({error})") from None
    if not fits:
        raise DataError(
            path,
            f"a chunk of {what} should hold {most} bytes, but its {len(data)} bytes decompress "
            f"to more; refused",
        )


def _deflate(data: bytes, most: int) -> bool:
    return len(data) * RATIO <= most or _streamed(lambda: zlib.decompressobj(47), data, most)


def _bzip2(data: bytes, most: int) -> bool:
    return _streamed(bz2.BZ2Decompressor, data, most)


def _lzma(data: bytes, most: int) -> bool:
    return _streamed(lambda: lzma.LZMADecompressor(memlimit=FREE), data, most)


def _streamed(make: Callable[[], Any], data: bytes, most: int) -> bool:
    """Whether the streams that follow one another give at most so many bytes together."""
    total = 0
    while data:
        one = make()
        while not one.eof:
            out = one.decompress(data, STEP)
            data = getattr(one, "unconsumed_tail", b"")  # bz2 and lzma keep it themselves
            total += len(out)
            if total > most:
                return False
            if not out and not data:
                return True  # it ends too early: the library says so
        data = one.unused_data
    return True


def _zstd(data: bytes, most: int) -> bool:
    """The frame's own word, after which the library allocates; without it, the blocks count."""
    if int.from_bytes(data[:4], "little") != ZSTD_MAGIC or len(data) < 6:
        return True  # no frame: the library says so
    flags = data[4]
    single = bool(flags & 0x20)
    begin = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    size = (int(single), 2, 4, 8)[flags >> 6]
    at = begin + size
    if size:
        return int.from_bytes(data[begin:at], "little") <= most
    blocks, last = 0, False
    while not last and at + 3 <= len(data):
        head = int.from_bytes(data[at : at + 3], "little")
        last, kind, length = bool(head & 1), head >> 1 & 3, head >> 3
        blocks += 1
        at += 3 + (1 if kind == RUN else length)
    return blocks * BLOCK <= 8 * most


def _blosc(data: bytes, most: int) -> bool:
    return int.from_bytes(data[4:8], "little") <= most


def _lz4(data: bytes, most: int) -> bool:
    return int.from_bytes(data[:4], "little") <= most


CODECS: dict[str, Callable[[bytes, int], bool]] = {
    "gzip": _deflate, "zlib": _deflate, "bz2": _bzip2, "lzma": _lzma, "zstd": _zstd,
    "blosc": _blosc, "lz4": _lz4,
}  # fmt: skip
