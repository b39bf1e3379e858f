"""Trends as a picture, or as a page that needs no network."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from server.trends import By, Trend

N_SHOWN = 40  # channels or tags; the table has all
N_TICKS = 12
NEGATIVE, NEUTRAL, POSITIVE = "#c8553d", "#9aa5ab", "#2a7f9e"
# For Chinese names in a picture, whichever is installed; a page takes its reader's fonts.
FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "Microsoft YaHei", "PingFang SC", "WenQuanYi Zen Hei")

_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<style>body {{ font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 64em }} svg {{ width: 100%; height: auto }}</style>
<h1>{title}</h1>
{svg}
"""  # noqa: E501


def draw(trends: Sequence[Trend], by: By, path: Path) -> None:
    """To `path`, a .png or a .html; what is there is replaced."""
    shown = trends if by in (By.HOUR, By.DAY) else trends[:N_SHOWN]
    known = {font.name for font in font_manager.fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in FONTS if name in known)]
    # Letters as letters: a page's reader can search them.
    with matplotlib.rc_context({"font.family": families, "svg.fonttype": "none"}):
        figure = _figure(shown, by)
        if path.suffix == ".png":
            figure.savefig(path, dpi=120)
            return
        svg = io.StringIO()
        figure.savefig(svg, format="svg")
    picture = svg.getvalue()
    title = f"Conversations by {by.value}"
    page = _PAGE.format(title=escape(title), svg=picture[picture.index("<svg") :])
    path.write_text(page, "utf-8")


def _figure(trends: Sequence[Trend], by: By) -> Figure:
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    shares, scores, counts = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 1.5))
    names = [trend.name for trend in trends]
    _shares(shares, trends, joined=by in (By.HOUR, By.DAY))
    at = [i for i, trend in enumerate(trends) if trend.score is not None]
    values = [trend.score for trend in trends if trend.score is not None]
    colours = [NEGATIVE if value < 0 else POSITIVE for value in values]
    scores.bar(at, values, color=colours)
    scores.axhline(0, color="#bbb", linewidth=0.8)
    scores.set_ylabel("mean score")
    counts.bar(range(len(trends)), [trend.n for trend in trends], color=NEUTRAL)
    counts.set_ylabel("conversations")
    counts.yaxis.set_major_locator(MaxNLocator(integer=True))
    step = max(1, -(-len(names) // N_TICKS)) if by in (By.HOUR, By.DAY) else 1
    ticks = range(0, len(names), step)
    labels = [names[i].replace("$", r"\$") for i in ticks]  # no formulas in names
    counts.set_xticks(ticks, labels, rotation=30, ha="right")
    for axes in (shares, scores, counts):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e6e6")
        axes.set_axisbelow(True)
    return figure


def _shares(axes: Axes, trends: Sequence[Trend], joined: bool) -> None:
    """Negative shares with their intervals."""
    found: list[tuple[int, Any]] = [(i, one) for i, one in enumerate(trends) if one.n]
    at = [i for i, _ in found]
    share = [one.negative_share for _, one in found]
    below = [max(0.0, one.negative_share - one.low) for _, one in found]
    above = [max(0.0, one.high - one.negative_share) for _, one in found]
    axes.errorbar(
        at,
        share,
        yerr=[below, above],
        fmt="o-" if joined else "o",
        color=NEGATIVE,
        ecolor=NEUTRAL,
        markersize=4,
        capsize=2,
    )
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("negative, with 95 % interval")
