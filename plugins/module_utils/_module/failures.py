# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a task says of connectors that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def failure_table(results: Sequence[Mapping[str, Any]], what: str = "failed the test") -> str:
    """Which connectors fail, why, and what to do."""
    failed = [result for result in results if result["status"] == "fail"]
    lines = [f"{len(failed)} of {len(results)} connectors {what}:"]
    lines += [
        f"- {each['connector']}: {each['verdict']}{_place(each)} ({each['certainty']}). {each['remedy']}"
        for each in failed
    ]
    return "\n".join(lines)


def _place(result: Mapping[str, Any]) -> str:
    """Where the first failure was."""
    for endpoint in result["endpoints"]:
        for phase in endpoint["phases"]:
            if phase["status"] == "fail":
                return f" at {endpoint['protocol']} {endpoint['host']} port {endpoint['port']}, phase {phase['phase']}"
    return ""
