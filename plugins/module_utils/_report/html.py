# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The report as one HTML page, for people."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Sequence

from .model import STATUSES, Endpoint, Health, Report, Result, Status
from .page import ICONS, SCRIPT, STYLE
from .summary import (
    Expiry,
    Group,
    answer,
    changed_connectors,
    expiries,
    failures_by_remedy,
    has_changed,
    old_applications,
    warnings_by_text,
)
from .text import one_line, parse_time, plural

# So many names stand in a group at once; the others can be unfolded.
MOST_NAMES, FEW_NAMES = 20, 6
MOST_EXPIRIES = 20
MOST_TEXTS = 8
# Reports of so few connectors show the details of all.
FEW = 3
MOST_RUNS = 30
_WORDS: dict[str, str] = {"fail": "fail", "warn": "need attention", "ok": "ok"}


class Html(str):
    """Text that is HTML already; any other text is escaped."""

    __slots__ = ()


Content = str  # Html, or text that is escaped


def element(tag: str, *content: Content, **attributes: str | bool) -> Html:
    """An element; names of attributes may end in an underscore, and have underscores for hyphens."""
    shown = []
    for name, value in attributes.items():
        if value is True:
            shown.append(f" {name}")
        elif value is not False:
            shown.append(f' {name.rstrip("_").replace("_", "-")}="{_escape(str(value))}"')
    inner = "".join(each if isinstance(each, Html) else _escape(each) for each in content)
    return Html(f"<{tag}{''.join(shown)}>{inner}</{tag}>")


def join(parts: Iterable[Content], separator: str = "") -> Html:
    """Parts beside each other."""
    escaped = (each if isinstance(each, Html) else _escape(each) for each in parts)
    return Html(_escape(separator).join(escaped))


def _escape(text: str) -> str:
    return html.escape(one_line(text) if not text.isprintable() else text)


def render_html(report: Report) -> str:
    """The page. It loads nothing, and runs only the script that is in it."""
    title = f"Mail connectors: {answer(report)}"
    allowed = f"script-src '{_hash(SCRIPT)}'; style-src '{_hash(STYLE)}'"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    head = [
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        Html('<meta name="referrer" content="no-referrer">'),
        element("title", title),
        Html(f"<style>{STYLE}</style>"),
    ]
    body = [
        Html(ICONS),
        element("header", *_summary(report)),
        element("main", *_sections(report)),
        element("footer", element("p", f"Made by mailroom.core on {_time(report.generated_at)}. It holds no secrets.")),
        Html(f"<script>{SCRIPT}</script>"),
    ]
    lines = ["<!DOCTYPE html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", *body, "</body>", "</html>"]
    return "\n".join(lines) + "\n"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _summary(report: Report) -> Iterator[Html]:
    counts = report.counts
    status: Status = "fail" if report.is_broken else "warn" if counts["warn"] or not report.results else "ok"
    yield element("h1", "Mail connectors")
    yield element("p", _icon(status), element("span", answer(report)), class_=f"answer {status}")
    depths = sorted({result.depth for result in report.results if result.depth})
    depth = f", to the depth {' and '.join(depths)}" if depths else ""
    yield element("p", f"Tested {_time(report.generated_at)} from {_tested_from(report)}{depth}.", class_="quiet")
    if report.results:
        yield _share(report)
    numbers = [(each, counts[each], _WORDS[each]) for each in STATUSES]
    tiles = [_tile(status, number, words) for status, number, words in numbers]
    if report.untested_hosts:
        tiles.append(_tile("fail", len(report.untested_hosts), "hosts not tested"))
    changed = changed_connectors(report)
    if changed:
        tiles.append(element("li", element("b", f"{len(changed)}"), "changed since the last run"))
    yield element("ul", *tiles, class_="counts")


def _tested_from(report: Report) -> str:
    places = sorted({host.tested_from for host in report.hosts if host.tested_from})
    return places[0] if len(places) == 1 else plural(len(places), "host")


def _tile(status: str, number: int, words: str) -> Html:
    return element(
        "li",
        element("b", f"{number}"),
        _icon(status if number else "ok"),
        f" {words}",
        class_=status if number else "quiet",
    )


def _share(report: Report) -> Html:
    """The share of each status, as one bar; the numbers stand below it."""
    counts, left, bars = report.counts, 0.0, []
    for status in STATUSES:
        width = 100 * counts[status] / len(report.results)
        if width:
            bars.append(_rect(left, max(width - 0.2, 0.2), f"fill-{status}"))
        left += width
    return element("svg", *bars, class_="share", aria_hidden="true")


def _sections(report: Report) -> Iterator[Html]:
    untested = report.untested_hosts
    failures, warnings, ends = failures_by_remedy(report), warnings_by_text(report), expiries(report)
    numbers = {id(result): number for number, result in enumerate(report.results)}
    if failures or untested:
        yield element("h2", "What to do")
    if untested:
        text = f"{plural(len(untested), 'host')} could not be tested"
        yield element("div", element("h3", text), _names(map(Html, map(_escape, untested))), class_="card fail")
    yield from (_group(group, numbers, "fail") for group in failures)
    if warnings:
        yield element("h2", "What needs attention")
        yield from _warnings(warnings, numbers)
    old = old_applications(report)
    if old:
        yield element("h2", "Applications with old settings")
        each = [f"{one.app} {one.place} on {one.host} ({result.connector})" for result, one in old]
        yield element("div", _names(map(Html, map(_escape, each))), class_="card warn")
    if ends:
        yield element("h2", "What expires next")
        yield _expiry_chart(ends)
    if report.results:
        yield element("h2", "Connectors")
        yield _filter(report)
        yield _table(report)
        yield element("h2", "Details")
        is_short = len(report.results) <= FEW
        yield from (_details(number, result, is_short) for number, result in enumerate(report.results))


def _group(group: Group, numbers: dict[int, int], status: str) -> Html:
    """Connectors with the same failure or warning, and what to do about them."""
    heading = element("h3", _icon(status), f" {group.title}: {plural(len(group.results), 'connector')}", class_="")
    return element(
        "div", heading, element("p", group.text), _names(_links(group.results, numbers)), class_=f"card {status}"
    )


def _warnings(groups: Sequence[Group], numbers: dict[int, int]) -> Iterator[Html]:
    """A card for each kind of warning, in which each text stands with its connectors."""
    for code in dict.fromkeys(group.title for group in groups):
        same = [group for group in groups if group.title == code]
        affected = {id(result) for group in same for result in group.results}
        heading = element("h3", _icon("warn"), f" {code}: {plural(len(affected), 'connector')}")
        texts = [
            element("div", element("p", group.text), _names(_links(group.results, numbers), FEW_NAMES), class_="text")
            for group in same
        ]
        if len(texts) > MOST_TEXTS:
            more = element("summary", f"{len(texts) - MOST_TEXTS} more")
            texts = [*texts[:MOST_TEXTS], element("details", more, *texts[MOST_TEXTS:])]
        yield element("div", heading, *texts, class_="card warn")


def _links(results: Sequence[Result], numbers: dict[int, int]) -> Iterator[Html]:
    for result in results:
        link = element("a", result.connector, href=f"#c{numbers[id(result)]}")
        yield join([link, element("span", f" from {result.host}", class_="quiet")]) if result.host else link


def _names(names: Iterable[Html], most: int = MOST_NAMES) -> Html:
    """A list of names; where it is long, the rest is unfolded."""
    items = [element("li", name) for name in names]
    shown = element("ul", *items[:most], class_="names")
    if len(items) <= most:
        return shown
    rest = element("summary", f"{len(items) - most} more")
    return join([shown, element("details", rest, element("ul", *items[most:], class_="names"))])


def _expiry_chart(ends: Sequence[Expiry]) -> Html:
    """What ends next, with the days that are left as bars of a scale of 90 days."""
    rows = []
    for each in ends[:MOST_EXPIRIES]:
        status = "fail" if each.days < 0 else "warn" if each.days < 14 else "ok"
        bar = element("svg", _rect(0, min(max(each.days, 1), 90) / 0.9, f"fill-{status}"), aria_hidden="true")
        left = f"{plural(-each.days, 'day')} ago" if each.days < 0 else plural(each.days, "day")
        others = f" and {len(each.connectors) - 3} more" if len(each.connectors) > 3 else ""
        needed_by = element("span", f"{', '.join(each.connectors[:3])}{others}", class_="under quiet small")
        cells = [
            element("td", _icon(status), f" {each.at:%Y-%m-%d}", class_="status"),
            element("th", each.what, needed_by, scope="row"),
            element("td", left, bar, class_="timeline"),
        ]
        rows.append(element("tr", *cells))
    head = element(
        "thead", element("tr", _head("Ends", "status"), _head("What"), _head("Left, up to 90 days", "timeline"))
    )
    more = f", the next {MOST_EXPIRIES} of {len(ends)}" if len(ends) > MOST_EXPIRIES else ""
    caption = element("caption", f"Certificates and client secrets by their end{more}", class_="hidden")
    table = element("table", caption, head, element("tbody", *rows), class_="chart")
    note = [element("p", f"And {len(ends) - MOST_EXPIRIES} later ones.", class_="quiet small")] if more else []
    return join([element("div", table, class_="list"), *note])


def _head(text: str, class_: str = "") -> Html:
    return element("th", text, scope="col", class_=class_) if class_ else element("th", text, scope="col")


def _filter(report: Report) -> Html:
    """The form that filters the table; the script shows it, since without a script it would do nothing."""
    results = report.results
    choices: dict[str, list[str]] = {
        "Status": [status for status in STATUSES if report.counts[status]],
        "Verdict": sorted({result.verdict for result in results}),
        "Host": sorted({result.host for result in results if result.host}),
        "Environment": sorted({name for result in results for name in result.environments}),
    }
    fields = [
        element("label", "Search", Html('<input type="search" name="text" autocomplete="off" spellcheck="false">'))
    ]
    for label, values in choices.items():
        if len(values) > 1:
            options = [element("option", "all", value=""), *(element("option", value, value=value) for value in values)]
            fields.append(element("label", label, element("select", *options, name=label.lower())))
    reset = element("button", "Show all", type="reset")
    count = element("p", id="shown", role="status", class_="quiet small")
    return element(
        "form",
        element("fieldset", Html('<legend class="hidden">Filter</legend>'), *fields, reset),
        count,
        id="filter",
        hidden=True,
    )


def _table(report: Report) -> Html:
    has_runs = any(result.health and result.health.runs for result in report.results)
    hosts = any(result.host for result in report.results)
    head = [
        _head("Status"),
        _head("Connector"),
        *([_head("Host")] if hosts else []),
        _head("Verdict"),
        _head("Server", "wide"),
    ]
    head += [_head("Milliseconds", "number wide"), *([_head("Last runs", "plots")] if has_runs else [])]
    rows = []
    for number, result in enumerate(report.results):
        name = element("a", result.connector, href=f"#c{number}")
        names = (
            [element("span", result.display_name, class_="under quiet small")]
            if result.display_name not in ("", result.connector)
            else []
        )
        environments = (
            [element("span", ", ".join(result.environments), class_="under quiet small")] if result.environments else []
        )
        cells = [
            element("td", _icon(result.status), f" {result.status}", class_=f"status {result.status}"),
            element("th", name, *names, scope="row"),
            *([element("td", result.host, *environments)] if hosts else []),
            element("td", result.shown_verdict),
            element("td", *_servers(result), class_="wide"),
            element("td", f"{result.elapsed_ms:.0f}", class_="number wide"),
            *([element("td", *_runs(result.health), class_="plots")] if has_runs else []),
        ]
        data = {"data_number": str(number), "data_status": result.status, "data_verdict": result.verdict}
        data |= {"data_host": result.host, "data_environments": json.dumps(result.environments)}
        rows.append(element("tr", *cells, **data))
    caption = element("caption", "All connectors, failures first", class_="hidden")
    table = element(
        "table",
        caption,
        element("thead", element("tr", *head)),
        Html("<tbody>\n"),
        Html("\n".join(rows)),
        Html("\n</tbody>"),
        id="connectors",
    )
    return element("div", table, class_="list")


def _servers(result: Result) -> list[Html]:
    """The server and phase that failed, or each server on a line."""
    texts = [result.where] if result.status == "fail" else map(str, result.endpoints)
    return [element("span", text, class_="under") for text in texts]


def _runs(health: Health | None) -> list[Html]:
    """The last runs as bars of their duration; a failed one is a cross."""
    if not health or not health.runs:
        return []
    runs = sorted(health.runs, key=lambda run: run.at)[-MOST_RUNS:]
    longest = max(*(run.ms for run in runs), 1)
    paths: dict[str, list[str]] = {}
    for position, run in enumerate(runs):
        x, height = position * 4, max(18 * run.ms / longest, 1.5)
        if run.status == "fail":
            paths.setdefault("stroke", []).append(f"M{x} 14l3 4m0-4l-3 4")
        else:
            style = "fill-warn" if run.status == "warn" else "fill-ok"
            paths.setdefault(style, []).append(f"M{x} 18v-{height:.1f}h3v{height:.1f}z")
    shapes = [Html(f'<path class="{style}" d="{"".join(drawn)}"/>') for style, drawn in paths.items()]
    failed = sum(run.status == "fail" for run in runs)
    label = f"Last {plural(len(runs), 'run')}: {failed} failed, up to {longest:.0f} milliseconds"
    plot = element(
        "svg",
        element("title", label),
        *shapes,
        class_="runs",
        role="img",
        aria_label=label,
        viewBox=f"0 0 {MOST_RUNS * 4} 19",
    )
    return [plot]


def _details(number: int, result: Result, is_short: bool) -> Html:
    """All about one connector."""
    heading = [
        element("span", _icon(result.status), f" {result.status}", class_=f"status {result.status}"),
        element("h3", result.connector),
        element("span", result.shown_verdict if result.status != "ok" else "", class_="small"),
        *([element("span", f"from {result.host}", class_="quiet small")] if result.host else []),
        element("span", f"{result.elapsed_ms:.0f} ms", class_="quiet small number"),
    ]
    parts: list[Html] = [*_advice(result), *_about(result)]
    for endpoint in result.endpoints:
        parts += _endpoint(endpoint)
    parts += _applications(result)
    body = element("div", *parts, class_="body", id=f"c{number}")
    is_open = is_short or result.status != "ok"
    heading_line = element("summary", *heading)
    return element("details", heading_line, body, class_=f"card {result.status}", id=f"d{number}", open=is_open)


def _advice(result: Result) -> Iterator[Html]:
    if result.status == "fail":
        certainty = f"{result.verdict} ({result.certainty})"
        field = [" Look first at ", element("code", result.field), "."] if result.field else []
        yield element("div", element("b", certainty), ". ", result.remedy, *field, class_="advice fail")
    if result.alternatives:
        pairs = ", ".join(f"{each.protocol} port {each.port} with {each.security}" for each in result.alternatives)
        yield element("p", element("b", "What answers instead: "), pairs)
    for warning in result.warnings:
        yield element("div", element("b", warning.code), ". ", warning.text, class_="advice warn")


def _about(result: Result) -> Iterator[Html]:
    """What the registry knows."""
    health = result.health
    about: list[tuple[str, Content]] = [
        ("Purposes", ", ".join([*result.purposes, *(["default"] if result.is_default else [])])),
        ("Environment", ", ".join(result.environments)),
        ("Client secret ends", _date(result.secret_expires)),
    ]
    if health:
        failures = f", {plural(health.failures_in_a_row, 'failure')} in a row" if health.failures_in_a_row else ""
        state = f"{health.status} since {_time(health.since)}{failures}" if health.since else health.status
        about.append(("State", state + (" (new with this run)" if has_changed(result) else "")))
        others = [run for run in health.runs if (run.status, run.verdict) != (result.status, result.verdict)]
        if others:
            last = max(others, key=lambda run: run.at)
            verdict = f", {last.verdict}" if last.verdict != "ok" else ""
            about.append(("Before", f"{last.status}{verdict}, {_time(last.at)}"))
        if health.last_ok_at and result.status == "fail":
            about.append(("Worked last", _time(health.last_ok_at)))
        about.append(("Last runs", join(_runs(health))))
    yield from _definitions(about)


def _definitions(about: Iterable[tuple[str, Content]]) -> Iterator[Html]:
    items = [join([element("dt", name), element("dd", value)]) for name, value in about if value]
    if items:
        yield element("dl", *items)


def _endpoint(endpoint: Endpoint) -> Iterator[Html]:
    address = f" at {endpoint.address}" if endpoint.address and endpoint.address != endpoint.host else ""
    reader = f", the mailbox of {endpoint.connector}" if endpoint.connector else ""
    yield element("h4", f"{endpoint.protocol} {endpoint.host} port {endpoint.port}{address}{reader}")
    yield _timeline(endpoint)
    tls, message = endpoint.tls, endpoint.message or {}
    about: list[tuple[str, Content]] = []
    if tls:
        left = f" ({tls.days_left} days)" if tls.days_left is not None else ""
        about += [
            ("Encryption", " ".join(filter(None, (tls.version, tls.cipher)))),
            ("Certificate", tls.subject),
            ("Issued by", tls.issuer),
            ("Names", ", ".join(tls.names)),
            ("Ends", f"{_time(tls.not_after)}{left}" if tls.not_after else ""),
            ("SHA-256", tls.fingerprint_sha256),
        ]
    before, after = endpoint.capabilities.before_tls, endpoint.capabilities.after_tls
    about.append(("Offers" if not after else "Offers before TLS", ", ".join(before)))
    about.append(("Offers", ", ".join(after)))
    about.append(("Message-ID", str(message.get("message_id") or "")))
    about.append(("Queue id", str(message.get("queue_id") or "")))
    delivered = message.get("delivered_ms")
    about.append(("Delivered after", f"{delivered:.0f} ms" if isinstance(delivered, (int, float)) else ""))
    yield from _definitions(about)


def _timeline(endpoint: Endpoint) -> Html:
    """The phases below each other, each with a bar where it lies in time."""
    total = sum(phase.ms for phase in endpoint.phases) or 1.0
    rows, start = [], 0.0
    for phase in endpoint.phases:
        if phase.status == "skipped":
            continue
        is_bad = phase.status == "fail"
        width = max(100 * phase.ms / total, 0.6)
        bar = _rect(min(100 * start / total, 100 - width), width, "phase bad" if is_bad else "phase")
        name = (
            [_icon("fail"), f" {phase.phase} ", element("span", "failed", class_="hidden")] if is_bad else [phase.phase]
        )
        cells = [
            element("th", *name, scope="row"),
            element("td", element("svg", bar, aria_hidden="true"), class_="timeline"),
            element("td", f"{phase.ms:.1f} ms", class_="number"),
        ]
        rows.append(element("tr", *cells))
        said = " ".join(filter(None, (str(phase.code or ""), phase.enhanced, phase.text)))
        if said:
            rows.append(element("tr", element("td", said, colspan="3", class_="said")))
        start += phase.ms
    caption = element("caption", f"Phases of {endpoint}, with their durations", class_="hidden")
    table = element("table", caption, element("tbody", *rows), class_="phases")
    skipped = list(dict.fromkeys(phase.phase for phase in endpoint.phases if phase.status == "skipped"))
    return join([table, element("p", f"Not reached: {', '.join(skipped)}", class_="quiet small")]) if skipped else table


def _applications(result: Result) -> Iterator[Html]:
    if not result.applications:
        return
    yield element("h4", "Applications that use it")
    items = []
    for each in result.applications:
        purpose = f", as {each.purpose}{'@' + each.tenant if each.tenant else ''}" if each.purpose else ""
        written = f", written {_time(each.written_at)}" if each.written_at else ""
        state = "" if each.current is None else "current" if each.current else "has old settings"
        icon = [] if each.current is None else [_icon("ok" if each.current else "warn"), " "]
        text = f"{each.app} {each.place} on {each.host}{purpose}{written}"
        items.append(element("li", *icon, f"{text}{': ' + state if state else ''}"))
    yield element("ul", *items)


def _icon(status: str) -> Html:
    return Html(f'<svg class="icon {status}" aria-hidden="true"><use href="#{status}"/></svg>')


def _rect(x: float, width: float, style: str) -> Html:
    return Html(f'<rect x="{x:.1f}%" width="{width:.1f}%" height="100%" class="{style}"/>')


def _time(text: str) -> str:
    at = parse_time(text)
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else text


def _date(text: str) -> str:
    at = parse_time(text)
    return f"{at:%Y-%m-%d}" if at else text
