"""What the page of one call shows: plots over its time, figures of its channels, worst moments.

A call is a row of `table.CALLS`, what was said in it rows of `table.UTTERANCES` by their start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bokeh.layouts import gridplot
from bokeh.models import (
    AdaptiveTicker,
    ColumnDataSource,
    CrosshairTool,
    HoverTool,
    LayoutDOM,
    NumeralTickFormatter,
    Range1d,
    Span,
)
from bokeh.plotting import figure

from modalities.reading import EMOTIONS

N_MOMENTS = 12
COLOURS = ("#2a7f9e", "#d98e32", "#6b8e4e", "#8b6bb1", "#b15c74", "#5c6f7b", "#9c7c38", "#4f8f86")
OVERLAP = "#c8553d"
QUIETEST_DBFS = -80.0

_HOVER = """<div style="max-width:26em;white-space:normal;font:13px/1.4 sans-serif">
<b>@who</b> @from to @to<div>@judged</div><div style="font-size:15px">@text</div></div>"""


def plots(call: Mapping[str, Any], said: Sequence[Mapping[str, Any]]) -> LayoutDOM:
    """Three plots over the same time: the score, who speaks when, how loud."""
    names = [channel_name(channel) for channel in call["channels"]]
    time = Range1d(0, call["duration_s"], bounds=(0, call["duration_s"]))
    overlaps = list(_overlaps(said))
    drawn = [
        _scores(said, names, time, overlaps),
        _speech(said, names, time, overlaps),
        _loudness(call["channels"], names, time),
    ]
    crosshair = CrosshairTool(overlay=Span(dimension="height", line_color="#999"))
    for plot in drawn:
        plot.add_tools(crosshair)
        plot.xaxis.formatter = NumeralTickFormatter(format="00:00:00")
        plot.xaxis.ticker = AdaptiveTicker(base=60, mantissas=[1, 2, 5, 10, 15, 30], min_interval=1)
        style(plot)
    return gridplot(
        [[plot] for plot in drawn], sizing_mode="stretch_width", toolbar_options={"logo": None}
    )


def channel_name(channel: Mapping[str, Any]) -> str:
    return f"{channel['role'].capitalize()}, channel {channel['channel']}"


def channel_figures(channel: Mapping[str, Any]) -> dict[str, Any]:
    """A channel of a call, its course one level up."""
    return {**channel, "name": channel_name(channel), **(channel["course"] or {})}


def worst_moments(said: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    scored = sorted((u for u in said if u["score"] is not None), key=lambda u: u["score"])
    return [{**one, "emotion": _likeliest(one)} for one in scored[:N_MOMENTS]]


def clock(seconds: float) -> str:
    """Hours where there are any, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def number(value: float | None, form: str) -> str:
    """With a real minus sign; a dash for None."""
    return "–" if value is None else format(value, form).replace("-", "−")


def style(plot: figure) -> None:
    plot.outline_line_color = None
    plot.background_fill_color = None
    plot.border_fill_color = None
    plot.xgrid.grid_line_color = None
    plot.ygrid.grid_line_color = "#e6e6e6"
    plot.axis.axis_line_color = "#bbb"
    plot.axis.major_tick_line_color = "#bbb"
    plot.axis.minor_tick_line_color = None
    plot.axis.axis_label_text_font_style = "normal"
    plot.title.text_font_size = "14px"
    plot.min_border_left = 90  # the same for all, so that their times lie below each other


def _plot(title: str, height: int, time: Range1d, **options: Any) -> figure:
    tools = "xpan,xwheel_zoom,xbox_zoom,reset"
    return figure(title=title, height=height, x_range=time, tools=tools, **options)


def _scores(
    said: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    time: Range1d,
    overlaps: Sequence[tuple[float, float]],
) -> figure:
    plot = _plot("Score", 300, time, y_range=(-1.05, 1.05))
    _shade(plot, overlaps, -1.05, 1.05)
    plot.add_layout(Span(location=0, dimension="width", line_color="#999", line_dash="dashed"))
    for index, name in enumerate(names):
        scored = [one for one in said if one["channel"] == index and one["score"] is not None]
        if not scored:
            continue
        source, colour = _source(scored, names), COLOURS[index % len(COLOURS)]
        plot.line("middle_s", "score", source=source, color=colour, alpha=0.4, legend_label=name)
        bars = plot.segment(
            "start_s", "score", "end_s", "score",
            source=source, color=colour, line_width=7, line_cap="round", legend_label=name,
        )  # fmt: skip
        plot.add_tools(HoverTool(renderers=[bars], tooltips=_HOVER, line_policy="interp"))
    plot.yaxis.axis_label = "negative … positive"
    if plot.legend:
        plot.legend.orientation, plot.legend.location = "horizontal", "top_right"
        plot.legend.background_fill_alpha, plot.legend.click_policy = 0.7, "hide"
    return plot


def _speech(
    said: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    time: Range1d,
    overlaps: Sequence[tuple[float, float]],
) -> figure:
    top = len(names) - 0.5
    plot = _plot("Who speaks; both at once is shaded", 110 + 30 * len(names), time)
    plot.y_range = Range1d(top, -0.5)  # the first channel on top
    _shade(plot, overlaps, -0.5, top)
    bars = plot.hbar(
        y="channel", left="start_s", right="end_s", height=0.6, color="colour",
        source=_source(said, names),
    )  # fmt: skip
    plot.add_tools(HoverTool(renderers=[bars], tooltips=_HOVER))
    plot.yaxis.ticker = list(range(len(names)))
    plot.yaxis.major_label_overrides = {i: name.split(",")[0] for i, name in enumerate(names)}
    plot.ygrid.visible = False
    return plot


def _loudness(channels: Sequence[Mapping[str, Any]], names: Sequence[str], time: Range1d) -> figure:
    plot = _plot("Loudness by the second", 180, time, y_range=(QUIETEST_DBFS, 0))
    for index, channel in enumerate(channels):
        levels = channel["loudness_by_second_dbfs"]
        plot.line(
            [second + 0.5 for second in range(len(levels))],
            [max(level, QUIETEST_DBFS) for level in levels],
            color=COLOURS[index % len(COLOURS)],
            line_width=1.5,
        )
    plot.yaxis.axis_label = "dB of full scale"
    return plot


def _shade(
    plot: figure, stretches: Sequence[tuple[float, float]], bottom: float, top: float
) -> None:
    plot.quad(
        left=[start for start, _ in stretches],
        right=[end for _, end in stretches],
        bottom=bottom,
        top=top,
        color=OVERLAP,
        alpha=0.2,
        line_color=None,
    )


def _overlaps(said: Sequence[Mapping[str, Any]]) -> Iterator[tuple[float, float]]:
    """When at least two channels speak; utterances of one channel never overlap."""
    edges = [(one["start_s"], 1) for one in said] + [(one["end_s"], -1) for one in said]
    n_speaking, since_s = 0, 0.0
    for at_s, step in sorted(edges):
        if n_speaking >= 2 and at_s > since_s:
            yield since_s, at_s
        n_speaking, since_s = n_speaking + step, at_s


def _source(said: Sequence[Mapping[str, Any]], names: Sequence[str]) -> ColumnDataSource:
    return ColumnDataSource(
        {
            "start_s": [one["start_s"] for one in said],
            "end_s": [one["end_s"] for one in said],
            "middle_s": [(one["start_s"] + one["end_s"]) / 2 for one in said],
            "score": [one["score"] for one in said],
            "channel": [one["channel"] for one in said],
            "colour": [COLOURS[one["channel"] % len(COLOURS)] for one in said],
            "who": [names[one["channel"]] for one in said],
            "from": [clock(one["start_s"]) for one in said],
            "to": [clock(one["end_s"]) for one in said],
            "judged": [_judged(one) for one in said],
            "text": [one["text"] or "" for one in said],
        }
    )


def _judged(one: Mapping[str, Any]) -> str:
    if one["score"] is None:
        return f"not scored: {one['not_scored']}"
    unsure = ", not sure" if one["abstained"] else ""
    return f"score {number(one['score'], '+z.2f')}, {_likeliest(one)}{unsure}"


def _likeliest(one: Mapping[str, Any]) -> str:
    emotion = max(EMOTIONS, key=lambda name: one[f"emotion_{name}"])
    return f"{emotion} {one[f'emotion_{emotion}']:.0%}"
