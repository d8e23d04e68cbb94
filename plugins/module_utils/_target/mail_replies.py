# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What an application's words say of the mail server: those of Python's smtplib, of libcurl and of the system."""

from __future__ import annotations

import re
from typing import NamedTuple

from .._connector.resolved import Endpoint
from .._verdict.observation import Kind, Observation, PhaseName

MAX_READ_LENGTH = 2000


class _Words(NamedTuple):
    """Words, and what they mean; a group `code` or `text` is of the server's reply."""

    pattern: re.Pattern[str]
    kind: Kind
    phase: PhaseName


def _words(pattern: str, kind: Kind, phase: PhaseName) -> _Words:
    return _Words(re.compile(pattern, re.IGNORECASE | re.DOTALL), kind, phase)


_REPLY = r"\((?P<code>[245]\d\d), b?(?P<quote>['\"])(?P<text>.*?)(?P=quote)"
_QUOTED = r"\"(?P<code>[245]\d\d)[- ]?(?P<text>[^\"]*)\""
_RULES: tuple[_Words, ...] = (
    # smtplib: refused recipients, a refused sender, and all else, which the code tells apart.
    _words(rf"\{{'[^']*': {_REPLY}\)", "reply", "recipient"),
    _words(rf"{_REPLY}, ['\"]", "reply", "sender"),
    _words(r"\((?P<code>45[04]|43[0-9]|53[0-9]), b?(?P<quote>['\"])(?P<text>.*?)(?P=quote)\)", "reply", "auth"),
    _words(rf"{_REPLY}\)", "reply", "message"),
    _words("STARTTLS extension not supported", "starttls_missing", "starttls"),
    _words("SMTP AUTH extension not supported|No suitable authentication method", "no_mechanism", "auth"),
    # libcurl.
    _words(r"RCPT failed: (?P<code>[245]\d\d)", "reply", "recipient"),
    _words(r"MAIL failed: (?P<code>[245]\d\d)", "reply", "sender"),
    _words(r"(?:Access denied|Authentication cancelled|Login denied)[.:]? ?(?P<code>[245]\d\d)?", "reply", "auth"),
    _words(r"STARTTLS denied(?:, code |: )(?P<code>[245]\d\d)", "reply", "starttls"),
    _words(r"STARTTLS not supported", "starttls_missing", "starttls"),
    _words(r"Got unexpected smtp-server response: (?P<code>[245]\d\d)", "reply", "greeting"),
    _words(r"(?:DATA|weird server reply)\D*(?P<code>[45]\d\d)", "reply", "message"),
    # Zabbix without libcurl.
    _words(rf"wrong answer on RCPT TO {_QUOTED}", "reply", "recipient"),
    _words(rf"wrong answer on MAIL FROM {_QUOTED}", "reply", "sender"),
    _words(rf"wrong answer on (?:HELO|EHLO) {_QUOTED}", "reply", "ehlo"),
    _words(rf"wrong answer on (?:DATA|end of data) {_QUOTED}", "reply", "message"),
    _words("cannot resolve", "not_found", "dns"),
    # The name, the network and encryption.
    _words("could(?:n't| not) resolve host|name or service not known|nodename nor servname", "not_found", "dns"),
    _words("temporary failure in name resolution|try again", "name_temporary", "dns"),
    _words("connection refused|couldn't connect to server", "refused", "tcp"),
    _words("no route to host|network is unreachable", "unreachable", "tcp"),
    _words("wrong.version.number|unknown protocol|packet length too long", "speaks_plain", "tls"),
    _words(
        "certificate.verify.failed|SSL certificate problem|certificate subject name|certificate has expired"
        "|SSL: no alternative certificate",
        "certificate",
        "tls",
    ),
    _words("connection unexpectedly closed|server disconnected", "closed", "greeting"),
    _words("connection reset", "reset", "tcp"),
    _words("timed? ?out", "timeout", "tcp"),
    _words("SSL connect error|handshake failure", "tls", "tls"),
)
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
# OpenSSL's numbers of what is wrong with a certificate, by which the rules of verdicts tell them apart.
_CERTIFICATE_CODES = (
    (re.compile("expired", re.IGNORECASE), 10),
    (re.compile("not yet valid", re.IGNORECASE), 9),
    (re.compile("hostname|subject name|ip address mismatch", re.IGNORECASE), 62),
    (re.compile("self.signed certificate in", re.IGNORECASE), 19),
    (re.compile("self.signed", re.IGNORECASE), 18),
    (re.compile("."), 20),
)


def observation_in(text: str, server: Endpoint) -> Observation | None:
    """What an application's words, which are redacted, say of the mail server; None where they say nothing of it."""
    text = " ".join(text[:MAX_READ_LENGTH].split())
    for rule in _RULES:
        found = rule.pattern.search(text)
        if found:
            groups = found.groupdict()
            code = int(groups["code"]) if groups.get("code") else None
            said = groups.get("text") or ""
            enhanced = _ENHANCED.match(said)
            if rule.kind == "certificate":
                code = next(number for pattern, number in _CERTIFICATE_CODES if pattern.search(text))
            if rule.kind == "reply" and code is None:
                code = 535
            return Observation(
                rule.kind,
                rule.phase,
                server.protocol,
                code=code,
                enhanced=enhanced.group(1) if enhanced else "",
                text=said if rule.kind == "reply" else text,
                facts=server.facts(),
            )
    return None
