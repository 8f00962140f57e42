"""Fetch the files of a data card: asked for, checked, and continued where it broke off.

A file is written to ``<name>.part`` and gets its name when its hash is right.  Storage under the
final name and the check are pooch's.  pooch itself cannot continue a download that broke off (it
deletes what it has), so the bytes are fetched here: the next call asks the server for the rest
(HTTP range request), and starts anew where the server does not give parts.

A file without a known hash is refused unless `unverified` is set.  It is never continued, since two
halves of different versions could not be told apart.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sciops.core.errors import DataError
from sciops.data.card_page import size_text
from sciops.data.cards import Card, File, find

Progress = Callable[[str, int, int | None], None]  # name, bytes so far, bytes in all

CHUNK = 1 << 20
TIMEOUT = (15.0, 60.0)  # seconds to connect, and between two pieces of an answer
SPARE = 1 << 26  # bytes to leave free on the disk


@dataclass(frozen=True)
class Plan:
    """What a download would do."""

    missing: tuple[File, ...]
    present: tuple[File, ...]  # of right size; the hash is checked by `download`
    needed: int  # bytes still to come, as far as they are known
    unknown: int  # missing files whose size is not stated
    unhashed: tuple[File, ...]  # missing files without a known hash
    free: int  # bytes on the disk of the folder


def plan(card: Card, folder: str | Path, files: Sequence[str] | None = None) -> Plan:
    """What `download` would fetch into `folder`; nothing is written."""
    folder = Path(folder)
    chosen = card.select(files)
    present = tuple(f for f in chosen if _seems_there(f, folder / f.name))
    missing = tuple(f for f in chosen if f not in present)
    return Plan(
        missing,
        present,
        needed=sum(max((f.size or 0) - _size(_part(folder / f.name)), 0) for f in missing),
        unknown=sum(f.size is None for f in missing),
        unhashed=tuple(f for f in missing if f.known_hash is None),
        free=shutil.disk_usage(_existing(folder)).free,
    )


def download(
    card: Card | str,
    folder: str | Path,
    files: Sequence[str] | None = None,
    progress: Progress | None = None,
    unverified: bool = False,
) -> list[Path]:
    """Fetch files of a data set.

    Parameters
    ----------
    card
        A card, or the name of one.
    folder
        Where the files are put; made if it is not there.  Archives are left as they are.
    files
        Names, patterns or subsets (`Card.select`); all files if None.
    progress
        Called as progress(name, bytes so far, bytes in all or None).
    unverified
        Fetch files without a known hash, too.

    Returns
    -------
    list of Path
        The files asked for, those that were there already included.

    Raises
    ------
    DataError
        If the card lists no files, a hash is not known or not right, the disk is too small, a file
        of another content stands in the way, or the server cannot be reached or does not have it.
    """
    card = find(card) if isinstance(card, str) else card
    folder = Path(folder)
    todo = plan(card, folder, files)
    if not card.files:
        where = f"; {card.access}" if card.access else ""
        raise DataError(
            folder, f"the card {card.name} lists no files (source: {card.source}){where}"
        )
    if todo.unhashed and not unverified:
        raise DataError(
            folder,
            f"no hash is known for {len(todo.unhashed)} of {len(todo.missing)} files (first: "
            f"{todo.unhashed[0].name}), so what arrives cannot be checked; choose other files, or "
            f"accept this with unverified=True (--unverified)",
        )
    _require_space(folder, todo.needed)
    for file in (*todo.present, *todo.missing):
        _require_free_name(file, folder / file.name)
    for file in todo.missing:
        _fetch(file, folder / file.name, progress)
    return [folder / file.name for file in card.select(files)]


def _seems_there(file: File, path: Path) -> bool:
    return path.is_file() and file.bytes in (None, _size(path))


def _require_free_name(file: File, path: Path) -> None:
    """Refuse what stands at `path` and is not the file of the card; it is never overwritten."""
    from pooch.hashes import hash_matches

    if not path.exists():
        return
    wanted = file.known_hash or f"{file.bytes} bytes"
    same_size = path.is_file() and file.bytes in (None, _size(path))
    if not same_size or (file.known_hash and not hash_matches(path, file.known_hash)):
        raise DataError(
            path,
            f"stands there with another content (expected {wanted}); move it away or choose "
            f"another folder",
        )


def _fetch(file: File, path: Path, progress: Progress | None) -> None:
    """Fetch one file, check it, and give it its name."""
    import pooch

    def fetcher(url: str, output_file: str, _: Any) -> None:
        part = _part(path)
        if file.known_hash is None:
            part.unlink(missing_ok=True)
        _continue(file, part, progress)
        os.replace(part, output_file)

    try:
        with _quiet(pooch.get_logger()):
            pooch.retrieve(file.url, file.known_hash, path.name, path.parent, downloader=fetcher)
    except DataError:
        raise
    except ValueError as error:  # pooch's word for a hash that is not right
        raise DataError(path, str(error)) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DataError(
            path, "the disk is full; make room, and the same call goes on from here"
        ) from None


def _continue(file: File, part: Path, progress: Progress | None) -> None:
    """Bring `part` to its full length, from the byte where it stands."""
    import requests

    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _ask(file.url, _size(part)) as response:
            _require_file(response, file)
            start = _size(part) if response.status_code == 206 else 0
            total = _total(response, start)
            _require_same_length(file, total)
            _require_space(part.parent, (total or start) - start)
            with part.open("ab" if start else "wb") as out:
                for piece in response.iter_content(CHUNK):
                    out.write(piece)
                    if progress is not None:
                        progress(file.name, out.tell(), total)
    except requests.RequestException as error:
        raise DataError(file.url, _broken_off(file, _size(part), type(error).__name__)) from None
    if total is not None and _size(part) < total:
        raise DataError(file.url, _broken_off(file, _size(part), "too few bytes"))
    _require_same_length(file, _size(part))


def _broken_off(file: File, have: int, why: str) -> str:
    again = "goes on from there" if file.known_hash and have else "starts anew"
    return (
        f"no answer from {urlsplit(file.url).hostname}, or the connection broke off ({why}); "
        f"{size_text(have)} are here. Check the network (behind a proxy: HTTPS_PROXY); the same "
        f"call {again}"
    )


def _require_same_length(file: File, length: int | None) -> None:
    if file.bytes is not None and length is not None and length != file.bytes:
        raise DataError(
            file.url,
            f"expected {file.bytes} bytes, got {length}: the publisher may have changed the file, "
            f"and the card is out of date",
        )


def _ask(url: str, start: int) -> Any:
    """The answer to a request for the bytes from `start` on."""
    import requests

    headers = {"Accept-Encoding": "identity"}  # lengths are those of the file
    if start:
        headers["Range"] = f"bytes={start}-"
    response = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    offered = response.headers.get("Content-Range", "")
    wrong_part = response.status_code == 206 and not offered.startswith(f"bytes {start}-")
    if start and (response.status_code == 416 or wrong_part):
        response.close()
        return _ask(url, 0)
    return response


def _require_file(response: Any, file: File) -> None:
    """Refuse an answer that is not the file."""
    code = response.status_code
    if code in (200, 206):
        if "text/html" in response.headers.get("Content-Type", ""):
            raise DataError(
                file.url, "the server sent a web page (a login, a notice); fetch it by hand"
            )
        return
    why = {
        401: "it wants a login; fetch it by hand",
        403: "it wants a login or does not allow it; fetch it by hand",
        404: "it does not have the file; the card may be out of date",
        429: "it was asked too often; wait, and call again",
    }.get(code, "call again later" if code >= 500 else "the card may be out of date")
    raise DataError(file.url, f"the server answered {code} {response.reason}: {why}")


def _total(response: Any, start: int) -> int | None:
    """Length of the whole file, if the server says it."""
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(_existing(folder)).free
    if needed and needed + SPARE > free:
        raise DataError(
            folder,
            f"{size_text(needed)} are needed and {size_text(free)} are free on this disk; make "
            f"room, choose another folder, or name single files",
        )


def _existing(folder: Path) -> Path:
    """The nearest folder above that is there."""
    folder = folder.resolve()
    return folder if folder.is_dir() else _existing(folder.parent)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep pooch's announcements off stderr; the progress says it."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
