# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Results of tests as a table for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from .model import STATUSES, Result, count_statuses, worst_first
from .text import one_line

# Ansible indents the line of a list by 8 columns, and puts quotes and a comma around it: together that is below 100.
WIDTH = 88
HEADINGS = ("connector", "status", "verdict", "where", "ms")
_GAP = "  "
# What is cut first where a row does not fit, and how narrow a column may get.
_NARROWEST = {"where": 22, "connector": 24, "verdict": 20}


def table(results: Sequence[Result]) -> list[str]:
    """A row for each connector, then what to do about failures and warnings; no line is longer than WIDTH."""
    ordered = worst_first(results)
    rows = [HEADINGS]
    for result in ordered:
        place = one_line(result.where)
        rows.append((result.connector, result.status, result.shown_verdict, place, f"{result.elapsed_ms:.0f}"))
    widths = _widths(rows)
    lines = [line for row in rows for line in _lines(row, widths)]
    return [*lines, count(results), *advice(ordered)]


def table_message(results: Sequence[Result], heading: str = "") -> str:
    """The table as the message of a task, below a heading if there is one."""
    return "\n".join([*([heading] if heading else []), *table(results)])


def failure_message(results: Sequence[Result], what: str) -> str:
    """The same for a task that failed because connectors did."""
    failed = count_statuses(results)["fail"]
    return table_message(results, f"{failed} of {len(results)} connectors {what}:")


def count(results: Sequence[Result]) -> str:
    """How many of each status there are, in words."""
    counts = count_statuses(results)
    return f"{len(results)} tested: " + ", ".join(f"{counts[status]} {status}" for status in reversed(STATUSES))


def advice(results: Sequence[Result]) -> list[str]:
    """What to do: failures first; equal advice for several connectors once."""
    failures = [
        (result.connector, f"{reason(result)} {result.remedy}") for result in results if result.status == "fail"
    ]
    warnings = [
        (result.connector, f"warning {warning.code}. {warning.text}")
        for result in results
        for warning in result.warnings
    ]
    return [*_group_by_text(failures), *_group_by_text(warnings)]


def reason(result: Result) -> str:
    """The verdict of a failure, how certain it is, and where to look."""
    field = f", field {result.field}" if result.field else ""
    reader = result.failure[0].connector if result.failure else ""
    mailbox = f", at the mailbox of {reader} (deliver_via)" if reader else ""
    return f"{result.verdict} ({result.certainty}){field}{mailbox}."


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


def _group_by_text(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for name, text in texts:
        names.setdefault(text, []).append(name)
    for text, each in names.items():
        line = f"{', '.join(dict.fromkeys(each))}: {one_line(text)}"
        yield from textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
