"""Ways in which a file can be wrong: bytes, lengths, texts, HDF5 objects, members of archives.

    MUTATIONS[name](path, random)      changes the file or folder in place

Every one takes any file; what does not fit its kind falls back on bytes.  A folder is damaged in
one of its files, or in what it holds.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

CONTENTS = "sciops_contents"
WORDS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, -1)
TEXTS = (
    b"-1", b"0", b"1e999", b"NaN", b"null", b'"text"', b"[]", b"{}", b"99999999999999999999",
    b"1000000", b"true", b"-0.5", b"[[1], 2]", b'"\\ud800"', b"2.5",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    -1, 0, 3, 1 << 40, 1 << 63, 1e308, float("nan"), float("inf"), "text", "", "x", None, True,
    [], {}, [1, 2, 3], [[]], ["x", "y"], "\x1b[2J", "\ud800", "a" * 5000,
)  # fmt: skip


def bits(path: Path, random: Random) -> None:
    """One to eight bits are turned."""
    data = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 8)):
        if data:
            data[_place(data, random)] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def word(path: Path, random: Random) -> None:
    """A number of 1, 2, 4 or 8 bytes is replaced by one at the ends of its range."""
    data = bytearray(path.read_bytes())
    n = random.choice((1, 2, 4, 8))
    value = random.choice(WORDS) % (1 << 8 * n)
    at = _place(data, random) // n * n if data else 0
    data[at : at + n] = value.to_bytes(n, random.choice(("little", "big")))
    path.write_bytes(data)


def cut(path: Path, random: Random) -> None:
    """The end is missing."""
    data = path.read_bytes()
    path.write_bytes(data[: random.randrange(len(data) + 1)])


def blank(path: Path, random: Random) -> None:
    """A run of bytes is zero, or all ones."""
    data = bytearray(path.read_bytes())
    at, n = _place(data, random) if data else 0, random.choice((4, 16, 64, 512))
    data[at : at + n] = random.choice((b"\0", b"\xff")) * len(data[at : at + n])
    path.write_bytes(data)


def shuffled(path: Path, random: Random) -> None:
    """A run of bytes is taken out, put in again elsewhere, or doubled."""
    data = path.read_bytes()
    n = random.choice((1, 3, 8, 64, 512))
    a, b = (random.randrange(len(data) + 1) for _ in range(2))
    run, rest = data[a : a + n], data[:a] + data[a + n :]
    kind = random.randrange(3)
    path.write_bytes(
        rest if kind == 0 else rest[:b] + run + rest[b:] if kind == 1 else data[:b] + run + data[b:]
    )


def texts(path: Path, random: Random) -> None:
    """A number or a name in text is something else."""
    data = path.read_bytes()
    found = list(re.finditer(rb'-?\d+\.?\d*(?:[eE][-+]?\d+)?|"[^"\\]{0,64}"|[A-Za-z_]{3,}', data))
    if not found:
        return bits(path, random)
    for match in random.sample(found, min(len(found), random.choice((1, 1, 2)))):
        new = random.choice(TEXTS)
        if random.random() < 0.5:  # lengths stay as they are
            new = new.ljust(len(match[0]))[: len(match[0])]
        data = data[: match.start()] + new + data[match.end() :]
    path.write_bytes(data)


def contents(path: Path, random: Random) -> None:
    """One entry of the JSON that a file carries, or is, has another value."""
    if h5py.is_hdf5(path):
        with h5py.File(path, "r+") as file:
            if CONTENTS not in file:
                return _objects(file, random)
            text = _changed(bytes(file[CONTENTS][()]), random)
            del file[CONTENTS]
            file[CONTENTS] = np.frombuffer(text, np.uint8)
    elif zipfile.is_zipfile(path):
        member(path, random)
    else:
        path.write_bytes(_changed(path.read_bytes(), random))


def objects(path: Path, random: Random) -> None:
    """HDF5 by its own calls: another type, shape, attribute, link."""
    try:
        with h5py.File(path, "r+") as file:
            for _ in range(random.choice((1, 1, 2))):
                _objects(file, random)
    except OSError:
        texts(path, random)


def member(path: Path, random: Random) -> None:
    """A member of a zip archive is damaged; its checksum is right."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [(i, archive.read(i)) for i in archive.infolist()]
    except (zipfile.BadZipFile, OSError):
        return word(path, random)
    number = random.randrange(len(members))
    info, data = members[number]
    text = _text_of(data)
    change = random.randrange(5)
    if CONTENTS.encode() in info.filename.encode() and change:
        new = _changed(text, random)
        data = _header((len(new),), "|u1") + new
    elif change == 0:
        del members[number]
    elif change == 1:
        info.filename = random.choice(("../x.npy", "/etc/x.npy", "x" * 300, "\x1b.npy", ".npy"))
    else:
        scratch = path.with_name(f".{path.name}.member")
        scratch.write_bytes(data)
        random.choice((bits, word, texts, cut))(scratch, random)
        data = scratch.read_bytes()
        scratch.unlink()
    if change:
        members[number] = (info, data)
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in members:
            archive.writestr(info.filename, data, info.compress_type)


def folder(path: Path, random: Random) -> None:
    """A file of a folder is gone, empty, a folder, a copy of another, or a link."""
    files = sorted(p for p in path.rglob("*") if p.is_file())
    one, other = (random.choice(files) for _ in range(2))
    data = other.read_bytes()
    one.unlink()
    change = random.randrange(6)
    if change == 1:
        one.touch()
    elif change == 2:
        one.mkdir()
    elif change == 3:
        one.write_bytes(data)
    elif change == 4:
        one.symlink_to(one.name)
    elif change == 5:
        one.symlink_to("/etc/passwd")


def junk(path: Path, random: Random) -> None:
    """Something else altogether, behind the first bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: random.choice((0, 4, 16, 128, 600))] + random.randbytes(600))


BYTES = (bits, word, cut, blank, shuffled, texts, junk)
RAW = {f.__name__ for f in BYTES}  # to come last: HDF5 may hang where it changes a damaged file
OF_FILES = {f.__name__: f for f in (*BYTES, contents, objects, member)}


def mutate(path: Path, name: str, random: Random) -> None:
    """Damage a file, or one file of a folder."""
    if path.is_dir():
        if name == "member":
            return folder(path, random)
        files = sorted(p for p in path.rglob("*") if p.is_file())
        path = random.choice(files)
    OF_FILES[name](path, random)


def suited(path: Path) -> list[str]:
    """Names of the mutations that mean something to a file; those of its structure twice."""
    names = [f.__name__ for f in BYTES]
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    if any(h5py.is_hdf5(p) for p in files):
        names += ["objects"] * 5 + ["contents"]
    if path.is_dir() or zipfile.is_zipfile(path):
        names += ["member"] * 3
    if any(p.suffix == ".json" or p.name.startswith(".z") for p in files):
        names += ["contents"] * 3
    return names


def _place(data: bytes | bytearray, random: Random) -> int:
    """A byte; those at the beginning, where structure is described, more often."""
    return random.randrange(min(len(data), random.choice((64, 512, 1 << 30))))


def _text_of(data: bytes) -> bytes:
    return data[data.find(b"{", 128) :] if data.startswith(b"\x93NUMPY") else data


def _header(shape: tuple[int, ...], kind: str) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def _changed(data: bytes, random: Random) -> bytes:
    """JSON with one value replaced, one key gone, or one list longer."""
    try:
        tree = json.loads(data)
    except ValueError:
        return data[: len(data) // 2]
    places: list[tuple[Any, Any]] = []

    def look(node: Any) -> None:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            places.append((node, key))
            if isinstance(value, (dict, list)):
                look(value)

    if not isinstance(tree, (dict, list)):
        return b"[]"
    look(tree)
    if places:
        node, key = random.choice(places)
        change = random.randrange(8)
        if change == 0:
            del node[key]
        elif change == 1 and isinstance(node[key], list):
            node[key] = node[key] * 2
        elif change == 2 and isinstance(node[key], int):
            node[key] += random.choice((-1, 1, 7))
        else:
            node[key] = random.choice(VALUES)
    return json.dumps(tree).encode()


def _objects(file: h5py.File, random: Random) -> None:
    """One change of an HDF5 file."""
    found: list[str] = []
    file.visit(found.append)
    if not found:
        return
    name = random.choice(found)
    change = random.randrange(4)
    item = file[name]
    if change == 0:
        _attribute(random.choice((item, file, item.parent)), random)
    elif change == 1:
        _link(file, name, random)
    elif isinstance(item, h5py.Dataset):
        _dataset(file, name, random)
    else:
        del file[name]
        file[name] = np.arange(3)


def _attribute(item: Any, random: Random) -> None:
    names = list(item.attrs)
    name = random.choice(names) if names else random.choice(("CLASS", "config", "dim_varying"))
    made: Any = random.choice(
        (
            *VALUES, np.zeros(0), np.arange(5000.0), h5py.Empty("f8"), np.bytes_(b"\xff\xfe\x00a"),
            np.array([1 + 2j]), np.array([(1, 2.0)], "i4,f8"), np.bool_(True), np.zeros((2, 2)),
            item.file.ref, np.float64(-1), np.array([b"x", b"y"]), np.uint64((1 << 64) - 1),
        )
    )  # fmt: skip
    if name in item.attrs:
        del item.attrs[name]
    if random.random() < 0.8:
        try:
            item.attrs[name] = made
        except (TypeError, ValueError, OSError, AttributeError):  # None, {}, broken characters
            item.attrs[name] = h5py.Empty("S4")


def _link(file: h5py.File, name: str, random: Random) -> None:
    change, parent = random.randrange(8), file[name].parent
    if change == 0:  # a cycle of groups
        parent[f"{name.rsplit('/', 1)[-1]}_again"] = parent
        return
    if change == 1:
        new = random.choice((b"extra", b"x", b"time", b"data", b"0000", b"\xff\xfe", b"\x1b[2J"))
        with contextlib.suppress(OSError, ValueError):  # it is there, or h5py cannot decode it
            file.create_dataset(new, data=np.arange(4.0))
        return
    kept = file[name]
    del file[name]
    if change == 2:
        file[name] = h5py.SoftLink("/nowhere")
    elif change == 3:
        file[name] = h5py.SoftLink(f"/{name}")  # to itself
    elif change == 4:
        file[name] = h5py.ExternalLink("/etc/passwd", "/")
    elif change == 5:
        file.create_group(name)
    elif change == 6:
        file[name] = np.dtype("f8")  # a named type
    else:
        file[f"{name}_moved"] = kept


def _dataset(file: h5py.File, name: str, random: Random) -> None:
    """Another type, shape, or values that are no numbers."""
    old = file[name]
    shape, kind = old.shape or (), old.dtype
    attrs = {}
    for k in old.attrs:
        try:
            attrs[k] = old.attrs[k]
        except (OSError, KeyError, TypeError):
            continue
    values = old[()] if old.shape is not None and old.size < 1 << 16 else None
    del file[name]
    change = random.randrange(14)
    options: dict[str, Any] = {"shape": shape, "dtype": kind}
    number = kind if kind.kind in "fiu" else np.dtype("f4")
    if change == 0:
        options["dtype"] = random.choice(
            (
                "S5",
                h5py.string_dtype(),
                "i4,f8",
                h5py.ref_dtype,
                h5py.vlen_dtype("f4"),
                h5py.enum_dtype({"a": 1}),
                "V3",
            )
        )
    elif change == 1:
        options["dtype"] = random.choice(("f2", "u8", "c8", "?", ">f8", "i1", "f8", "c16"))
    elif change == 2:
        options["shape"] = ()
    elif change == 3:
        options["shape"] = shape[::-1]
    elif change == 4:
        options["shape"] = (*shape, 1)
    elif change == 5:
        options["shape"] = tuple(
            0 if k == random.randrange(len(shape) or 1) else n for k, n in enumerate(shape)
        )
    elif change == 6:
        options |= {"shape": tuple(n + 1 for n in shape)}
    elif change == 7:  # terabytes in a kilobyte
        large = random.choice((1 << 16, 1 << 31, 1 << 40))
        some = random.randrange(len(shape) or 1)
        sizes = tuple(large if k == some else n for k, n in enumerate(shape)) or (large,)
        chunks = tuple(min(n, 64) for n in sizes)
        options |= {"shape": sizes, "dtype": number, "chunks": chunks}
    elif change == 8:
        options |= {"dtype": number, "data": np.full(shape, np.nan if number.kind == "f" else 0)}
    elif change == 9 and number.kind == "f":
        options |= {"dtype": number, "data": np.full(shape, np.inf)}
    elif change == 10:
        options = {"data": h5py.Empty(number)}
    elif change == 11 and shape and values is not None:
        options["data"] = np.ascontiguousarray(np.flip(values))
    elif change == 12 and shape:
        options |= {"shape": shape[1:]}
    elif change == 13 and shape:  # one chunk, larger than what is there
        options |= {"dtype": number, "chunks": tuple(max(n, 1) for n in shape),
                    "maxshape": (None,) * len(shape), "compression": "gzip"}  # fmt: skip
    try:
        made = file.create_dataset(name, **options)
    except (TypeError, ValueError, OSError, MemoryError):
        made = file.create_dataset(name, data=0.0)
    for k, v in attrs.items():
        made.attrs[k] = v


def copied(source: Path, target: Path) -> Path:
    """A copy of a seed, the path to open in it; files beside it that belong to it come along."""
    shutil.copytree(source.parent, target, symlinks=True)
    return target / source.name
