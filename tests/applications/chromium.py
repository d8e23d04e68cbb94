# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chromium, driven by the WebDriver protocol; as root it runs without its sandbox only."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peers import net

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage"),
)
LONGEST = 300


class Browser:
    """A session of chromedriver."""

    def __init__(self, driver: str, profile: str) -> None:
        options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"], "perfLoggingPrefs": {"enableNetwork": True}}
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self._driver = driver
        asked = {"capabilities": {"alwaysMatch": capabilities}}
        self._session = f"{driver}/session/{self._call('POST', f'{driver}/session', asked)['sessionId']}"

    def open(self, page: Path) -> float:
        """Open a file; the seconds until it has loaded."""
        started = time.monotonic()
        self._call("POST", f"{self._session}/url", {"url": page.as_uri()})
        return time.monotonic() - started

    def run(self, script: str) -> Any:
        """What a script returns, which is run whatever the page allows."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": []})

    def click(self, selector: str) -> None:
        """Click on the first element that a CSS selector finds."""
        self._call("POST", f"{self._element(selector)}/click", {})

    def type_text(self, selector: str, text: str) -> None:
        """Type into the first element that a CSS selector finds."""
        self._call("POST", f"{self._element(selector)}/value", {"text": text})

    def _element(self, selector: str) -> str:
        asked = {"using": "css selector", "value": selector}
        (found,) = self._call("POST", f"{self._session}/element", asked).values()
        return f"{self._session}/element/{found}"

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._call("POST", f"{self._session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def complaints(self) -> list[str]:
        """What the console has shown since the last call."""
        return [entry["message"] for entry in self._call("POST", f"{self._session}/se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """The addresses that were requested since the last call."""
        entries = self._call("POST", f"{self._session}/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]

    def resize(self, width: int, height: int = 900) -> None:
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700
        )

    def take_picture(self, picture: Path, most: int = 6000) -> None:
        """A picture of the whole page, or of as much of its beginning."""
        size = self.run("let page = document.documentElement; return [page.clientWidth, page.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], most), "scale": 1}
        taken = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        picture.write_bytes(base64.b64decode(taken["data"]))

    def close(self) -> None:
        self._call("DELETE", self._session)

    def _call(self, method: str, url: str, body: Any = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LONGEST) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise net.PeerFailed(error.read().decode()) from None


@contextlib.contextmanager
def browsing() -> Iterator[Browser]:
    """A browser with an empty profile."""
    ports = net.PortBlock()
    with tempfile.TemporaryDirectory(prefix="mailroom-", dir="/tmp") as folder:
        log, port = Path(folder, "driver.log"), ports.take()
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["chromedriver", f"--port={port}"], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            if not net.wait_until_open(port, LONGEST):
                raise net.PeerFailed(log.read_text(encoding="utf-8", errors="replace"))
            browser = Browser(f"http://127.0.0.1:{port}", str(Path(folder, "profile")))
            try:
                yield browser
            finally:
                browser.close()
        finally:
            process.terminate()
            process.wait()
            ports.release()
