# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What a registry records of the use of its connectors: the applications that were given one, and the tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from .effective import with_test_address
from .fields import SECRETS
from .state import Connector, Purpose, Stamp

MOST_RUNS = 100
"""The tests of one connector that are kept."""


class ApplicationRecord(NamedTuple):
    """What of a connector an application was given, and where it keeps it.

    One is told from the others by app, host and place. The place is the path of a file, or the URL of an API and what
    was addressed there.
    """

    app: str
    host: str
    place: str
    connector: str
    """Its name. It follows a rename, and stays when the connector is deleted."""
    purpose: Purpose | None
    """What the connector was chosen by, where it was not by its name."""
    reads: tuple[str, ...]
    """The paths of all fields and secrets that what was written depends on, and is_default."""
    settings: str
    """The digest of these fields, without the secrets."""
    written: Stamp
    destination: str = ""
    """For an API: the digest of where the secrets go that were sent to it last."""
    key_id: str | None = None
    fingerprint: str | None = None
    """What a key of the registry made of the secrets that were written last: empty where there were none, None where
    they are not known."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.app, self.host, self.place

    @property
    def content(self) -> tuple[str, ...]:
        """What the fingerprint is bound to: with anything else in the record it would tell of other secrets."""
        return (*self.key, json.dumps(self.reads), self.settings, self.destination)

    @property
    def secret_paths(self) -> tuple[str, ...]:
        return tuple(path for path in self.reads if path in SECRETS)


def settings_digest(connector: Connector, reads: Iterable[str], *, is_default: bool) -> str:
    """The SHA-256 digest of the fields of a connector at these paths, without its secrets, so that it needs no key.

    That another release writes an application differently does not show in it: who compares files sees that.
    """
    known: dict[str, Any] = {
        **with_test_address(connector.effective_settings),
        "name": connector.name,
        "is_default": is_default,
    }
    values: dict[str, Any] = {}
    for path in set(reads) - SECRETS:
        block, _dot, field = path.partition(".")
        value = known.get(block)
        values[path] = (value or {}).get(field) if field else value
    form = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(form.encode("ascii")).hexdigest()


class Run(NamedTuple):
    """The outcome of one test of a connector."""

    at: str
    host: str
    """Which it was tested from."""
    status: Literal["ok", "warn", "fail"]
    verdict: str
    ms: int


class RecordedTest(NamedTuple):
    """A test that is to be recorded."""

    connector: str
    """Its name."""
    identity: str
    """With its revision, those that were tested; blank and 0 where what is stored is damaged."""
    revision: int
    run: Run
    expires: str = ""
    """What ends next, its certificate or client secret: a time such as 2030-12-31T23:59:59Z; empty if unknown."""


class Health(NamedTuple):
    """How a connector fares, by the tests that were recorded.

    Its state is status and verdict as the last test found them. Nothing is smoothed: who wants to hear of a failure
    only once it lasts looks at `failures_in_a_row`, and who wants to hear of its end only once that lasts at `since`.
    """

    status: Literal["ok", "warn", "fail"]
    verdict: str
    since: str
    """The first of the tests in a row with this status and verdict."""
    checked_at: str
    last_ok_at: str
    """The last test that did not fail; empty where each has."""
    failures_in_a_row: int
    expires: str
    host: str
    runs: tuple[Run, ...] = ()
    """The last tests, the oldest first."""

    @property
    def state(self) -> tuple[str, str]:
        return self.status, self.verdict


def next_health(before: Health | None, recorded: RecordedTest) -> Health:
    """The health of a connector after one more test."""
    run = recorded.run
    is_failure = run.status == "fail"
    expires = recorded.expires
    # A test that fails early does not come to all that ends, such as the certificate.
    if before and is_failure and (not expires or run.at < before.expires < expires):
        expires = before.expires
    goes_on = before is not None and before.state == (run.status, run.verdict)
    return Health(
        status=run.status,
        verdict=run.verdict,
        since=before.since if before and goes_on else run.at,
        checked_at=run.at,
        last_ok_at=run.at if not is_failure else before.last_ok_at if before else "",
        failures_in_a_row=(before.failures_in_a_row if before else 0) + 1 if is_failure else 0,
        expires=expires,
        host=run.host,
    )
