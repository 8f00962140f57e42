"""A figure as a file, and as the source of an image in a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from sciops.core.errors import ConfigError
from sciops.data.files import replacing
from sciops.plots.style import drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".png", ".pdf", ".svg", ".jpg")


def save(figure: Figure, path: str | Path, dpi: int = 200) -> Path:
    """Write a figure under a temporary name and rename it; replaces what is there.

    Parameters
    ----------
    path
        Ends in one of `ENDINGS`.
    dpi
        Pixels an inch of what is not drawn as lines and text.

    Raises
    ------
    ConfigError
        If the ending is another one, or the folder does not exist.
    """
    path = Path(path)
    check(path)
    with drawing(), replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=dpi)
    return path


def check(path: Path) -> None:
    """ConfigError unless a picture can be written there."""
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path}: a picture ends in {', '.join(ENDINGS)}, got {path.suffix!r}")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist; make it first")


def to_png_data_uri(figure: Figure, dpi: int = 160) -> str:
    """``data:image/png;base64,..`` for the src of an image; the same figure gives the same text."""
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
