# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Warnings about what works and still needs attention."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timezone
from typing import NamedTuple

from .._connector.domain import canonical
from .._connector.resolved import Endpoint, Protocol
from .._protocol.session import Session
from .job import Job
from .result import ProbeWarning

_PLAIN_PORT = 25
_WEAK_HASHES = ("md5", "sha1")


def warnings_of(job: Job, endpoint: Endpoint, session: Session, min_days_valid: int) -> Iterator[ProbeWarning]:
    """The warnings about one server of a connector."""
    yield from _about_encryption(endpoint, session, min_days_valid)
    yield from _about_signing_in(endpoint, session)
    if job.connector.oauth2 and job.connector.oauth2.password:
        yield ProbeWarning(
            "user_password", "oauth2.password works only without multi-factor sign-in and is being retired"
        )
    if endpoint.auth == "oauth2":
        yield from _about_client_secret(job, min_days_valid)
    if endpoint.protocol == "smtp":
        smtp, sender = job.connector.smtp, job.connector.from_address
        if smtp and job.connector.sends_for_another_domain:
            yield ProbeWarning(
                "from_domain_differs",
                f"smtp: from_address is in {_domain(sender)} and the user in {_domain(smtp.username)}: the server may"
                " refuse it, or receivers may take the mail for forged; set relay if the server relays for this domain",
            )
        if smtp and not smtp.is_security_declared and (endpoint.port, endpoint.security) == (_PLAIN_PORT, "starttls"):
            yield ProbeWarning(
                "security_assumed",
                f"smtp: without security, port {_PLAIN_PORT} means starttls, as the connection must be encrypted; write"
                " security: starttls if that is right, or security: none for a server that offers no encryption",
            )


def _about_encryption(endpoint: Endpoint, session: Session, min_days_valid: int) -> Iterator[ProbeWarning]:
    where = f"{endpoint.protocol}: "
    if endpoint.security == "starttls_optional":
        state = "is encrypted now" if session.is_encrypted else "is not encrypted"
        yield ProbeWarning("starttls_optional", f"{where}encryption is not required, and the connection {state}")
    if not endpoint.trust.validate and endpoint.security != "none":
        yield ProbeWarning(
            "certificate_unchecked", f"{where}validate_certs is off, so another server can pose as this one"
        )
    tls = session.tls or {}
    days = tls.get("days_left")
    if days is not None and 0 <= days < min_days_valid:
        yield ProbeWarning("certificate_ends", f"{where}the certificate expires in {days} days, on {tls['not_after']}")
    if days is not None and days < 0 and not endpoint.trust.validate:
        yield ProbeWarning("certificate_ends", f"{where}the certificate has expired, on {tls['not_after']}")
    if tls.get("signature_hash") in _WEAK_HASHES:
        yield ProbeWarning("certificate_weak", f"{where}the certificate is signed with {tls['signature_hash'].upper()}")
    if tls.get("version") and tls["version"] != "TLSv1.3":
        yield ProbeWarning("tls_old", f"{where}the server offers nothing newer than {tls['version']}")


def _about_signing_in(endpoint: Endpoint, session: Session) -> Iterator[ProbeWarning]:
    if not session.has_sent_credentials:
        return
    where = f"{endpoint.protocol}: "
    if not session.is_encrypted:
        yield ProbeWarning(
            "cleartext_login", f"{where}the credentials are sent without encryption and can be read on the network"
        )
    if endpoint.auth != "password":
        return
    retirement = retirement_of(endpoint.host, endpoint.protocol)
    if retirement:
        yield ProbeWarning(
            "basic_auth_retirement", f"{where}{retirement.text} (as announced on {retirement.announced})"
        )


def _about_client_secret(job: Job, min_days_valid: int) -> Iterator[ProbeWarning]:
    expires = job.connector.oauth2.client_secret_expires if job.connector.oauth2 else ""
    if not expires:
        return
    days = (date.fromisoformat(expires) - datetime.now(timezone.utc).date()).days
    if days < 0:
        yield ProbeWarning("client_secret_ends", f"oauth2.client_secret has expired, on {expires} as declared")
    elif days < min_days_valid:
        yield ProbeWarning(
            "client_secret_ends", f"oauth2.client_secret expires in {days} days, on {expires} as declared"
        )


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


class Retirement(NamedTuple):
    """What a provider has announced about signing in with a password."""

    hosts: tuple[str, ...]
    protocols: tuple[str, ...]
    announced: str
    text: str


RETIREMENTS: tuple[Retirement, ...] = (
    Retirement(
        (".office365.com", ".outlook.com"),
        ("smtp",),
        "2026-01-27",
        "Microsoft turns SMTP sign-in by password off by default at the end of December 2026, and will announce in"
        " the second half of 2027 when it ends for good: move to oauth2 or graph",
    ),
    Retirement(
        (".office365.com", ".outlook.com"),
        ("imap",),
        "2022-10-01",
        "Microsoft no longer accepts passwords over IMAP: move to oauth2 or graph",
    ),
)


def retirement_of(host: str, protocol: Protocol) -> Retirement | None:
    name = f".{canonical(host)}"
    return next(
        (each for each in RETIREMENTS if protocol in each.protocols and name.endswith(each.hosts)),
        None,
    )
