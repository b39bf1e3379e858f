"""The console in headless Chromium, before a real server with a store and tokens."""

from __future__ import annotations

import http.client
import json
import queue
import shutil
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from emotion.v1.call_pb2 import StreamCallConfig, StreamCallRequest
from emotion.v1.conversation_pb2 import Message
from emotion.v1.emotion_service_pb2 import AnalyzeEmotionRequest
from emotion.v1.feedback_service_pb2 import ListFeedbackRequest
from emotion.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from emotion.v1.types_pb2 import CUSTOMER, Context, Text
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement
from server_process import Server, start

from bench.screenshots.browser import ARGUMENTS
from server.security.tokens import Scope, TokenFile
from server.store.key import make_key

EXAMPLES = Path(__file__).parents[3] / "examples"
WAIT_S = 60.0
ANGRY = "你们怎么回事,退款三周了还没到账,我要投诉!"
MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


@dataclass
class Console:
    """A server, the console before it, and a browser that looks at that."""

    server: Server
    port: int
    token: str
    browser: webdriver.Chrome

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def open(self, view: str) -> None:
        self.browser.get("about:blank")
        self.browser.get(f"{self.url}#/{view}")

    def all(self, css: str) -> list[WebElement]:
        return self.browser.find_elements("css selector", css)

    def one(self, css: str) -> WebElement:
        """The first, once it is there."""
        return until(lambda: self.all(css))[0]

    def ask(self, path: str, body: bytes = b"{}", **headers: str) -> tuple[int, dict[str, Any]]:
        """POST by hand, as no browser would."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        known = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, known | given)
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found


def until(condition: Callable[[], Any]) -> Any:
    """What it gives once that is true."""
    give_up = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="module")
def console(folder: Path) -> Iterator[Console]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("Chromium or its driver is not installed")
    make_key(folder / "scores.db.key")
    _, token = TokenFile(folder / "tokens.json").create("test", list(Scope))
    settings = {"store": folder / "scores.db", "store_content": "true", "cpu_threads": 1}
    settings["tokens"] = folder / "tokens.json"
    options = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    server = start(folder / "log", *options, token=token)
    command = [sys.executable, "-m", "server.cli", "console", "--server", server.address]
    process = subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True)
    browser = None
    try:
        assert process.stderr is not None
        port = int(json.loads(process.stderr.readline())["url"].rsplit(":", 1)[1].strip("/"))
        browser = _browser(chromium, driver, folder)
        yield Console(server, port, token, browser)
    finally:
        if browser is not None:
            browser.quit()
        process.terminate()
        status = process.wait(30)
        server.channel.close()
        server.stop()
    assert status == 0


def _browser(chromium: str, driver: str, folder: Path) -> webdriver.Chrome:
    _microphone(folder / "microphone.wav")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        *ARGUMENTS,
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1280,1000",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}",
    ):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"intl.accept_languages": "en"})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


def _microphone(path: Path) -> None:
    """What the browser hears: the example's recording and a silence, again and again."""
    resampler = av.AudioResampler("s16", "mono", 48_000)
    with av.open(str(EXAMPLES / "recording.ogg")) as file:
        parts = [p.to_ndarray()[0] for f in file.decode(audio=0) for p in resampler.resample(f)]
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 48_000, 0, "NONE", ""))
        out.writeframes(np.concatenate([*parts, np.zeros(96_000, np.int16)]).tobytes())


def test_it_asks_for_a_token_and_keeps_it_in_the_tab_alone(console: Console) -> None:
    console.open("models")
    dialog = console.one("#token-dialog[open]")
    dialog.find_element("id", "token-input").send_keys(console.token)
    dialog.find_element("css selector", "button[value=ok]").click()
    rows = until(lambda: console.all(".models tbody tr"))
    assert rows[0].text.split()[:2] == ["fusion", "ready"]
    assert any("emotion models pull" in row.text for row in rows)
    kept = console.browser.execute_script(
        "return [sessionStorage.length, localStorage.length, document.cookie]"
    )
    assert kept == [1, 0, ""]


def test_a_text_a_recording_and_a_screenshot_are_read(console: Console) -> None:
    console.open("try")
    files = [EXAMPLES / "recording.ogg", EXAMPLES / "screenshot.png"]
    console.one("#files").send_keys("\n".join(map(str, files)))
    console.one("#text").send_keys(ANGRY)
    console.one("#analyse").click()
    shown = console.one(".answer")
    score = float(shown.find_element("css selector", ".big .chip").text.replace("−", "-"))
    assert -1 <= score < -0.2
    headings = [one.text for one in shown.find_elements("css selector", "h2")]
    assert headings == ["Emotions", "What it is made of", "What is said", "What is written"]
    assert "threat-to-sue-or-go-public" in shown.text
    assert len(console.all(".picture svg .box")) == len(console.all(".picture .line")) > 2


def test_markup_is_only_ever_text(console: Console) -> None:
    context = Context(conversation_id=MARKUP, channel=MARKUP, tags=[MARKUP])
    said = AnalyzeEmotionRequest(text=Text(content=MARKUP), context=context)
    console.server.emotion.AnalyzeEmotion(said)
    console.open("conversations")
    link = until(
        lambda: [one for one in console.all("td a") if "<img" in one.text] or _again(console)
    )[0]
    link.click()
    console.one(".lines .said p")
    assert MARKUP in console.one("h1").text
    console.open("review")
    until(lambda: any(MARKUP in one.text for one in console.all(".quote")))
    assert console.browser.execute_script("return window.hacked") is None
    assert not console.all("main img, main script")


def _again(console: Console) -> None:
    """What was scored a moment ago may still wait to be written."""
    time.sleep(0.2)
    console.browser.refresh()


def test_a_call_is_seen_while_it_is_held(console: Console) -> None:
    console.open("live")
    console.one("#calls .empty")
    requests: queue.Queue[StreamCallRequest | None] = queue.Queue()
    config = StreamCallConfig(
        context=Context(conversation_id="held now", channel="phone", language="en"),
        encoding=StreamCallConfig.OGG_OPUS,
        channel_roles=[CUSTOMER],
    )
    requests.put(StreamCallRequest(config=config))
    events = console.server.emotion.StreamCall(iter(requests.get, None))
    card = console.one("#calls .call")
    assert "held now" in card.text and not console.all("#calls .point")
    for n, rule in ((1, "threat-to-sue-or-go-public"), (2, "de-escalate")):
        said = Message(role=CUSTOMER, text=Text(content=ANGRY))
        requests.put(StreamCallRequest(message=said))
        until(lambda n=n: len(console.all("#calls .point.bad")) == n)
        assert rule in console.one("#calls .advice").text
    assert "1" in console.one(".figure").text
    requests.put(None)
    list(events)
    console.one("#calls .call.over").click()
    assert console.one(".conversations h1").text == "held now"
    assert len(until(lambda: console.all(".chart .point"))) == 2


def test_the_microphone_is_a_live_call(console: Console) -> None:
    console.open("try")
    button = console.one("#mic")
    button.click()
    console.one("#heard .line")
    button.click()
    until(lambda: button.text == "Start listening")
    assert console.one("#heard .line .chip").text[0] in "+−"
    assert not console.all("#heard .problem")


def test_one_click_labels(console: Console) -> None:
    for text in ("a parcel came", "it is what it is"):
        console.server.emotion.AnalyzeEmotion(AnalyzeEmotionRequest(text=Text(content=text)))
    console.open("review")
    item = until(lambda: console.all(".item"))[0]
    analysis, before = item.get_attribute("data-analysis"), len(console.all(".item"))
    item.find_element("css selector", "[data-label=sad]").click()
    until(lambda: len(console.all(".item")) == before - 1 and "sad" in console.one("#labels").text)
    listed = FeedbackServiceStub(console.server.channel).ListFeedback(ListFeedbackRequest())
    (label,) = listed.feedback
    assert (label.analysis_request_id, label.emotion) == (analysis, "sad")


def test_trends_are_drawn(console: Console) -> None:
    console.open("trends")
    console.one(".trends .chart .count")
    console.one("[data-option=channel]").click()
    # Asked of the page as a whole: its parts are drawn anew.
    until(lambda: "phone" in console.browser.find_element("tag name", "body").text)
    assert "start it with the setting alerts" in console.one(".trends").text


def test_others_are_refused(console: Console) -> None:
    models = "/api/ModelService/ListModels"
    assert console.ask(models)[0] == 200
    assert console.ask(models, Origin=f"http://127.0.0.1:{console.port}")[0] == 200
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{console.port}"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Content_Type": "text/plain"},
    ):
        status, body = console.ask(models, **headers)
        assert status == 403 and body["error"]["code"] == "PERMISSION_DENIED"
    assert console.ask(models, Authorization="Bearer no")[0] == 401
    assert console.ask(models, Authorization="")[0] == 401
    assert console.ask("/api/EmotionService/BatchAnalyzeCalls")[0] == 404
    assert console.ask("/static/../app.py")[0] == 404
    status, body = console.ask(models, b'{"page_size": "many"}')
    assert status == 400 and "ListModelsRequest" in body["error"]["message"]
    status, body = console.ask("/api/EmotionService/AnalyzeEmotion")
    assert status == 400 and body["error"]["violations"][0]["field"] == "text"
    assert body["error"]["reason"] == "INVALID_CONTENT"


def test_nothing_was_asked_of_elsewhere_and_no_rule_of_the_page_was_broken(
    console: Console,
) -> None:
    log = console.browser.get_log("performance")
    events = [json.loads(entry["message"])["message"] for entry in log]
    asked = [one["params"] for one in events if one["method"] == "Network.requestWillBeSent"]
    urls = {one["request"]["url"] for one in asked if one["documentURL"].startswith(console.url)}
    own = {url for url in urls if url.startswith((console.url, f"blob:{console.url}"))}
    assert any("AnalyzeEmotion" in url for url in own) and urls == own
    said = [entry["message"] for entry in console.browser.get_log("browser")]
    assert not [one for one in said if "Content Security" in one or "TypeError" in one]
