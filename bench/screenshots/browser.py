"""Headless Chromium, one for all pages: HTML → a picture and the boxes of its marked elements."""

from __future__ import annotations

import base64
import io
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from bench.screenshots.layouts import Screen
from modalities.errors import UnavailableError

REMEDY = "apt-get install chromium chromium-driver fonts-noto-cjk fonts-noto-color-emoji"
STRIP = 2000  # CSS pixels captured at once; a taller surface may exceed what Chromium draws
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--disable-dev-shm-usage", "--force-color-profile=srgb",
)  # fmt: skip
# Boxes in CSS pixels, the shown part of each, both cut to the chat's own area for what scrolls.
BOXES = """
const area = document.getElementById('chat').getBoundingClientRect();
return [...document.querySelectorAll('[data-truth]')].map(element => {
  const box = element.getBoundingClientRect();
  const scrolls = element.closest('#chat') !== null && !arguments[0];
  const top = scrolls ? Math.max(box.top, area.top) : box.top;
  const bottom = scrolls ? Math.min(box.bottom, area.bottom) : box.bottom;
  return [Number(element.dataset.truth), box.left, top, box.right, bottom, box.top, box.bottom];
});
"""


class Browser:
    """A context manager; raises UnavailableError where Chromium or its driver is absent."""

    def __enter__(self) -> Self:
        chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if chromium is None or driver is None:
            raise UnavailableError("screenshots are rendered by Chromium, which is absent", REMEDY)
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in (*ARGUMENTS, f"--user-data-dir={self._profile.name}"):
            options.add_argument(argument)
        self._driver = webdriver.Chrome(options=options, service=Service(driver))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._driver.quit()
        self._profile.cleanup()

    def open(self, html: str, screen: Screen) -> None:
        """Show a page and wait for its fonts."""
        self._screen = screen
        self._command(
            "Emulation.setDeviceMetricsOverride",
            width=screen.width,
            height=screen.height or STRIP,
            deviceScaleFactor=screen.scale,
            mobile=False,
        )
        page = Path(self._profile.name) / "page.html"
        page.write_text(html, encoding="utf-8")
        self._driver.get(page.as_uri())
        self._driver.execute_async_script("document.fonts.ready.then(() => arguments[0]())")

    def scroll(self, top: float) -> float:
        """Scroll the chat to `top` CSS pixels; returns how far it can be scrolled."""
        script = (
            "const c = document.getElementById('chat'); c.scrollTop = arguments[0];"
            "return c.scrollHeight - c.clientHeight"
        )
        return float(self._driver.execute_script(script, top))

    def boxes(self) -> list[list[float]]:
        """[mark, x0, y0, x1, y1 of what is shown, y0, y1 of the whole] in CSS pixels."""
        found: list[list[float]] = self._driver.execute_script(BOXES, self._screen.height == 0)
        return found

    def capture(self) -> Image.Image:
        """The page as it stands, in device pixels; a long one in strips."""
        screen = self._screen
        height = screen.height or self._driver.execute_script("return document.body.scrollHeight")
        whole = Image.new("RGB", (round(screen.width * screen.scale), round(height * screen.scale)))
        for top in range(0, height, STRIP):
            clip = {
                "x": 0, "y": top, "width": screen.width,
                "height": min(STRIP, height - top), "scale": 1,
            }  # fmt: skip
            shot = self._command(
                "Page.captureScreenshot",
                format="png",
                clip=clip,
                captureBeyondViewport=screen.height == 0,
                optimizeForSpeed=True,
            )
            with Image.open(io.BytesIO(base64.b64decode(shot["data"]))) as strip:
                whole.paste(strip.convert("RGB"), (0, round(top * screen.scale)))
        return whole

    def _command(self, name: str, **parameters: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._driver.execute_cdp_cmd(name, parameters)
        return answer
