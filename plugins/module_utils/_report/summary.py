# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a report tells about many connectors: failures by remedy, what expires next, and a summary for other jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .model import Application, Report, Result, own_endpoints
from .table import reason
from .text import parse_time, plural

MOST_NAMES = 50
# With so many changes within so many runs a connector flaps, until so many runs in a row agree.
FLAPPING_CHANGES, FLAPPING_RUNS, STEADY_RUNS = 4, 10, 3


@dataclass(frozen=True)
class Group:
    """Connectors that have the same to be done about them."""

    title: str
    text: str
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Expiry:
    """A certificate or secret that ends, and the connectors that need it."""

    what: str
    at: datetime
    days: int
    connectors: tuple[str, ...]


def answer(report: Report) -> str:
    """Whether anything is broken, in one sentence."""
    counts, total = report.counts, len(report.results)
    untested = len(report.untested_hosts)
    if counts["fail"]:
        verb = "fails" if counts["fail"] == 1 else "fail"
        text = f"{counts['fail']:,} of {plural(total, 'connector')} {verb}".replace(",", "\u202f")
        return f"{text}, and {plural(untested, 'host')} could not be tested" if untested else text
    if untested:
        return f"{plural(untested, 'host')} could not be tested"
    if not total:
        return "No connector was tested"
    works = "The connector works" if total == 1 else f"All {plural(total, 'connector')} work"
    if counts["warn"]:
        return f"{works}; {plural(counts['warn'], 'connector')} need{'s' if counts['warn'] == 1 else ''} attention"
    return works


def failures_by_remedy(report: Report) -> list[Group]:
    """Failures with the same verdict and remedy in one group; the largest group first."""
    failed = [result for result in report.results if result.status == "fail"]
    return _group((reason(result).rstrip("."), result.remedy, result) for result in failed)


def warnings_by_text(report: Report) -> list[Group]:
    """Warnings with the same text in one group; the largest group first."""
    return _group((warning.code, warning.text, result) for result in report.results for warning in result.warnings)


def _group(entries: Iterable[tuple[str, str, Result]]) -> list[Group]:
    found: dict[tuple[str, str], list[Result]] = {}
    for title, text, result in entries:
        found.setdefault((title, text), []).append(result)
    groups = [Group(title, text, tuple(dict.fromkeys(results))) for (title, text), results in found.items()]
    return sorted(groups, key=lambda group: -len(group.results))


def expiries(report: Report) -> list[Expiry]:
    """Certificates and client secrets by their end; a certificate that several connectors see stands once."""
    now = parse_time(report.generated_at)
    found: dict[tuple[str, datetime], list[str]] = {}
    for result in report.results:
        ends = [
            (f"certificate of {endpoint.host} port {endpoint.port}", endpoint.tls.not_after)
            for endpoint in own_endpoints(result)
            if endpoint.tls
        ]
        ends.append((f"oauth2.client_secret of {result.connector}", result.secret_expires))
        for what, text in ends:
            at = parse_time(text)
            if at:
                found.setdefault((what, at), []).append(result.connector)
    return sorted(
        (
            Expiry(what, at, (at - now).days if now else 0, tuple(dict.fromkeys(names)))
            for (what, at), names in found.items()
        ),
        key=lambda expiry: (expiry.at, expiry.what),
    )


def old_applications(report: Report) -> list[tuple[Result, Application]]:
    """The applications whose settings are not what would be written now, each once."""
    found = {
        (result.connector, application): result
        for result in report.results
        for application in result.applications
        if application.current is False
    }
    return [(result, application) for (_name, application), result in found.items()]


def changed_connectors(report: Report) -> list[str]:
    """The connectors that fail or work since this run, and did not before."""
    return list(dict.fromkeys(result.connector for result in report.results if has_changed(result)))


def has_changed(result: Result) -> bool:
    """Whether it is news that this connector works, or that it does not.

    A connector that goes back and forth is not news each time, but once it has stayed as it is for a while.
    """
    runs = sorted(result.health.runs, key=lambda run: run.at) if result.health else []
    here = [run for run in runs if run.host == result.host] or runs
    works = [run.status != "fail" for run in here][-FLAPPING_RUNS:]
    if len(works) < 2:
        return works == [False]
    changes = sum(one != other for one, other in zip(works, works[1:]))
    if changes < FLAPPING_CHANGES:
        return works[-1] != works[-2]
    return len(set(works[-STEADY_RUNS:])) == 1 and works[-STEADY_RUNS - 1] != works[-1]


def summary(report: Report) -> dict[str, Any]:
    """The summary for later jobs and workflows; lists of names are bounded."""
    failed = [result for result in report.results if result.status == "fail"]
    changed = changed_connectors(report)
    return {
        **report.counts,
        "answer": answer(report),
        "hosts": len(report.hosts),
        "untested_hosts": report.untested_hosts[:MOST_NAMES],
        "failed": [
            {"connector": result.connector, "host": result.host, "verdict": result.verdict}
            for result in failed[:MOST_NAMES]
        ],
        "changed": changed[:MOST_NAMES],
        "has_changed": bool(changed),
        "generated_at": report.generated_at,
    }
