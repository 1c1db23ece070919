"""Charts as SVG text: curves over clicks and histograms. Numbers in, text out."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

# Okabe and Ito's colours, told apart by most eyes; one a model, in this order
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_WIDTH, _HEIGHT = 480, 300  # shown at 340 px and more: letters of 16 are legible on a phone
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 32, 48  # margins
BINS = 20

Curve = Sequence[tuple[float, float]]


def curves(title: str, lines: Mapping[str, Curve], bands: Mapping[str, Curve],
           marks: Mapping[str, float], colours: Mapping[str, str], most: int) -> str:
    """Return mIoU over clicks: a line a model with its 95 % band, a dashed level a baseline.

    Args:
      title: of the chart.
      lines: (click, mIoU in points of 100) of each model.
      bands: (low, high) at each point of the same lines.
      marks: the one figure of each baseline.
      colours: of every name.
      most: the last click.
    """
    def x(click: float) -> float:
        return _LEFT + (click - 1) / max(1, most - 1) * (_WIDTH - _LEFT - _RIGHT)

    parts = _axes(title, "mIoU", [(y, f"{y}") for y in range(0, 101, 20)], 100)
    ticks = sorted({1, most, *range(5, most, 5)})
    parts += [_text(x(k), _HEIGHT - 28, str(k), "middle") for k in ticks]
    parts.append(_text((_WIDTH + _LEFT) / 2, _HEIGHT - 6, "clicks", "middle"))
    for name, level in marks.items():
        parts.append(f'<line x1="{x(1):.1f}" x2="{_WIDTH - _RIGHT}" y1="{_y(level, 100):.1f}" '
                     f'y2="{_y(level, 100):.1f}" stroke="{colours[name]}" stroke-dasharray="5 5"/>')
    for name, points in lines.items():
        spots = [(x(k), _y(value, 100)) for k, value in points]
        edge = [(x(k), _y(low, 100)) for (k, _), (low, _) in zip(points, bands[name])]
        edge += [(x(k), _y(high, 100)) for (k, _), (_, high) in reversed(
            list(zip(points, bands[name])))]
        parts.append(f'<polygon points="{_points(edge)}" fill="{colours[name]}" opacity="0.15"/>')
        parts.append(f'<polyline points="{_points(spots)}" fill="none" stroke="{colours[name]}" '
                     'stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colours[name]}"/>'
                  for a, b in spots]
    return _svg(title, parts)


def histogram(title: str, values: Mapping[str, np.ndarray], colours: Mapping[str, str]) -> str:
    """Return how many objects have which IoU, bars of all models side by side.

    Args:
      title: of the chart.
      values: one IoU in [0, 1] an object, by model; at least one finite one.
      colours: of every name.
    """
    counts = {name: np.histogram(v[np.isfinite(v)], BINS, (0, 1))[0] for name, v in values.items()}
    top = max(1, *(int(count.max()) for count in counts.values()))
    step = next(s * 10**e for e in range(9) for s in (1, 2, 5) if s * 10**e * 5 >= top)
    parts = _axes(title, "objects", [(y, f"{y}") for y in range(0, top + 1, step)], top)
    width = (_WIDTH - _LEFT - _RIGHT) / BINS
    bar = 0.86 * width / len(counts)
    for order, (name, count) in enumerate(counts.items()):
        for k, n in enumerate(count):
            left = _LEFT + k * width + 0.07 * width + order * bar
            parts.append(f'<rect x="{left:.1f}" y="{_y(n, top):.1f}" width="{bar:.1f}" '
                         f'height="{_y(0, top) - _y(n, top):.1f}" fill="{colours[name]}"/>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_text(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - 28,
                           f"{100 * share:.0f}", "middle"))
    parts.append(_text((_WIDTH + _LEFT) / 2, _HEIGHT - 6, "IoU", "middle"))
    return _svg(title, parts)


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)


def _axes(title: str, unit: str, ticks: Sequence[tuple[float, str]], top: float) -> list[str]:
    parts = [_text(0, 16, unit, "start")]
    for value, text in ticks:
        y = _y(value, top)
        parts += [f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                  'stroke="#ddd"/>', _text(_LEFT - 6, y + 5, text, "end")]
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="16" fill="#444">'
            f"{escape(text)}</text>")


def _points(spots: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in spots)


def _svg(title: str, parts: Sequence[str]) -> str:
    return (f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
            + "".join(parts) + "</svg>")
