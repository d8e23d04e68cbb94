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
from .observation import Observation
from .reply_rules import OTHER_PHASES, PERSONAL_ACCOUNT, REPLY_RULES, WITHOUT_SIGN_IN
from .table import REMEDIES
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


def judge(observation: Observation) -> Finding:
    """What an observation most likely means."""
    line = next((line for line in rules_for(observation) if _fits(line, observation)), NO_LINE)
    remedy = line.remedy or REMEDIES[line.verdict]
    if observation.kind == "reply" and observation.text.strip() and "{text}" not in remedy:
        remedy += SAYS
    if line.verdict == "auth_rejected":
        said = SAYS if remedy.endswith(SAYS) else ""
        remedy = remedy.removesuffix(SAYS) + _about_mechanism(observation) + said
    return Finding(line.verdict, line.certainty, _filled(remedy, observation))


def rules_for(observation: Observation) -> tuple[Line, ...]:
    """The rules that may hold: for a server's reply those of its protocol and phase, before any of its words."""
    if observation.kind != "reply":
        return TABLE
    where = (observation.protocol, observation.phase)
    first = WITHOUT_SIGN_IN.get(where, ()) if observation.facts.get("auth") == "none" else ()
    if _is_personal_account(observation):
        first = (*first, *PERSONAL_ACCOUNT.get(where, ()))
    return (*first, *REPLY_RULES.get(where, OTHER_PHASES))


def _is_personal_account(observation: Observation) -> bool:
    """Whether the user has a personal account of Microsoft, which belongs to no organisation."""
    domain = str(observation.facts.get("username", "")).rpartition("@")[2]
    host = str(observation.facts.get("host", "")).lower().rstrip(".")
    return host in _PERSONAL_HOSTS or (host.endswith(_MICROSOFT_HOSTS) and bool(_PERSONAL_DOMAIN.fullmatch(domain)))


def _about_mechanism(observation: Observation) -> str:
    """Which way to sign in was refused: some servers announce one that they cannot do."""
    if observation.kind not in ("reply", "refused_proof") or not observation.facts.get("mechanism"):
        return ""
    if not observation.facts.get("other_mechanisms"):
        return " The sign-in used {mechanism}."
    return (
        " The sign-in used {mechanism}; the server offers {other_mechanisms} too. Some announce a way that they cannot"
        " do: if the password is right, name another in mechanisms."
    )


def _fits(line: Line, observation: Observation) -> bool:
    reply = (
        f"{observation.code or ''} {observation.enhanced}"
        if observation.code or not observation.enhanced
        else observation.enhanced
    )
    return (
        observation.kind in line.kinds
        and _matches(line.phases, observation.phase, whole=True)
        and _matches(line.reply, reply)
        and _matches(line.text, " ".join(observation.text[:LONGEST_JUDGED].split()), anywhere=True)
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


def _filled(remedy: str, observation: Observation) -> str:
    known: Mapping[str, Any] = {
        **{key: _listed(value) for key, value in observation.facts.items()},
        "kind": observation.kind,
        "phase": observation.phase or "the conversation",
        "text": " ".join(observation.text.split())[:LONGEST_TEXT] or "nothing more",
    }
    return remedy.format_map(_Known(known))


def _listed(value: Any) -> str:
    if isinstance(value, Iterable) and not isinstance(value, str):
        several = [str(each) for each in value]
        more = f" and {len(several) - MOST_LISTED} more" if len(several) > MOST_LISTED else ""
        value = ", ".join(several[:MOST_LISTED]) + more or "none"
    return " ".join(str(value).split()) or "not known"
