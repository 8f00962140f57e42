"""The page of a data card in Markdown: ``datasets/<name>/README.md`` is its text, word for word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sciops.data.cards import Card, File, Paper

SHOWN = 15  # longer lists of files are counted, not printed


def page(card: Card) -> str:
    """The whole page."""
    parts = [f"# {card.title}", _equation(card), _facts(card), _quantities(card), _parameters(card)]
    parts += [_files(card), _notes(card), _citation(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def size_text(size: int | None, exact: bool = True) -> str:
    """``93 GB``; a leading ~ where the number is rounded by the publisher."""
    if size is None:
        return "not stated"
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{'' if exact else '~'}{value:.3g} {unit}"


def card_size(card: Card) -> str:
    """Size of all files of a card."""
    exact = bool(card.files) and all(file.bytes for file in card.files)
    return size_text(card.total_bytes, exact)


def _equation(card: Card) -> str:
    return f"$$\n{card.equation.strip()}\n$$"


def _facts(card: Card) -> str:
    rows = [
        ("domain", card.domain),
        ("boundary", card.boundary),
        ("resolution", card.resolution),
        ("trajectories", card.trajectories),
        ("stored times", card.steps),
        ("time step", card.time_step),
        ("split", card.split),
        ("format", f"`{card.format}`"),
        ("size", card_size(card)),
        ("licence", card.licence),
        ("source", f"<{card.source}>" if card.source else None),
    ]
    return _table(("", ""), ((name, _cell(value)) for name, value in rows))


def _cell(value: object) -> str:
    return "not stated" if value is None else str(value).replace("|", "\\|")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _quantities(card: Card) -> str:
    rows = [
        (
            f"`{q.name}`",
            _cell(q.meaning),
            _cell(q.unit),
            f"({', '.join(q.axes)})" if q.axes else "-",
        )
        for q in card.quantities
    ]
    return "## What is stored\n\n" + _table(("name", "meaning", "unit", "axes, as stored"), rows)


def _parameters(card: Card) -> str:
    if not card.parameters:
        return ""
    rows = [(f"`{name}`", _cell(values)) for name, values in card.parameters.items()]
    return "## Parameters\n\n" + _table(("name", "values"), rows)


def _files(card: Card) -> str:
    parts = ["## Files"]
    if card.access:
        parts.append(card.access.strip())
    if card.files:
        parts.append(
            f"`sciops data download {card.name} --dry-run` shows what would be downloaded; "
            f"without `--dry-run` it asks, and downloads."
        )
        parts.append(_file_table(card.files) if len(card.files) <= SHOWN else _counted(card.files))
    return "\n\n".join(parts) if len(parts) > 1 else ""


def _file_table(files: Sequence[File]) -> str:
    rows = [
        (
            f"[`{file.name}`]({file.url})",
            file.subset or "",
            size_text(file.size, exact=file.bytes is not None),
            f"`{file.known_hash}`" if file.known_hash else "none known",
        )
        for file in files
    ]
    return _table(("file", "subset", "size", "hash"), rows)


def _counted(files: Sequence[File]) -> str:
    subsets = sorted({file.subset or "" for file in files})
    lines = [f"{len(files)} files, listed in `files.csv`:", ""]
    for subset in subsets:
        group = [file for file in files if (file.subset or "") == subset]
        hashed = sum(file.known_hash is not None for file in group)
        lines.append(
            f"- {subset or 'all'}: {len(group)} files, {hashed} with a known hash, "
            f"such as `{group[0].name}`"
        )
    return "\n".join(lines)


def _notes(card: Card) -> str:
    if not card.notes:
        return ""
    lines = [f"- {note.text.strip()} *({note.source.strip()})*" for note in card.notes]
    return "## Traps and gaps\n\n" + "\n".join(lines)


def _citation(card: Card) -> str:
    if not card.citation:
        return ""
    return "## Citation\n\n" + "\n".join(f"- {_reference(paper)}" for paper in card.citation)


def _reference(paper: Paper) -> str:
    places = [
        f"[arXiv {paper.arxiv}](https://arxiv.org/abs/{paper.arxiv})" if paper.arxiv else "",
        f"[doi {paper.doi}](https://doi.org/{paper.doi})" if paper.doi else "",
    ]
    year = [str(paper.year)] if paper.year else []
    return ", ".join([f"{paper.authors}: {paper.title}", *year, *filter(None, places)]) + "."
