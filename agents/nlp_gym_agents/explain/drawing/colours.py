"""Colours of heat maps, as fixed values: browsers need not mix them, and tests can measure them."""

from __future__ import annotations

from collections.abc import Iterable

_LIGHT, _DARK = ("#ffffff", "#0b4f9e"), ("#151b23", "#a5d0ff")
"""Of a heat map: the colour of nothing and that of all."""
_FOR = ("#ffffff", "#7cb8f2"), ("#151b23", "#1f5c99")
_AGAINST = ("#ffffff", "#f2a66b"), ("#151b23", "#8a4a12")
SHADES = 5
"""Shades of a word that speaks for or against a choice."""


def heat_rules(levels: int) -> list[tuple[str, str, str, str, str]]:
    """Colours of the classes of a page: (class, paper, ink, dark paper, dark ink).

    Args:
        levels: Shades of a heat map above nothing: the classes ``h0`` to ``h{levels}``. Words that
            speak for a choice have ``f1`` to ``f{SHADES}``, words against it ``a1`` and so on.
    """
    rules = [
        (f"h{level}", *_pair(_LIGHT, level, levels), *_pair(_DARK, level, levels))
        for level in range(levels + 1)
    ]
    for sign, (light, dark) in (("f", _FOR), ("a", _AGAINST)):
        rules += [
            (f"{sign}{k}", *_pair(light, k, SHADES), *_pair(dark, k, SHADES))
            for k in range(1, SHADES + 1)
        ]
    return rules


def _pair(ends: tuple[str, str], step: int, steps: int) -> tuple[str, str]:
    paper = mixed(ends[0], ends[1], step / steps)
    ink = max(("#000000", "#ffffff"), key=lambda colour: contrast(paper, colour))
    return paper, ink


def heat_colour(share: float) -> str:
    """The colour of a heat map on white paper; `share` 0 is white, 1 the darkest."""
    return mixed(*_LIGHT, share)


def mixed(first: str, second: str, share: float) -> str:
    """The colour that lies between two (``"#rrggbb"``); `share` 0 is the first, 1 the second."""
    pairs: Iterable[tuple[int, int]] = zip(_channels(first), _channels(second), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def contrast(first: str, second: str) -> float:
    """Contrast of two colours, 1 to 21, as WCAG 2.2 defines it."""
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in _channels(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
