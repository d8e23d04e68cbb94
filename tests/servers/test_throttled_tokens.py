# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token endpoint that says how long to wait is asked once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from peers.ca import CertificateZoo
from peers.connectors import job as connector_job
from peers.entra import App, Entra
from peers.users import USERS
from servers.verdicts_probing import ALICE

from ansible_collections.mailroom.core.plugins.module_utils._check.credentials import RejectedCredentials, Tokens
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError


class Waiting(Clock):
    """A clock that notes how long somebody wants to wait, and does not."""

    def __init__(self, deadline: float = 240) -> None:
        super().__init__(deadline, 120)
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> bool:
        if not 0 < seconds < self.remaining:
            return False
        self.pauses.append(seconds)
        return True


@pytest.fixture(scope="module")
def entra(zoo: CertificateZoo) -> Iterator[Entra]:
    with Entra(zoo) as entra:
        yield entra


@pytest.fixture
def app(entra: Entra) -> Iterator[App]:
    yield entra.add_app(roles=("SMTP.SendAsApp",))
    entra.works()


def tokens(
    entra: Entra, app: App, clock: Clock, rejected: RejectedCredentials | None = None, scope: str = "", **secrets: str
) -> Tokens:
    settings: dict[str, Any] = {
        **({"scope": scope} if scope else {}),
        "tenant_id": entra.tenant_id,
        "client_id": app.client_id,
        "authority": entra.url,
        "ca_file": str(entra.ca_file),
        "cloud": "global",
    }
    if "password" in secrets:
        settings["username"] = ALICE.address
    found = {f"oauth2.{name}": Secret(value) for name, value in {"client_secret": app.secret, **secrets}.items()}
    return Tokens(
        connector_job("alerts", {"oauth2": settings}, found),
        clock,
        rejected or RejectedCredentials(),
        Redaction(found.values()),
    )


@pytest.mark.parametrize(("scenario", "least", "most"), [("throttled_briefly", 1, 1), ("throttled_date", 1, 8)])
def test_an_application_waits_and_asks_once_more(entra: Entra, app: App, scenario: str, least: int, most: int) -> None:
    clock = Waiting()
    entra.fail(scenario, at="token", who=app.client_id, times=1)
    assert tokens(entra, app, clock).obtain("smtp").secret.reveal()
    assert len(clock.pauses) == 1
    assert least <= clock.pauses[0] <= most


def test_it_is_asked_once_more_only(entra: Entra, app: App) -> None:
    clock = Waiting()
    entra.fail("throttled", at="token", who=app.client_id)
    with pytest.raises(ProbeError) as stopped:
        tokens(entra, app, clock).obtain("smtp")
    assert diagnose(stopped.value.observation).verdict == "token_throttled"
    assert clock.pauses == [7]


def test_nobody_waits_beyond_the_deadline(entra: Entra, app: App) -> None:
    clock = Waiting(deadline=6)
    entra.fail("throttled", at="token", who=app.client_id)
    with pytest.raises(ProbeError):
        tokens(entra, app, clock).obtain("smtp")
    assert clock.pauses == []


def test_a_refusal_is_not_repeated(entra: Entra, app: App) -> None:
    clock = Waiting()
    entra.fail("7000215", at="token", who=app.client_id)
    with pytest.raises(ProbeError):
        tokens(entra, app, clock).obtain("smtp")
    assert clock.pauses == []


def test_a_users_password_is_not_offered_twice(entra: Entra, app: App) -> None:
    clock = Waiting()
    entra.fail("throttled_briefly", at="token", who=app.client_id)
    with pytest.raises(ProbeError):
        tokens(entra, app, clock, password=USERS["alice"].password).obtain("smtp")
    assert clock.pauses == []


def _token_requests(entra: Entra) -> int:
    return sum(request.path.endswith("/token") for request in entra.requests)


@pytest.mark.parametrize(("fault", "requests"), [("50126", 1), ("7000218", 2), ("65001", 2)])
def test_a_users_refused_password_is_not_offered_with_another_scope(
    entra: Entra, app: App, fault: str, requests: int
) -> None:
    """Only where it is the user who was refused: another application, or another scope, may be allowed."""
    rejected, before = RejectedCredentials(), _token_requests(entra)
    entra.fail(fault, at="token", who=app.client_id)
    for scope in ("https://outlook.office365.com/SMTP.Send", "https://outlook.office365.com/IMAP.AccessAsUser.All"):
        with pytest.raises(ProbeError):
            tokens(entra, app, Waiting(), rejected, scope, password=USERS["alice"].password).obtain("smtp")
    assert _token_requests(entra) - before == requests
