# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What the registry keeps of a test, as the health of its connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._check.result import Result
from .._connector.records import RecordedTest, Run
from .._connector.state import Connector


def recorded_test(
    result: Result, shown: Mapping[str, Any], tested: Connector | None, at: str, host: str
) -> RecordedTest:
    """A test as it is recorded. `shown` is what is returned of it, `tested` the connector, None where it is damaged."""
    run = Run(at, host, shown["status"], shown["verdict"], shown["elapsed_ms"])
    identity, revision = (tested.identity, tested.revision) if tested else ("", 0)
    return RecordedTest(result.name, identity, revision, run, _first_end(result))


def _first_end(result: Result) -> str:
    """When the first of a connector's certificates ends, or its client secret; empty where none is known to."""
    sessions = [each.session for each in result.endpoints if each.session and not each.reads_for]
    ends = [str(session.tls.get("not_after") or "") for session in sessions if session.tls]
    oauth2 = result.connector.oauth2 if result.connector else None
    if oauth2 and oauth2.client_secret_expires:
        ends.append(f"{oauth2.client_secret_expires}T23:59:59Z")
    return min(filter(None, ends), default="")
