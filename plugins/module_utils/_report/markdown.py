# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The report as Markdown, for a merge request or the summary of a job; never longer than MOST_LINES."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .model import Report, Result
from .summary import Group, answer, expiries, failures_by_remedy, old_applications, warnings_by_text
from .text import one_line, plural

MOST_LINES = 100
MOST_NAMES = 10
LONGEST_TEXT = 400
# How many entries each list may have. With headings and counts of what is left out, all lists fit into MOST_LINES.
MOST_FAILURES, MOST_WARNINGS, MOST_OTHERS = 15, 10, 10
_SIGNS = {"fail": "❌", "warn": "⚠️", "ok": "✅"}
# Underscores within words, as names have them, mean nothing; a link begins with :// or www.
_SPECIAL = re.compile(r"([\\`*\[\]|~>$#]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=\bwww)\.)")


def render_markdown(report: Report) -> str:
    """What is broken, what needs attention, what expires next."""
    counts = report.counts
    sign = _SIGNS["fail" if report.is_broken else "warn" if counts["warn"] else "ok"]
    numbers = ", ".join(f"{counts[status]} {status}" for status in ("ok", "warn", "fail"))
    lines = [f"## {sign} Mail connectors: {_escape(answer(report))}", ""]
    lines += [f"{numbers}. Tested {_escape(report.generated_at)} from {plural(len(report.hosts), 'host')}.", ""]
    if report.untested_hosts:
        lines += [f"{_SIGNS['fail']} Not tested: {_names(report.untested_hosts)}", ""]
    if 0 < len(report.results) <= MOST_OTHERS:
        rows = [_connector_row(result) for result in report.results]
        lines += _table("Connectors", ("status", "connector", "verdict", "server", "ms"), rows, MOST_OTHERS)
    failures, warnings = failures_by_remedy(report), warnings_by_text(report)
    lines += _table("What to do", ("connectors", "verdict", "remedy"), map(_row, failures), MOST_FAILURES)
    lines += _table("What needs attention", ("connectors", "warning", "text"), map(_row, warnings), MOST_WARNINGS)
    old = [
        (_escape(result.connector), _escape(f"{each.app} {each.place} on {each.host}"))
        for result, each in old_applications(report)
    ]
    lines += _table("Applications with old settings", ("connector", "application"), old, MOST_OTHERS)
    ends = [
        (f"{each.at:%Y-%m-%d}", f"{each.days}", _escape(each.what), _names(each.connectors))
        for each in expiries(report)
    ]
    lines += _table("What expires next", ("ends", "days", "what", "connectors"), ends, MOST_OTHERS)
    return "\n".join(lines).rstrip() + "\n"


def _connector_row(result: Result) -> tuple[str, str, str, str, str]:
    verdict, where = _escape(result.shown_verdict), _escape(result.where)
    return (
        f"{_SIGNS[result.status]} {result.status}",
        _escape(_shown(result)),
        verdict,
        where,
        f"{result.elapsed_ms:.0f}",
    )


def _row(group: Group) -> tuple[str, str, str]:
    return _names(dict.fromkeys(map(_shown, group.results))), _escape(group.title), _escape(group.text)


def _shown(result: Result) -> str:
    return f"{result.connector} from {result.host}" if result.host else result.connector


def _table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], most: int) -> list[str]:
    every = list(rows)
    if not every:
        return []
    lines = [f"### {title}", "", f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    lines += [f"| {' | '.join(cells)} |" for cells in every[:most]]
    if len(every) > most:
        lines += ["", f"… and {len(every) - most} more."]
    return [*lines, ""]


def _names(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - MOST_NAMES} more" if len(every) > MOST_NAMES else ""
    return ", ".join(map(_escape, every[:MOST_NAMES])) + more


def _escape(text: str) -> str:
    """A text that is shown as it is, on one line and in a table, and calls nobody (@name)."""
    text = one_line(text)
    text = text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", text).replace("@", "@<!-- -->")
