# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report of 1000 connectors on 20 hosts: how long it takes to render, and to open in Chromium.

The files are in tests/output/report, their pictures in tests/output/screenshots.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import outcomes
import places
from applications.chromium import browsing

from ansible_collections.mailroom.core.plugins.module_utils._report.html import render_html
from ansible_collections.mailroom.core.plugins.module_utils._report.markdown import render_markdown
from ansible_collections.mailroom.core.plugins.module_utils._report.metrics import metrics
from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_report
from ansible_collections.mailroom.core.plugins.module_utils._report.results_json import results_json

HOSTS, CONNECTORS = 20, 1000
RENDERERS = {"index.html": render_html, "report.md": render_markdown, "results.json": results_json, "all.prom": metrics}
WIDTHS = {"narrow": (360, ""), "wide": (1280, ""), "print": (794, "print")}


def measure() -> None:
    """Render and open the report, and print the seconds."""
    folder, pictures = places.OUTPUT / "report", places.OUTPUT / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    pictures.mkdir(parents=True, exist_ok=True)
    given = outcomes.outcomes(HOSTS, CONNECTORS)
    started = time.monotonic()
    report = parse_report(outcomes.iso(outcomes.NOW), given)
    print(f"{'results parsed':44} {time.monotonic() - started:7.2f} s")
    for name, render in RENDERERS.items():
        started = time.monotonic()
        text = render(report)
        seconds = time.monotonic() - started
        (folder / name).write_text(text, encoding="utf-8")
        print(f"{f'{name} rendered':44} {seconds:7.2f} s {len(text.encode()) / 1e3:7.0f} kB")
    if not shutil.which("chromedriver"):
        print("chromedriver is not here, so the report is not opened")
        return
    with browsing() as browser:
        for name, (width, media) in WIDTHS.items():
            browser.command("Emulation.setEmulatedMedia", media=media, features=[])
            browser.resize(width)
            print(f"{f'index.html opened, {width} pixels wide':44} {browser.open(folder / 'index.html'):7.2f} s")
            browser.take_picture(pictures / f"report_1000_{name}.png")
        browser.command("Emulation.setEmulatedMedia", media="", features=[])
        started = time.monotonic()
        browser.type_text("input[name=text]", "connector_0500")
        print(f"{'14 characters typed into the filter':44} {time.monotonic() - started:7.2f} s")
