"""Curves on logarithmic axes, drawn into a PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, EDGE, LEGEND = 1_080, 420, 80, 390  # pixels
COLOURS = (
    "#0b6e4f",
    "#5fb49c",
    "#1d4e89",
    "#d1495b",
    "#e07a5f",
    "#8d5b4c",
    "#7b2cbf",
    "#c77dff",
    "#b5838d",
    "#222222",
)


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one name, each with a positive x and y."""

    name: str
    points: Sequence[tuple[float, float]]


def draw(path: Path, panels: Mapping[str, Sequence[Curve]]) -> None:
    """Draw one panel below another: failures served by the share of requests that fails."""
    image = Image.new("RGB", (WIDTH, HEIGHT * len(panels)), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(12)
    for number, (title, curves) in enumerate(panels.items()):
        _panel(pen, font, number * HEIGHT, title, curves)
    image.quantize(64).save(path, optimize=True)


def _panel(pen: ImageDraw.ImageDraw, font: object, top: int, title: str, curves: Sequence[Curve]) -> None:
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [max(y, 0.5) for curve in curves for _, y in curve.points]
    x_axis = _Axis(math.log10(min(xs)), math.log10(max(xs)), EDGE, WIDTH - LEGEND)
    y_axis = _Axis(
        math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys))), top + HEIGHT - 40, top + 30
    )
    pen.text(
        (EDGE, top + 8),
        f"{title}: failures served until rollback, by share of requests that fail",
        fill="black",
        font=font,
    )
    for power in range(math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys))) + 1):
        y = y_axis.at(10.0**power)
        pen.line((EDGE, y, WIDTH - LEGEND, y), fill="#dddddd")
        pen.text((6, y - 7), f"{10.0**power:,.{max(-power, 0)}f}", fill="black", font=font)
    for x in sorted(set(xs)):
        pen.line((x_axis.at(x), y_axis.start, x_axis.at(x), y_axis.end), fill="#eeeeee")
        pen.text((x_axis.at(x) - 10, y_axis.start + 6), f"{x:.0%}", fill="black", font=font)
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        line = [(x_axis.at(x), y_axis.at(max(y, 0.5))) for x, y in curve.points]
        pen.line(line, fill=colour, width=3 if number == 0 else 2)
        for x, y in line:
            pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        pen.text((WIDTH - LEGEND + 14, top + 34 + 18 * number), curve.name, fill=colour, font=font)


@dataclass(frozen=True, slots=True)
class _Axis:
    """From logarithms to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        part = (math.log10(value) - self.low) / ((self.high - self.low) or 1.0)
        return self.start + part * (self.end - self.start)
