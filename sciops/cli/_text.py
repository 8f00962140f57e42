"""What users type as the values of options, as numbers, slices, pairs and shapes.

Each function says in its error what was expected, by an example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sciops.data.mask import Shape
    from sciops.data.repair import Times

T = TypeVar("T")


def _parsed(text: str, read: Callable[[str], T], option: str, example: str) -> T:
    """read(text), or an error that shows how it should be."""
    from sciops.core.errors import ConfigError

    try:
        return read(text)
    except (ValueError, IndexError):
        raise ConfigError(f"{option}: expected {example}, got {text!r}") from None


def number(text: str, option: str) -> float:
    return _parsed(text, float, option, "drop, error or a number")


def piece(text: str, option: str) -> slice:
    def read(text: str) -> slice:
        parts = [int(p) if p.strip() else None for p in text.split(":")]
        if not 2 <= len(parts) <= 3:
            raise ValueError
        return slice(*parts)

    return _parsed(text, read, option, "first:end or first:end:step, as in 0:100:5")


def samples_of(text: str | None, n: int) -> list[int] | None:
    """0:100 or 0,3,7 as numbers; None for all."""
    from sciops.core.errors import ConfigError

    if text is None:
        return None
    if ":" in text:
        chosen = list(range(n)[piece(text, "--samples")])
    else:
        numbers = _parsed(
            text, lambda t: [int(k) for k in t.split(",")], "--samples", "0:100 or 0,3,7"
        )
        chosen = [k + n if k < 0 else k for k in numbers]
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= k < n for k in chosen):
        raise ConfigError(f"--samples {text}: expected different samples of 0 .. {n - 1}")
    return chosen


def per_axis(text: str | None, axes: Sequence[str], option: str) -> dict[str, int]:
    """2 (all axes), 64,32 (in their order) or x=2,y=4."""
    from sciops.core.errors import ConfigError

    if text is None:
        return {}
    if not axes:
        raise ConfigError(f"{option}: the fields lie on points without order, not on a grid")
    example = "one number, one for each axis, or x=2,y=4"
    if "=" in text:
        pairs = [item.partition("=")[::2] for item in text.split(",")]
        return {k.strip(): _parsed(v, int, option, example) for k, v in pairs}
    numbers = _parsed(text, lambda t: [int(k) for k in t.split(",")], option, example)
    if len(numbers) not in (1, len(axes)):
        raise ConfigError(
            f"{option} {text}: the grid has the axes {', '.join(axes)}; give one number, "
            f"{len(axes)}, or say which as in {axes[0]}={numbers[0]}"
        )
    return dict(zip(axes, numbers * len(axes) if len(numbers) == 1 else numbers, strict=False))


def crop_of(text: str) -> tuple[str, tuple[float | None, float | None]]:
    def read(text: str) -> tuple[str, tuple[float | None, float | None]]:
        axis, ends = text.split("=")
        low, high = (float(e) if e.strip() else None for e in ends.split(":"))
        return axis.strip(), (low, high)

    return _parsed(text, read, "--crop", "axis=from:to, as in x=0.2:0.8 or x=:0.5")


def pairs(texts: Sequence[str] | None, option: str, example: str) -> dict[str, str]:
    def read(text: str) -> tuple[str, str]:
        name, value = text.split("=", 1)
        if not name.strip() or not value.strip():
            raise ValueError
        return name.strip(), value.strip()

    return dict(_parsed(text, read, option, f"NAME=VALUE, as in {example}") for text in texts or [])


def times_of(times: str | None, dt: float | None, start: float | None) -> Times | None:
    from sciops.core.errors import ConfigError
    from sciops.data.repair import Times

    if times is None and dt is None and start is None:
        return None
    if (times is None) == (dt is None):
        raise ConfigError("give either --dt (with or without --start) or --times")
    if times is None:
        return Times((), dt, start)
    given = _parsed(times, lambda t: tuple(float(k) for k in t.split(",")), "--times", "0,0.5,2")
    return Times(given)


def new_parameters(
    texts: Sequence[str],
) -> tuple[Mapping[str, Sequence[float]], Mapping[str, str]]:
    """nu[m^2/s]=0.1,0.2 as values and units."""
    values, units = {}, {}
    for text in texts:
        name, numbers = next(iter(pairs([text], "--param", "nu=0.1,0.2").items()))
        name, bracket, unit = name.partition("[")
        if bracket:
            units[name] = unit.removesuffix("]")
        values[name] = _parsed(
            numbers, lambda t: [float(k) for k in t.split(",")], "--param", "nu=0.1,0.2"
        )
    return values, units


def shapes_of(
    circles: Sequence[str], rectangles: Sequence[str], polygons: Sequence[str]
) -> list[Shape]:
    from sciops.core.errors import ConfigError
    from sciops.data.mask import Circle, Polygon, rectangle

    def numbers(text: str, option: str, example: str, count: int) -> list[float]:
        def read(text: str) -> list[float]:
            found = [float(k) for k in text.split(",")]
            if (count and len(found) != count) or len(found) % 2 and not count:
                raise ValueError
            return found

        return _parsed(text, read, option, example)

    found: list[Shape] = [Circle(*numbers(t, "--circle", "x,y,radius", 3)) for t in circles]
    found += [rectangle(*numbers(t, "--rectangle", "x0,y0,x1,y1", 4)) for t in rectangles]
    for text in polygons:
        c = numbers(text, "--polygon", "x0,y0,x1,y1,x2,y2,..", 0)
        found.append(Polygon(tuple(zip(c[::2], c[1::2], strict=True))))
    if not found:
        raise ConfigError("no shape: give --circle, --rectangle or --polygon")
    return found
