# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as Chromium shows it. The pictures are in tests/output/screenshots."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import outcomes
import places
import pytest
from applications.chromium import Browser, browsing

from ansible_collections.mailroom.core.plugins.module_utils._report.html import render_html
from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_report
from ansible_collections.mailroom.core.plugins.module_utils._report.results_json import results_json

NOW = outcomes.iso(outcomes.NOW)
HOSTS = 5
GIVEN: dict[str, dict[str, Any]] = {**outcomes.outcomes(HOSTS, 100, seed=21), "lost": {}}
RESULTS = [result for outcome in GIVEN.values() for result in outcome.get("results", ())]
PICTURES = places.OUTPUT / "screenshots"
SHOWN = "return [...document.querySelectorAll('#connectors tbody tr')].filter(row => row.checkVisibility()).length"
# The ratio of each text to what is behind it, where it is below 4.5 as WCAG 2 counts.
PALE = """
const parts = color => color.match(/[0-9.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = element => {
  for (let each = element; each; each = each.parentElement) {
    const color = parts(getComputedStyle(each).backgroundColor);
    if (color.length === 3 || color[3] === 1) { return color; }
  }
  return [255, 255, 255];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const pale = new Set();
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("script, style")) { continue; }
  const [one, other] = [light(parts(getComputedStyle(element).color)), light(behind(element))];
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (ratio < 4.5) { pale.add(`${element.className || element.tagName}: ${ratio.toFixed(2)}`); }
}
return [...pale];
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_text(render_html(parse_report(NOW, GIVEN)), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Browser, file: Path) -> Browser:
    """The browser with the page, as it was opened just now."""
    browser.command("Emulation.setEmulatedMedia", media="", features=[])
    browser.command("Emulation.setScriptExecutionDisabled", value=False)
    browser.resize(1280)
    browser.complaints()
    browser.requests()
    browser.open(file)
    return browser


def test_page_requests_nothing_and_the_console_stays_empty(page: Browser, file: Path) -> None:
    page.click("#connectors a")
    assert page.complaints() == []
    assert page.requests() == [file.as_uri()]


def test_filter_shows_what_is_asked_for(page: Browser) -> None:
    counts = Counter(result["status"] for result in RESULTS)
    assert page.run(SHOWN) == len(RESULTS)
    page.click("select[name=status] option[value=fail]")
    assert page.run(SHOWN) == counts["fail"]
    assert (
        page.run("return document.getElementById('shown').textContent") == f"{counts['fail']} of {len(RESULTS)} shown"
    )
    assert page.run("return document.querySelectorAll('main > details:not([hidden])').length") == counts["fail"]
    page.click("select[name=status] option[value='']")
    page.click("select[name=host] option[value='mail02.example.com']")
    assert page.run(SHOWN) == len(GIVEN["mail02.example.com"]["results"])
    page.click("button[type=reset]")
    page.click("select[name=environment] option[value=test]")
    of_test = [result for each in GIVEN.values() if each.get("environments") == ["test"] for result in each["results"]]
    assert page.run(SHOWN) == len(of_test)
    page.click("button[type=reset]")
    page.type_text("input[name=text]", "CONNECTOR_0042")
    assert page.run(SHOWN) == 1
    page.click("button[type=reset]")
    assert page.run(SHOWN) == len(RESULTS)


def test_link_unfolds_the_details(page: Browser) -> None:
    link = "#connectors tr[data-status=ok] a"
    unfolded = f"return document.getElementById(document.querySelector('{link}').hash.slice(1)).checkVisibility()"
    assert not page.run(unfolded)
    page.click(link)
    assert page.run(unfolded)


def test_without_a_script_the_whole_table_shows(page: Browser, file: Path) -> None:
    page.command("Emulation.setScriptExecutionDisabled", value=True)
    page.open(file)
    page.command("Emulation.setScriptExecutionDisabled", value=False)
    assert page.run(SHOWN) == len(RESULTS)
    assert not page.run("return document.getElementById('filter').checkVisibility()")


def test_words_of_a_server_stay_text(page: Browser) -> None:
    assert page.run("return document.body.innerText").count("<script>alert(1)</script>") >= 1
    assert page.run("return document.images.length") == 0


def test_no_other_script_or_style_would_be_allowed(page: Browser) -> None:
    for tag in ("script", "style"):
        page.run(
            f"document.head.append(Object.assign(document.createElement('{tag}'), {{textContent: 'window.x = 1'}}))"
        )
    page.run("document.body.append(Object.assign(document.createElement('img'), {src: 'data:image/gif;base64,'}))")
    assert page.run("return window.x") is None
    assert len([said for said in page.complaints() if "Content Security Policy" in said]) == 3


def test_everything_to_operate_has_a_name(page: Browser) -> None:
    nodes = page.command("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in nodes if not node["ignored"]
    ]
    operated = [(role, name) for role, name in named if role in ("link", "button", "combobox", "searchbox", "image")]
    assert {role for role, _name in operated} >= {"link", "button", "combobox", "searchbox", "image"}
    assert [role for role, name in operated if not name] == []
    assert {"Search", "Status", "Verdict", "Host", "Environment"} <= {name for _role, name in operated}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(page: Browser, scheme: str) -> None:
    page.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    assert page.run(PALE) == []


@pytest.mark.parametrize(
    ("name", "width", "media", "scheme"),
    [
        ("narrow", 360, "", "light"),
        ("wide", 1280, "", "light"),
        ("dark", 1280, "", "dark"),
        ("print", 794, "print", "light"),
    ],
)
def test_page_fits_its_width(page: Browser, name: str, width: int, media: str, scheme: str) -> None:
    page.command(
        "Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    page.resize(width)
    page.take_picture(PICTURES / f"report_{name}.png")
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_json_is_as_its_schema_says() -> None:
    schema = json.loads((places.ROOT / "docs" / "results.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    content = json.loads(results_json(parse_report(NOW, GIVEN)))
    assert [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(content)] == []
