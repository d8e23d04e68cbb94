# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests connectors in this process, against scripted servers."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from peers.ca import CertificateZoo
from peers.connectors import job as connector_job
from peers.faults import IMAP, SMTP, Fault
from peers.scripted import Login
from peers.users import USERS

from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds
from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._check.runner import run
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret

ALICE, BOB = USERS["alice"], USERS["bob"]
# Bounds that no machine reaches while it does what is asked, and bounds for servers that never come to an end.
BOUNDS = Bounds("envelope", timeout=120, deadline=240)
ENDING = Bounds("envelope", timeout=2, deadline=8)
FAULTS = {("smtp", name): fault for name, fault in SMTP.items()} | {
    ("imap", name): fault for name, fault in IMAP.items()
}
Result = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a test found out, and what the server saw of it."""

    result: Result
    security: str
    logins: Sequence[Login]
    received: Sequence[bytes]


def connector(
    zoo: CertificateZoo,
    protocol: str,
    port: int,
    *,
    security: str = "none",
    password: str | None = ALICE.password,
    name: str = "",
    **changes: Any,
) -> Job:
    """A connector of alice's; what is given as None is left out."""
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "security": security,
        "validate_certs": True,
        "ca_file": str(zoo.ca_file),
        "username": ALICE.address if password else None,
        "auth": "password" if password else "none",
        **changes,
    }
    server = {key: value for key, value in settings.items() if value is not None}
    effective = {protocol: server, "from_address": ALICE.address, "test_address": BOB.address}
    return connector_job(name or protocol, effective, {f"{protocol}.password": Secret(password)} if password else {})


def probe(*jobs: Job, bounds: Bounds = BOUNDS, concurrency: int = 16) -> list[Result]:
    """The results of testing all of them in one run."""
    return [result.to_dict() for result in run(jobs, bounds, concurrency)]


def failing_phase(result: Result) -> str:
    """The phase that failed, or nothing."""
    phases = (phase for endpoint in result["endpoints"] for phase in endpoint["phases"])
    return next((phase["phase"] for phase in phases if phase["status"] == "fail"), "")


def said(result: Result) -> str:
    """What the phase that failed says."""
    phases = (phase for endpoint in result["endpoints"] for phase in endpoint["phases"])
    return next((phase.get("text", "") for phase in phases if phase["status"] == "fail"), "")


def meet(zoo: CertificateZoo, protocol: str, fault: Fault, bounds: Bounds | None = None) -> Outcome:
    """Tests a connector whose server has a fault."""
    bounds = bounds or (ENDING if fault.endless else BOUNDS)
    with fault.make(zoo) as server:
        (result,) = probe(connector(zoo, protocol, server.port, security=fault.security), bounds=bounds)
    return Outcome(result, fault.security, server.logins, [bytes(each) for each in server.received])


def meet_all(zoo: CertificateZoo, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], Outcome]:
    """Named faults, many at once, since some of them only end when time is up."""
    with ThreadPoolExecutor(12) as pool:
        outcomes = pool.map(lambda key: meet(zoo, key[0], FAULTS[key]), keys)
        return dict(zip(keys, outcomes, strict=True))


def forms(username: str, password: str) -> list[str]:
    """A password as it can show: as it is, and as it goes over the wire."""
    combined = (password, f"\0{username}\0{password}")
    return [password, *(base64.b64encode(each.encode()).decode().rstrip("=") for each in combined)]


def shows(result: Any, password: str, username: str = ALICE.address) -> bool:
    """Whether a result has the password in it."""
    text = json.dumps(result, ensure_ascii=False)
    return any(form in text for form in forms(username, password))
