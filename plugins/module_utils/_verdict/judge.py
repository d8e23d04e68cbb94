# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""From an observation to a verdict: the first line of the table that fits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .graph_lines import GRAPH_LINES
from .line import POSSIBLE, Line
from .lines import LINES
from .observed import Signal
from .reply_rules import OTHER_PHASES, PERSONAL_ACCOUNT, REPLY_RULES, WITHOUT_SIGN_IN
from .table import VERDICTS
from .token_lines import TOKEN_LINES

MOST_LISTED = 10
LONGEST_TEXT = 600
SAYS = " The server says: {text}"
# What comes later in a reply is its signature, and the rules' patterns should not have to search for long.
LONGEST_JUDGED = 2000
_PERSONAL_DOMAIN = re.compile(r"(outlook|hotmail|live|msn|windowslive|passport)(\.[a-z]{2,3}){1,2}", re.IGNORECASE)
_PERSONAL_HOSTS = ("smtp-mail.outlook.com", "imap-mail.outlook.com")
_MICROSOFT_HOSTS = ("office365.com", "outlook.com", "live.com", "hotmail.com")
TABLE = (*TOKEN_LINES, *GRAPH_LINES, *LINES)

# Where no line fits the tables have a gap, which is ours: each kind has a line that fits whatever else was observed.
NO_LINE = Line(
    "internal_error",
    POSSIBLE,
    (),
    remedy=(
        "No rule of this collection knows what was observed in {phase} ({kind}): report that, with the server's words:"
        " {text}"
    ),
)


class Finding(NamedTuple):
    """A verdict, how certain it is, and what to do."""

    verdict: str
    certainty: str
    remedy: str


def judge(signal: Signal) -> Finding:
    """What an observation most likely means."""
    line = next((line for line in rules_for(signal) if _fits(line, signal)), NO_LINE)
    remedy = line.remedy or VERDICTS[line.verdict].remedy
    if signal.kind == "reply" and signal.text.strip() and "{text}" not in remedy:
        remedy += SAYS
    if line.verdict == "auth_rejected":
        said = SAYS if remedy.endswith(SAYS) else ""
        remedy = remedy.removesuffix(SAYS) + _about_mechanism(signal) + said
    return Finding(line.verdict, line.certainty, _filled(remedy, signal))


def rules_for(signal: Signal) -> tuple[Line, ...]:
    """The rules that may hold: for a server's reply those of its protocol and phase, before any of its words."""
    if signal.kind != "reply":
        return TABLE
    where = (signal.protocol, signal.phase)
    first = WITHOUT_SIGN_IN.get(where, ()) if signal.facts.get("auth") == "none" else ()
    if _is_personal_account(signal):
        first = (*first, *PERSONAL_ACCOUNT.get(where, ()))
    return (*first, *REPLY_RULES.get(where, OTHER_PHASES))


def _is_personal_account(signal: Signal) -> bool:
    """Whether the user has a personal account of Microsoft, which belongs to no organisation."""
    domain = str(signal.facts.get("username", "")).rpartition("@")[2]
    host = str(signal.facts.get("host", "")).lower().rstrip(".")
    return host in _PERSONAL_HOSTS or (host.endswith(_MICROSOFT_HOSTS) and bool(_PERSONAL_DOMAIN.fullmatch(domain)))


def _about_mechanism(signal: Signal) -> str:
    """Which way to sign in was refused: some servers announce one that they cannot do."""
    if signal.kind not in ("reply", "refused_proof") or not signal.facts.get("mechanism"):
        return ""
    if not signal.facts.get("other_mechanisms"):
        return " The sign-in used {mechanism}."
    return (
        " The sign-in used {mechanism}; the server offers {other_mechanisms} too. Some announce a way that they cannot"
        " do: if the password is right, name another in mechanisms."
    )


def _fits(line: Line, signal: Signal) -> bool:
    reply = f"{signal.code or ''} {signal.enhanced}" if signal.code or not signal.enhanced else signal.enhanced
    return (
        signal.kind in line.kinds
        and _matches(line.phases, signal.phase, whole=True)
        and _matches(line.reply, reply)
        and _matches(line.text, " ".join(signal.text[:LONGEST_JUDGED].split()), anywhere=True)
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
        "kind": signal.kind,
        "phase": signal.phase or "the conversation",
        "text": " ".join(signal.text.split())[:LONGEST_TEXT] or "nothing more",
    }
    return remedy.format_map(_Known(known))


def _listed(value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        several = [str(each) for each in value]
        more = f" and {len(several) - MOST_LISTED} more" if len(several) > MOST_LISTED else ""
        value = ", ".join(several[:MOST_LISTED]) + more or "none"
    return " ".join(str(value).split()) or "not known"
