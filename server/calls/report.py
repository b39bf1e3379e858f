"""The report of a run: HTML pages to look at, each complete in itself and drawn without a network.

`index.html` shows the distribution over the calls and lists them, the worst first; the worst have
a page each (`call_page`). A page carries Bokeh's script, 1.3 MB: that is why not every call has
one. Whatever comes from outside, texts and paths alike, is escaped by Jinja and by Bokeh.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow.parquet as pq
from bokeh.embed import components
from bokeh.layouts import gridplot
from bokeh.models import LayoutDOM
from bokeh.plotting import figure
from bokeh.resources import Resources

from server.calls import call_page

N_PAGES = 50  # of the worst calls
N_LISTED = 1000
N_BINS = 40
NEGATIVE, POSITIVE = "#c8553d", "#2a7f9e"  # told apart by the colour-blind, too

_LISTED = (
    "path", "duration_s", "silence_s", "overlap_s", "customer_utterance_count", "customer_score",
    "customer_score_start", "customer_score_end", "customer_score_lowest", "customer_score_shift",
    "satisfaction",
)  # fmt: skip
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "clock": call_page.clock,
    "score": lambda value: call_page.number(value, "+z.2f"),
    "whole": lambda value: call_page.number(value, "z.0f"),
}


def write(calls: Path, utterances: Path, folder: Path, n_pages: int = N_PAGES) -> None:
    """Pages in `folder`, which is made, on the two tables of `server.calls.table`.

    The worst calls are those of the lowest mean score of the customer; calls without one come last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = pq.read_table(calls, columns=["status", "error", *_LISTED]).to_pylist()
    scored = sorted((row for row in rows if row["error"] is None), key=_badness)
    failed = [row for row in rows if row["error"] is not None]
    for row in scored[:n_pages]:
        row["page"] = _page_name(row["path"])
    _write_page(
        folder / "index.html",
        "index.html",
        _distributions(scored),
        title="Calls",
        calls=scored[:N_LISTED],
        n_calls=len(scored),
        n_customers=sum(row["customer_score"] is not None for row in scored),
        n_pages=min(n_pages, len(scored)),
        hours=sum(row["duration_s"] for row in scored) / 3600,
        failed=failed,
    )
    for row in scored[:n_pages]:
        _write_call(row, calls, utterances, folder)


def _badness(row: dict[str, Any]) -> tuple[bool, float, str]:
    score = row["customer_score"]
    return score is None, score or 0.0, row["path"]


def _page_name(path: str) -> str:
    return f"call-{hashlib.sha256(path.encode()).hexdigest()[:16]}.html"


def _write_call(row: dict[str, Any], calls: Path, utterances: Path, folder: Path) -> None:
    here = [("path", "==", row["path"])]
    call = pq.read_table(calls, filters=here).to_pylist()[0]
    said = pq.read_table(utterances, filters=here).sort_by("start_s").to_pylist()
    _write_page(
        folder / row["page"],
        "call.html",
        call_page.plots(call, said),
        title=call["path"],
        call=call,
        channels=[call_page.channel_figures(channel) for channel in call["channels"]],
        moments=call_page.worst_moments(said),
    )


def _write_page(path: Path, template: str, drawn: LayoutDOM, **values: Any) -> None:
    script, place = components(drawn)
    page = _TEMPLATES.get_template(template)
    path.write_text(page.render(library=_library(), script=script, place=place, **values), "utf-8")


@functools.cache
def _library() -> str:
    return Resources(mode="inline", components=["bokeh"]).render_js()


def _distributions(rows: Sequence[dict[str, Any]]) -> LayoutDOM:
    plots = [
        _histogram("The customer's mean score", [row["customer_score"] for row in rows], 1.0),
        _histogram("Shift, end less start", [row["customer_score_shift"] for row in rows], 2.0),
    ]
    return gridplot([plots], sizing_mode="stretch_width", toolbar_location=None)


def _histogram(title: str, values: Sequence[float | None], most: float) -> figure:
    known = np.array([value for value in values if value is not None])
    counts, edges = np.histogram(known, N_BINS, (-most, most))
    plot = figure(
        title=title,
        height=260,
        x_range=(-most, most),
        tools="hover",
        tooltips=[("from", "@left{+0.00}"), ("to", "@right{+0.00}"), ("calls", "@top")],
        toolbar_location=None,
    )
    plot.quad(
        left=edges[:-1],
        right=edges[1:],
        top=counts,
        bottom=0,
        color=[NEGATIVE if edge < -1e-9 else POSITIVE for edge in edges[:-1]],
        line_color="white",
    )
    plot.y_range.start = 0
    plot.yaxis.axis_label = "calls"
    call_page.style(plot)
    return plot
