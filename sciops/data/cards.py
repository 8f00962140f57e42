"""Data cards: what a data set is, where it comes from, and the files that it consists of.

A card is the folder ``datasets/<name>/`` with

    card.yaml    the settings of `Card`; what nobody has stated is left out or null, never guessed
    files.csv    the list of files, where it is too long for card.yaml (columns: fields of `File`)
    README.md    the same for readers, written by `sciops.data.card_page`

A known trap stands in `notes` with the place it is known from.  Nothing here touches the network;
`sciops.data.download` does, where it is asked to.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from sciops.core.config import Settings, read_yaml, validate
from sciops.core.errors import ConfigError, NotFound, did_you_mean

DIGITS = {"md5": 32, "sha256": 64}  # hexadecimal digits of a hash

Text = Annotated[str, Field(min_length=1)]
Count = PositiveInt | Text  # a number, or words where it differs from file to file


class Quantity(Settings):
    """One array of the files."""

    name: Text  # as it is stored
    meaning: Text
    unit: Text | None = None  # None: not stated
    axes: tuple[Text, ...]  # in the order of storage


class Paper(Settings):
    """What to cite."""

    authors: Text
    title: Text
    year: PositiveInt | None = None
    arxiv: Text | None = None
    doi: Text | None = None

    @field_validator("arxiv", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        if isinstance(value, float):
            raise ValueError("put the arXiv number in quotes: YAML reads 2210.07180 as 2210.0718")
        return value


class Note(Settings):
    """A trap or a gap, and where it is known from."""

    text: Text
    source: Text


class File(Settings):
    """One file to download; what the publisher does not state is None."""

    name: Text  # where it is put, below the folder of the data set
    url: Text
    bytes: PositiveInt | None = None
    rounded_bytes: PositiveInt | None = None  # as a page shows the size ("4.86 GB"); never checked
    md5: Text | None = None
    sha256: Text | None = None
    subset: Text | None = None

    @field_validator("name")
    @classmethod
    def _stays_inside(cls, name: str) -> str:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or str(path) != name:
            raise ValueError("expected a path below the folder of the data set, with '/' and no ..")
        return name

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if not re.match(r"https?://[^/\s]+/\S+$", url):
            raise ValueError("expected an address that begins with https://")
        return url

    @field_validator(*DIGITS)
    @classmethod
    def _is_hash(cls, value: str | None, info: Any) -> str | None:
        digits = DIGITS[info.field_name]
        if value is not None and not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
            raise ValueError(f"expected {digits} hexadecimal digits in lower case")
        return value

    @property
    def known_hash(self) -> str | None:
        """``sha256:...`` or ``md5:...``, the stronger one that is known."""
        if self.sha256:
            return f"sha256:{self.sha256}"
        return f"md5:{self.md5}" if self.md5 else None

    @property
    def size(self) -> int | None:
        """Bytes, exact where known and else as a page shows them."""
        return self.bytes or self.rounded_bytes


class Card(Settings):
    """A data set.  Numbers and names are those of the publisher; None is not stated."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]  # that of the folder
    title: Text
    equation: Text  # LaTeX without dollar signs
    quantities: tuple[Quantity, ...]
    domain: Text | None = None
    boundary: Text | None = None
    resolution: Text | None = None
    trajectories: Count | None = None
    steps: Count | None = None  # stored times of a trajectory
    time_step: Text | None = None
    parameters: dict[str, Text] = {}
    split: Text | None = None
    format: Text  # name of a format of sciops.data.formats
    licence: Text | None = None  # of the data
    citation: tuple[Paper, ...] = ()
    source: Text | None = None  # page of the publisher
    gigabytes: PositiveFloat | None = None  # 1e9 bytes, all files, as the publisher states it
    access: Text | None = None  # how to get it where `files` cannot say it
    files: tuple[File, ...] = ()
    notes: tuple[Note, ...] = ()

    @model_validator(mode="after")
    def _has_no_name_twice(self) -> Self:
        seen: set[str] = set()
        for file in self.files:
            if file.name in seen:
                raise ValueError(f"the file {file.name!r} stands twice in the list")
            seen.add(file.name)
        return self

    @property
    def total_bytes(self) -> int | None:
        """Sum over the files where each has a size, else what the publisher states."""
        sizes = [file.size for file in self.files]
        if sizes and None not in sizes:
            return sum(size for size in sizes if size)
        return round(self.gigabytes * 1e9) if self.gigabytes else None

    def select(self, patterns: Sequence[str] | None = None) -> tuple[File, ...]:
        """The files whose name, last part of the name or subset matches one of `patterns`.

        Raises
        ------
        NotFound
            If a pattern (``*`` and ``?`` as in a shell) matches no file.
        """
        if patterns is None:
            return self.files
        chosen: set[str] = set()
        for pattern in patterns:
            found = {file.name for file in self.files if _matches(file, pattern)}
            if not found:
                known = [PurePosixPath(file.name).name for file in self.files]
                raise NotFound(
                    f"{self.name} has no file {pattern!r}; see: sciops data cards {self.name}."
                    f"{did_you_mean(pattern, known)}"
                )
            chosen |= found
        return tuple(file for file in self.files if file.name in chosen)


def _matches(file: File, pattern: str) -> bool:
    candidates = (file.name, PurePosixPath(file.name).name, file.subset or "")
    return any(fnmatchcase(text, pattern) for text in candidates)


def definitions() -> dict[str, Path]:
    """Cards that come with the package: name -> folder."""
    inside = Path(__file__).parent.parent / "_definitions" / "datasets"
    checkout = Path(__file__).parents[2] / "datasets"
    root = inside if inside.is_dir() else checkout
    return {path.parent.name: path.parent for path in sorted(root.glob("*/card.yaml"))}


def find(name: str) -> Card:
    """The card of that name among those that come with the package, or in the folder `name`.

    Raises
    ------
    NotFound
        If there is no such card.
    ConfigError
        If there is, and it is not valid.
    """
    known = definitions()
    if name in known:
        return read(known[name])
    if (Path(name) / "card.yaml").is_file():
        return read(Path(name))
    raise NotFound(f"no data card {name!r}; see: sciops data cards.{did_you_mean(name, known)}")


def read(folder: Path) -> Card:
    """The card in `folder`, with the files of files.csv where there is one."""
    path, listed = folder / "card.yaml", folder / "files.csv"
    tree = read_yaml(path)
    if listed.is_file():
        if "files" in tree:
            raise ConfigError(f"{path}: files: they stand in {listed.name} already; keep one list")
        tree["files"] = list(_rows(listed))
    card = validate(Card, tree, str(path))
    if card.name != folder.resolve().name:
        raise ConfigError(f"{path}: name: expected {folder.resolve().name!r}, got {card.name!r}")
    return card


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of files.csv as trees of `File`; an empty cell is not stated."""
    numbers = {"bytes", "rounded_bytes"}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        unknown = set(rows.fieldnames or ()) - set(File.model_fields)
        if unknown or not {"name", "url"} <= set(rows.fieldnames or ()):
            raise ConfigError(
                f"{path}: expected columns among {', '.join(File.model_fields)}, with name and "
                f"url; got {', '.join(rows.fieldnames or ['none'])}"
            )
        for row in rows:
            if None in row or None in row.values():
                raise ConfigError(f"{path}, line {rows.line_num}: too many or too few cells")
            yield {
                key: int(cell) if key in numbers and cell.isdigit() else cell
                for key, cell in row.items()
                if cell
            }
