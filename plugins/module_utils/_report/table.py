# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Results of tests as a table for people."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

# Ansible indents the line of a list by 8 columns, and puts quotes and a comma around it: together that is below 100.
WIDTH = 88
HEADINGS = ("connector", "status", "verdict", "where", "ms")
_GAP = "  "
# What is cut first where a row does not fit, and how narrow a column may get.
_NARROWEST = {"where": 22, "connector": 24, "verdict": 20}
# The worst first.
_ORDER = ("fail", "warn", "ok")

Result = Mapping[str, Any]


def table(results: Sequence[Result]) -> list[str]:
    """A row for each connector, then what to do about failures and warnings; no line is longer than WIDTH."""
    ordered = sorted(results, key=lambda result: _ORDER.index(result["status"]))
    rows = [HEADINGS]
    for result in ordered:
        verdict = result["verdict"]
        if result["status"] == "warn":
            verdict = ", ".join(dict.fromkeys(warning["code"] for warning in result["warnings"])) or verdict
        place = _printable(where(result))
        rows.append((result["connector"], result["status"], verdict, place, f"{result['elapsed_ms']:.0f}"))
    widths = _widths(rows)
    lines = [line for row in rows for line in _lines(row, widths)]
    return [*lines, count(results), *advice(ordered)]


def table_message(results: Sequence[Result], heading: str = "") -> str:
    """The table as the message of a task, below a heading if there is one."""
    return "\n".join([*([heading] if heading else []), *table(results)])


def failure_message(results: Sequence[Result], what: str) -> str:
    """The same for a task that failed because connectors did."""
    failed = sum(result["status"] == "fail" for result in results)
    return table_message(results, f"{failed} of {len(results)} connectors {what}:")


def count(results: Sequence[Result]) -> str:
    """How many of each status there are, in words."""
    counts = Counter(result["status"] for result in results)
    return f"{len(results)} tested: " + ", ".join(f"{counts[status]} {status}" for status in reversed(_ORDER))


def advice(results: Sequence[Result]) -> list[str]:
    """What to do: failures first; equal advice for several connectors once."""
    failures = []
    for result in results:
        if result["status"] == "fail":
            field = f", field {result['field']}" if result.get("field") else ""
            failed = _failed_phase(result)
            reader = failed[0].get("connector") if failed else ""
            mailbox = f", at the mailbox of {reader} (deliver_via)" if reader else ""
            reason = f"{result['verdict']} ({result['certainty']}){field}{mailbox}. {result['remedy']}"
            failures.append((result["connector"], reason))
    warnings = [
        (result["connector"], f"warning {warning['code']}. {warning['text']}")
        for result in results
        for warning in result["warnings"]
    ]
    return [*_group_by_text(failures), *_group_by_text(warnings)]


def where(result: Result) -> str:
    """The server and phase that failed, or all servers that were asked."""
    failed = _failed_phase(result)
    if failed:
        endpoint, phase = failed
        return f"{_server(endpoint)}, {phase}"
    if result.get("field") == "deliver_via" and result.get("deliver_via"):
        return f"mailbox of {result['deliver_via']}"
    return " and ".join(_server(endpoint) for endpoint in result["endpoints"])


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """The widths of the columns: as their content, as far as the line allows."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - WIDTH
    for heading, narrowest in _NARROWEST.items():
        column = HEADINGS.index(heading)
        cut = max(0, min(excess, widths[column] - narrowest))
        widths[column] -= cut
        excess -= cut
    return widths


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """A row, with cells that are too long on several lines; a name stays whole, on a line of its own."""
    name, *others = row
    if len(name) > widths[0]:
        yield name
        name = ""
    cells = [[name], *(textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(others, widths[1:]))]
    for line in zip_longest(*cells, fillvalue=""):
        yield _GAP.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()


def _failed_phase(result: Result) -> tuple[Mapping[str, Any], str] | None:
    for endpoint in result["endpoints"]:
        for phase in endpoint["phases"]:
            if phase["status"] == "fail":
                return endpoint, phase["phase"]
    return None


def _server(endpoint: Mapping[str, Any]) -> str:
    reader = f" of {endpoint['connector']}" if endpoint.get("connector") else ""
    return f"{endpoint['protocol']} {endpoint['host']} {endpoint['port']}{reader}"


def _group_by_text(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for name, text in texts:
        names.setdefault(text, []).append(name)
    for text, each in names.items():
        line = f"{', '.join(dict.fromkeys(each))}: {_printable(text)}"
        yield from textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def _printable(text: str) -> str:
    """A text on one line, without terminal control characters: it may quote a server."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
