# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""From an observation to a verdict: the first line of the table that fits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .signal import Signal
from .table import VERDICTS

CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"


class Finding(NamedTuple):
    """A verdict, how certain it is, and what to do."""

    verdict: str
    certainty: str
    remedy: str


class _Line(NamedTuple):
    """What follows, and what must fit for it: patterns, of which an empty one fits everything."""

    verdict: str
    certainty: str
    kind: str
    phases: str = ""
    reply: str = ""
    text: str = ""
    remedy: str = ""


_SWITCHED_OFF = (
    "SMTP sign-in by password is switched off for the organisation or the mailbox. In Exchange Online, in this"
    " order: security defaults, Set-TransportConfig -SmtpClientAuthenticationDisabled $false, Set-CASMailbox"
    " -SmtpClientAuthenticationDisabled $false for the mailbox; changes take a quarter of an hour. Better: sign in"
    " with oauth2."
)

# Replies are matched as "CODE ENHANCED", such as "535 5.7.8" or "535 "; IMAP's response codes as "NO [CODE]".
_LINES: tuple[_Line, ...] = (
    _Line("config_invalid", CERTAIN, "config"),
    _Line("dns_not_found", CERTAIN, "not_found"),
    _Line("dns_temporary", LIKELY, "name_temporary"),
    _Line("proxy_failed", CERTAIN, "proxy"),
    _Line("connect_refused", CERTAIN, "refused"),
    _Line("connect_unreachable", CERTAIN, "unreachable"),
    _Line("security_mismatch", CERTAIN, "speaks_tls"),
    _Line("security_mismatch", CERTAIN, "speaks_plain"),
    _Line("starttls_injection", CERTAIN, "injection"),
    _Line("starttls_missing", CERTAIN, "starttls_missing"),
    _Line("dns_temporary", LIKELY, "timeout", phases="dns"),
    _Line("connect_timeout", LIKELY, "timeout", phases="tcp"),
    _Line("greeting_timeout", LIKELY, "timeout", phases="greeting"),
    _Line("tls_timeout", LIKELY, "timeout", phases="tls"),
    _Line("response_timeout", LIKELY, "timeout"),
    _Line("connection_reset", LIKELY, "reset|closed"),
    _Line("tls_expired", CERTAIN, "certificate", reply="10 "),
    _Line("tls_not_yet_valid", CERTAIN, "certificate", reply="9 "),
    _Line("tls_name_mismatch", CERTAIN, "certificate", reply="(62|63|64) "),
    _Line(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="18 ",
        remedy="The server's certificate is signed by itself: name it with ca_file if you know it, or have one issued.",
    ),
    _Line(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="6[5-8] ",
        remedy=(
            "The certificate's key or signature is too weak to be trusted: have it issued anew with SHA-256 and a"
            " longer key."
        ),
    ),
    _Line(
        "tls_untrusted",
        CERTAIN,
        "certificate",
        reply="(79|8[0-9]|9[0-9]) ",
        remedy=(
            "A certificate in the chain does not follow today's rules, which newer Pythons insist on ({text}):"
            " have the authority's certificate issued anew."
        ),
    ),
    _Line("tls_untrusted", CERTAIN, "certificate"),
    _Line("tls_version", CERTAIN, "tls", text="PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE"),
    _Line("tls_handshake", LIKELY, "tls", text="CERTIFICATE_REQUIRED|BAD_CERTIFICATE|HANDSHAKE_FAILURE"),
    _Line("tls_handshake", CERTAIN, "tls"),
    _Line("auth_unsupported", CERTAIN, "no_mechanism"),
    _Line("auth_disabled", CERTAIN, "login_disabled"),
    _Line(
        "auth_rejected",
        CERTAIN,
        "server_signature",
        remedy=(
            "The server could not prove that it knows the password: it is not the server that it says it is, or"
            " its user database is damaged. Do not use it."
        ),
    ),
    _Line("config_invalid", CERTAIN, "unfit_secret"),
    _Line(
        "protocol_error",
        CERTAIN,
        "other_protocol",
        remedy="{speaks} answers on port {port} of {host}: set port to that of {protocol}.",
    ),
    _Line(
        "protocol_error",
        LIKELY,
        "protocol",
        phases="auth",
        remedy=(
            "The server breaks the rules of the way to sign in ({text}). Name another in mechanisms, such as PLAIN"
            " over an encrypted connection, and have the server updated."
        ),
    ),
    _Line("protocol_error", LIKELY, "protocol"),
    _Line("tls_handshake", LIKELY, "reply", text="client certificate"),
    _Line("greeting_rejected", CERTAIN, "reply", phases="greeting"),
    _Line("starttls_refused", CERTAIN, "reply", phases="starttls"),
    _Line("throttled", POSSIBLE, "reply", reply="421"),
    _Line(
        "auth_disabled",
        CERTAIN,
        "reply",
        phases="auth",
        reply=r"535 5\.7\.139(?!\d)",
        text="SmtpClientAuthentication is disabled",
        remedy=_SWITCHED_OFF,
    ),
    _Line(
        "auth_disabled",
        CERTAIN,
        "reply",
        phases="auth",
        reply=r"535 5\.7\.139(?!\d)",
        text="security defaults",
        remedy=_SWITCHED_OFF,
    ),
    _Line("auth_disabled", LIKELY, "reply", phases="auth", reply=r"535 5\.7\.139(?!\d)", remedy=_SWITCHED_OFF),
    _Line(
        "auth_disabled",
        CERTAIN,
        "reply",
        reply=r"... 5\.7\.30(?!\d)",
        remedy="The provider no longer accepts passwords here: sign in with oauth2, or send over graph.",
    ),
    _Line(
        "auth_rejected",
        CERTAIN,
        "reply",
        text="app(lication)?-specific password",
        remedy="Two-step sign-in is on for {username}: create an app password and give that as password.",
    ),
    _Line("throttled", LIKELY, "reply", reply=r"432 4\.3\.2(?!\d)"),
    _Line(
        "security_mismatch",
        CERTAIN,
        "reply",
        reply="530|538",
        text="starttls|encryption",
        remedy="The server only goes on over an encrypted connection: set security to starttls.",
    ),
    _Line("auth_temporary", LIKELY, "reply", phases="auth", reply=r"BYE \[UNAVAILABLE\]"),
    _Line("throttled", LIKELY, "reply", phases="auth", reply="4..", text="too many|rate limit|concurrent"),
    _Line("auth_temporary", CERTAIN, "reply", phases="auth", reply="(454|432|451|450|4..)"),
    _Line("auth_temporary", CERTAIN, "reply", phases="auth", reply=r"NO \[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\]"),
    _Line(
        "auth_disabled",
        CERTAIN,
        "reply",
        phases="auth",
        reply=r"NO \[PRIVACYREQUIRED\]",
        remedy="The server only lets users sign in over an encrypted connection: set security to starttls or tls.",
    ),
    _Line(
        "auth_rejected",
        CERTAIN,
        "reply",
        phases="auth",
        reply=r"NO \[EXPIRED\]",
        remedy="The password of {username} has expired: set a new one.",
    ),
    _Line("auth_disabled", LIKELY, "reply", phases="auth", reply=r"NO \[(CONTACTADMIN|AUTHORIZATIONFAILED)\]"),
    _Line("auth_unsupported", CERTAIN, "reply", phases="auth", reply="538|534"),
    _Line("auth_unsupported", LIKELY, "reply", phases="auth", reply="50[0-4]"),
    _Line("auth_rejected", LIKELY, "reply", phases="auth"),
    _Line("auth_required", CERTAIN, "reply", reply="530"),
    _Line("auth_required", CERTAIN, "reply", reply=r"5.. 5\.7\.57(?!\d)"),
    _Line(
        "auth_required",
        LIKELY,
        "reply",
        phases="sender|recipient",
        text="auth(entication)? (is )?required|not authenticated|must authenticate|log ?in first",
    ),
    _Line("mailbox_missing", CERTAIN, "reply", phases="select", reply=r"NO \[(NONEXISTENT|TRYCREATE)\]"),
    _Line("mailbox_denied", CERTAIN, "reply", phases="select", reply=r"NO \[NOPERM\]"),
    _Line("mailbox_full", CERTAIN, "reply", phases="select", reply=r"NO \[OVERQUOTA\]"),
    _Line(
        "mailbox_denied",
        LIKELY,
        "reply",
        phases="select",
        reply=r"NO \[(SERVERBUG|UNAVAILABLE|CONTACTADMIN)\]",
        remedy="The server cannot open this mailbox just now: look into its log. It says: {text}",
    ),
    _Line("mailbox_denied", LIKELY, "reply", phases="select", text="permission|denied|not allowed"),
    _Line("mailbox_missing", LIKELY, "reply", phases="select"),
    _Line("mailbox_full", CERTAIN, "reply", phases="recipient|message", reply=r"(452|552|...) [45]\.2\.2(?!\d)"),
    _Line("message_too_large", CERTAIN, "reply", reply=r"... 5\.3\.4(?!\d)|552 5\.2\.3(?!\d)|523"),
    _Line("message_too_large", LIKELY, "reply", phases="sender|message", reply="552"),
    _Line("mailbox_full", LIKELY, "reply", phases="recipient", reply="552"),
    _Line(
        "sender_rejected",
        LIKELY,
        "reply",
        phases="recipient",
        text="sender address rejected|not owned|send ?as|not allowed to send",
    ),
    _Line("relay_denied", CERTAIN, "reply", phases="recipient", text="relay"),
    _Line("relay_denied", LIKELY, "reply", phases="recipient", reply=r"454 4\.7\.1(?!\d)|55. 5\.7\.1(?!\d)"),
    _Line(
        "throttled",
        LIKELY,
        "reply",
        reply="4..",
        text="rate|too many|too much|concurrent|slow down|gr[ea]ylist|try again",
    ),
    _Line("throttled", POSSIBLE, "reply", phases="sender|recipient|message", reply="4.."),
    _Line("sender_rejected", CERTAIN, "reply", phases="sender"),
    _Line("recipient_rejected", CERTAIN, "reply", phases="recipient"),
    _Line("sender_rejected", LIKELY, "reply", phases="message", reply=r"5.. 5\.2\.252(?!\d)"),
    _Line("message_rejected", CERTAIN, "reply", phases="message"),
    _Line("protocol_error", LIKELY, "reply"),
    _Line("internal_error", CERTAIN, "internal"),
)


def judge(signal: Signal) -> Finding:
    """What an observation most likely means."""
    line = next((line for line in _LINES if _fits(line, signal)), _LINES[-1])
    remedy = line.remedy or VERDICTS[line.verdict].remedy
    return Finding(line.verdict, line.certainty, _filled(remedy, signal))


def _fits(line: _Line, signal: Signal) -> bool:
    reply = f"{signal.code or ''} {signal.enhanced}" if signal.code or not signal.enhanced else signal.enhanced
    return (
        _matches(line.kind, signal.kind, whole=True)
        and _matches(line.phases, signal.phase, whole=True)
        and _matches(line.reply, reply)
        and _matches(line.text, signal.text, anywhere=True)
    )


def _matches(pattern: str, value: str, *, whole: bool = False, anywhere: bool = False) -> bool:
    if not pattern:
        return True
    find = re.fullmatch if whole else re.search if anywhere else re.match
    return find(pattern, value, re.IGNORECASE) is not None


class _Known(dict[str, Any]):
    """What a remedy may speak of; what is not known is said to be so."""

    def __missing__(self, key: str) -> str:
        return "not known"


def _filled(remedy: str, signal: Signal) -> str:
    known: Mapping[str, Any] = {
        **{key: _listed(value) for key, value in signal.facts.items()},
        "phase": signal.phase or "the conversation",
        "text": " ".join(signal.text.split()) or "nothing more",
    }
    return remedy.format_map(_Known(known))


def _listed(value: Any) -> str:
    several = isinstance(value, Iterable) and not isinstance(value, str)
    text = ", ".join(str(each) for each in value) if several else str(value)
    return " ".join(text.split()) or "not known"
