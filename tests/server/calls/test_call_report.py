"""The pages of a run: what they list, that nothing in them comes alive, and how Chromium draws."""

from __future__ import annotations

import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from report_tables import HOSTILE, failed, scored, write_tables

from server.calls import report

CALLS = [
    scored("archive/content.wav", 0.4, seed=1),
    scored("档案/投诉.wav", -0.5, seed=2),
    scored(f"{HOSTILE}.wav", -0.1, seed=3),
    failed("archive/broken.wav", f"the audio is damaged {HOSTILE}"),
]
# Moves the mouse over the customer's utterances until the transcript of one is shown that is
# hostile, and writes down what is to be seen.
HOVER = """<script>
const deep = (root, css) => [...root.querySelectorAll(css), ...[...root.querySelectorAll('*')]
  .filter(e => e.shadowRoot).flatMap(e => deep(e.shadowRoot, css))];
const tips = () => deep(document, '.bk-Tooltip').map(t => t.shadowRoot);
let at = 0;
const step = () => {
  const [, speech] = deep(document, '.bk-events');
  if (!speech) return setTimeout(step, 100);
  const box = speech.getBoundingClientRect();
  const where = {clientX: box.left + box.width * (0.1 + 0.002 * at++),
    clientY: box.top + box.height * 0.35, bubbles: true, composed: true, isPrimary: true,
    pointerType: 'mouse', pointerId: 1};
  for (const kind of ['pointerenter', 'pointermove', 'mousemove'])
    speech.dispatchEvent(new PointerEvent(kind, where));
  const shown = tips().find(t => t.textContent.includes('onerror'));
  if (!shown && at < 400) return setTimeout(step, 20);
  const seen = document.createElement('p');
  seen.id = 'seen';
  seen.textContent = JSON.stringify({tip: shown && shown.textContent.replace(/\\s+/g, ' '),
    images: shown && shown.querySelectorAll('img').length, title: document.title});
  document.body.append(seen);
};
step();
</script></body>"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    report.write(*write_tables(folder, CALLS), folder / "pages", n_pages=2)
    return folder / "pages"


def page_of(pages: Path, path: str) -> Path:
    return next(page for page in pages.glob("call-*.html") if f"<h1>{path}</h1>" in text_of(page))


def text_of(page: Path) -> str:
    """What is written in it, without its scripts."""
    html = page.read_text("utf-8")
    first, last = html.index("<script"), html.rindex("<h1>")
    return html[:first] + re.sub(r"<script.*?</script>", "", html[last:], flags=re.S)


def rows(html: str) -> list[list[str]]:
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.S) for row in html.split("<tr>")[1:]]
    return [[unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in row] for row in cells]


def test_index_lists_the_worst_first(pages: Path) -> None:
    html = text_of(pages / "index.html")
    listed = rows(html)
    assert [row[0] for row in listed[1:4]] == [CALLS[i]["path"] for i in (1, 2, 0)]
    assert listed[1][1].startswith("−0.")
    assert listed[3][1].startswith("+0.")
    assert listed[5] == ["archive/broken.wav", CALLS[3]["error"]]
    links = re.findall(r'href="(.*?)"', html)
    assert len(links) == 2  # n_pages
    assert all((pages / link).is_file() for link in links)


def test_page_of_a_call(pages: Path) -> None:
    html = text_of(page_of(pages, "档案/投诉.wav"))
    call = CALLS[1]
    customer, agent = rows(html)[1:3]
    assert customer[0] == "Customer, channel 0"
    assert int(customer[3]) == call["channels"][0]["interruption_count"]
    assert agent[6:] == ["–"] * 4
    lowest = min(u["score"] for u in call["utterances"] if u["score"] is not None)
    assert rows(html)[4][3] == f"−{-lowest:.2f}"
    assert "我等了三天，没有人回我电话。" in html


def test_a_call_without_speech(tmp_path: Path) -> None:
    silent = {**CALLS[0], "path": "silent.wav", "utterances": [], "satisfaction": None}
    silent |= dict.fromkeys([name for name in silent if name.startswith("customer_score")])
    silent["channels"] = [
        {**channel, "course": None, "loudness_dbfs": None} for channel in silent["channels"]
    ]
    report.write(*write_tables(tmp_path, [silent]), tmp_path)
    assert "Worst moments" not in text_of(page_of(tmp_path, "silent.wav"))


def test_pages_need_no_network_and_run_no_content(pages: Path) -> None:
    for page in pages.glob("*.html"):
        html = page.read_text("utf-8")
        assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text_of(page))
        assert "<script src" not in html
        assert HOSTILE not in html
        assert "<script>document.title" not in html
        assert len(html) < 1.6e6


def test_nothing_to_report(tmp_path: Path) -> None:
    report.write(*write_tables(tmp_path, [failed("a.wav", "it is empty")]), tmp_path)
    assert rows(text_of(tmp_path / "index.html"))[-1] == ["a.wav", "it is empty"]


def test_chromium_draws_a_call_and_shows_its_texts_as_texts(pages: Path, tmp_path: Path) -> None:
    page = next(p for p in pages.glob("call-*.html") if "投诉" not in text_of(p))
    html = page.read_text("utf-8")
    (tmp_path / "hover.html").write_text(html.replace("</body>", HOVER), "utf-8")
    dom = in_chromium(tmp_path / "hover.html", tmp_path)
    found = re.search(r'<p id="seen">(.*?)</p>', dom)
    assert found, "Bokeh drew nothing to move over"
    seen = unescape(found[1])
    assert '"images":0' in seen
    assert "Customer, channel 0" in seen
    assert "<img src=x onerror" in seen
    assert f'"title":"{HOSTILE}.wav"' in seen


def in_chromium(page: Path, profile: Path) -> str:
    """The document after its scripts ran."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed")
    options = (
        "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run "
        "--window-size=1250,1300 --virtual-time-budget=20000 --dump-dom"
    )
    command = [browser, *options.split(), f"--user-data-dir={profile}", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
