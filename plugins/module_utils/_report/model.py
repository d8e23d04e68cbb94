# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The results of tests as one model, from which every report is rendered."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

Status = Literal["ok", "warn", "fail"]
# The worst first.
STATUSES: tuple[Status, ...] = ("fail", "warn", "ok")
MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What parsing raises where what was given is not what connector_test and connector_info return."""


@dataclass(frozen=True)
class Phase:
    """A phase of the test of a server, with the beginning of the server's reply."""

    phase: str
    status: str
    ms: float = 0
    code: int | None = None
    enhanced: str = ""
    text: str = ""


@dataclass(frozen=True)
class Certificate:
    """What a server has shown for itself, and how the connection was encrypted."""

    version: str = ""
    cipher: str = ""
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    not_after: str = ""
    days_left: int | None = None
    fingerprint_sha256: str = ""


@dataclass(frozen=True)
class Capabilities:
    """What a server offers, before and after the connection was encrypted."""

    before_tls: tuple[str, ...] = ()
    after_tls: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """A server that was tested; `connector` names another connector whose mailbox was read."""

    protocol: str
    host: str
    port: int
    address: str = ""
    connector: str = ""
    phases: tuple[Phase, ...] = ()
    tls: Certificate | None = None
    capabilities: Capabilities = Capabilities()
    message: Mapping[str, Any] | None = None

    @property
    def failed_phase(self) -> Phase | None:
        return next((phase for phase in self.phases if phase.status == "fail"), None)

    def __str__(self) -> str:
        reader = f" of {self.connector}" if self.connector else ""
        return f"{self.protocol} {self.host} {self.port}{reader}"


@dataclass(frozen=True)
class ResultWarning:
    """Something that works and needs attention."""

    code: str
    text: str


@dataclass(frozen=True)
class Alternative:
    """A pair of port and security at which the host answers instead."""

    protocol: str
    port: int
    security: str


@dataclass(frozen=True)
class Application:
    """An application that a connector was written to; `current` is false where its settings are old."""

    app: str
    host: str = ""
    place: str = ""
    purpose: str = ""
    tenant: str = ""
    written_at: str = ""
    current: bool | None = None


@dataclass(frozen=True)
class Run:
    """An earlier test, or this one, as the registry keeps it."""

    at: str
    host: str
    status: str
    verdict: str
    ms: float


@dataclass(frozen=True)
class Health:
    """How a connector did until now, as the registry keeps it."""

    status: str
    verdict: str = ""
    since: str = ""
    checked_at: str = ""
    last_ok_at: str = ""
    failures_in_a_row: int = 0
    expires: str = ""
    host: str = ""
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, eq=False)
class Result:
    """The outcome of testing one connector from one host, and what the registry knows about the connector.

    Results are compared by identity, because what they hold cannot be hashed.
    """

    connector: str
    status: Status
    verdict: str = "ok"
    field: str = ""
    certainty: str = "certain"
    remedy: str = ""
    warnings: tuple[ResultWarning, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    deliver_via: str = ""
    depth: str = ""
    elapsed_ms: float = 0
    endpoints: tuple[Endpoint, ...] = ()
    host: str = ""
    environments: tuple[str, ...] = ()
    display_name: str = ""
    purposes: tuple[str, ...] = ()
    is_default: bool = False
    protocols: tuple[str, ...] = ()
    """The declared protocols, also where no server was reached."""
    secret_expires: str = ""
    applications: tuple[Application, ...] = ()
    health: Health | None = None

    @property
    def failure(self) -> tuple[Endpoint, Phase] | None:
        """The server and phase that failed first."""
        for endpoint in self.endpoints:
            phase = endpoint.failed_phase
            if phase:
                return endpoint, phase
        return None

    @property
    def where(self) -> str:
        """The server and phase that failed, or all servers that were asked."""
        if self.failure:
            endpoint, phase = self.failure
            return f"{endpoint}, {phase.phase}"
        if self.field == "deliver_via" and self.deliver_via:
            return f"mailbox of {self.deliver_via}"
        return " and ".join(map(str, self.endpoints))

    @property
    def shown_verdict(self) -> str:
        """The verdict, or what the warnings are about."""
        if self.status != "warn":
            return self.verdict
        return ", ".join(dict.fromkeys(warning.code for warning in self.warnings)) or self.verdict


@dataclass(frozen=True)
class Host:
    """A host of the play; `tested_from` is the host that has tested for it, blank if none has."""

    name: str
    environments: tuple[str, ...] = ()
    tested_from: str = ""


@dataclass(frozen=True)
class Report:
    """The results of all hosts, the worst first."""

    generated_at: str
    hosts: tuple[Host, ...]
    results: tuple[Result, ...]

    @property
    def counts(self) -> dict[str, int]:
        return count_statuses(self.results)

    @property
    def untested_hosts(self) -> list[str]:
        return [host.name for host in self.hosts if not host.tested_from]

    @property
    def is_broken(self) -> bool:
        return bool(self.counts["fail"] or self.untested_hosts)


def count_statuses(results: Sequence[Result]) -> dict[str, int]:
    """How many results there are of each status."""
    counts: dict[str, int] = dict.fromkeys(reversed(STATUSES), 0)
    for result in results:
        counts[result.status] += 1
    return counts


def worst_first(results: Sequence[Result]) -> list[Result]:
    """The results by status; those of a status stay in their order."""
    return sorted(results, key=lambda result: STATUSES.index(result.status))


def parse_report(now: str, outcomes: Mapping[str, Mapping[str, Any]]) -> Report:
    """The report on what is known of each host: when it was tested, its environments, results, and connectors.

    A host whose results cannot be parsed counts as untested, as do those that it has tested for; all others are
    reported.
    """
    generated_at = max((_text(outcome.get("at")) for outcome in outcomes.values()), default="") or now
    hosts: list[Host] = []
    results: list[Result] = []
    malformed: set[str] = set()
    for key, outcome in outcomes.items():
        name, environments = _text(key), _texts(outcome.get("environments"))
        tested = outcome.get("results")
        tested_from = _text(outcome.get("tested_from")) or (name if tested is not None else "")
        try:
            stored = {_text(each.get("name")): each for each in outcome.get("connectors") or ()}
            results += [
                parse_result(
                    each, host=name, environments=environments, stored=stored.get(_text(each.get("connector")))
                )
                for each in tested or ()
            ]
        except MALFORMED:
            malformed.add(name)
        hosts.append(Host(name, environments, tested_from))
    hosts = [replace(host, tested_from="") if host.tested_from in malformed else host for host in hosts]
    results.sort(key=lambda result: (STATUSES.index(result.status), result.connector, result.host))
    return Report(generated_at, tuple(hosts), tuple(results))


def parse_results(results: Sequence[Mapping[str, Any]]) -> list[Result]:
    """The results of a host, as connector_test returns them."""
    return [parse_result(result) for result in results]


def parse_result(
    given: Mapping[str, Any],
    *,
    host: str = "",
    environments: tuple[str, ...] = (),
    stored: Mapping[str, Any] | None = None,
) -> Result:
    """One result of connector_test, with what connector_info returns about the connector."""
    status = given["status"]
    if status not in STATUSES:
        raise ValueError(f"status: must be one of {', '.join(STATUSES)}")
    stored = stored or {}
    oauth2 = stored.get("oauth2") or {}
    return Result(
        connector=_text(given["connector"]),
        status=cast(Status, str(status)),
        verdict=_text(given.get("verdict")),
        field=_text(given.get("field")),
        certainty=_text(given.get("certainty")),
        remedy=_text(given.get("remedy")),
        warnings=tuple(ResultWarning(_text(each["code"]), _text(each["text"])) for each in given.get("warnings") or ()),
        alternatives=tuple(
            Alternative(_text(each["protocol"]), int(each["port"]), _text(each["security"]))
            for each in given.get("alternatives") or ()
        ),
        deliver_via=_text(given.get("deliver_via")),
        depth=_text(given.get("depth")),
        elapsed_ms=_number(given.get("elapsed_ms")),
        endpoints=tuple(map(_parse_endpoint, given.get("endpoints") or ())),
        host=host,
        environments=environments,
        display_name=_text(stored.get("display_name")),
        purposes=_texts(stored.get("purposes")),
        is_default=bool(stored.get("is_default")),
        protocols=tuple(name for name in ("smtp", "imap", "graph") if stored.get(name)),
        secret_expires=_text(oauth2.get("client_secret_expires")),
        applications=tuple(map(_parse_application, stored.get("applications") or ())),
        health=_parse_health(stored.get("health")),
    )


def _parse_endpoint(given: Mapping[str, Any]) -> Endpoint:
    offered = given.get("capabilities") or {}
    return Endpoint(
        protocol=_text(given["protocol"]),
        host=_text(given["host"]),
        port=int(given["port"]),
        address=_text(given.get("address")),
        connector=_text(given.get("connector")),
        phases=tuple(
            Phase(
                phase=_text(each["phase"]),
                status=_text(each["status"]),
                ms=_number(each.get("ms")),
                code=None if each.get("code") is None else int(each["code"]),
                enhanced=_text(each.get("enhanced")),
                text=_text(each.get("text")),
            )
            for each in given.get("phases") or ()
        ),
        tls=_parse_certificate(given.get("tls")),
        capabilities=Capabilities(_texts(offered.get("before_tls")), _texts(offered.get("after_tls"))),
        message=_parse_message(given.get("message")),
    )


def _parse_message(given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    # It is passed on as it is, so it has to be something that JSON can express.
    message: Mapping[str, Any] | None = json.loads(json.dumps(given, allow_nan=False))
    if message is not None and not isinstance(message, Mapping):
        raise ValueError("message: must be a dictionary")
    return message


def _parse_certificate(given: Mapping[str, Any] | None) -> Certificate | None:
    if not given:
        return None
    days = given.get("days_left")
    return Certificate(
        version=_text(given.get("version")),
        cipher=_text(given.get("cipher")),
        subject=_text(given.get("subject")),
        issuer=_text(given.get("issuer")),
        names=_texts(given.get("names")),
        not_after=_text(given.get("not_after")),
        days_left=None if days is None else int(days),
        fingerprint_sha256=_text(given.get("fingerprint_sha256")),
    )


def _parse_application(given: Mapping[str, Any]) -> Application:
    texts = {name: _text(given.get(name)) for name in ("app", "host", "place", "purpose", "tenant", "written_at")}
    current = given.get("current")
    return Application(**texts, current=None if current is None else bool(current))


def _parse_health(given: Mapping[str, Any] | None) -> Health | None:
    if not given:
        return None
    names = ("status", "verdict", "since", "checked_at", "last_ok_at", "expires", "host")
    runs = tuple(
        Run(**{name: _text(run.get(name)) for name in ("at", "host", "status", "verdict")}, ms=_number(run.get("ms")))
        for run in given.get("runs") or ()
    )
    texts = {name: _text(given.get(name)) for name in names}
    return Health(**texts, failures_in_a_row=int(given.get("failures_in_a_row") or 0), runs=runs)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(value: Any) -> float:
    number = float(value or 0)
    if not math.isfinite(number):
        raise ValueError("a duration must be a finite number")
    return number


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(_text, values or ()))


def own_endpoints(result: Result) -> Iterator[Endpoint]:
    """The servers of the connector itself, without the mailbox of another one."""
    return (endpoint for endpoint in result.endpoints if not endpoint.connector)
