# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""From an observation to a verdict: the first rule that fits, of those for its kind, protocol, phase and provider."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .connection_rules import CONNECTION_RULES
from .google_rules import GOOGLE_TOKEN_RULES
from .graph_rules import GRAPH_RULES
from .imap_rules import IMAP_RULES
from .microsoft_rules import MICROSOFT_TOKEN_RULES, PERSONAL_ACCOUNT
from .observation import Observation
from .rule import OTHER_REPLIES, POSSIBLE, Rule
from .smtp_rules import SMTP_RULES, SMTP_WITHOUT_SIGN_IN
from .table import REMEDIES
from .token_rules import REFUSED_TOKEN_RULES, TOKEN_CONNECTION_RULES, TOKEN_RULES

MOST_LISTED = 10
LONGEST_TEXT = 600
SAYS = " The server says: {text}"
# What comes later in a reply is its signature, and the rules' patterns should not have to search for long.
LONGEST_JUDGED = 2000
_PERSONAL_DOMAIN = re.compile(r"(outlook|hotmail|live|msn|windowslive|passport)(\.[a-z]{2,3}){1,2}", re.IGNORECASE)
_PERSONAL_HOSTS = ("smtp-mail.outlook.com", "imap-mail.outlook.com")
_MICROSOFT_HOSTS = ("office365.com", "outlook.com", "live.com", "hotmail.com")
# Where no rule fits there is a gap, which is ours: each kind has a rule that fits whatever else was observed.
NO_RULE = Rule(
    "internal_error",
    POSSIBLE,
    (),
    remedy=(
        "No rule of this collection knows what was observed in {phase} ({kind}): report that, with the server's words:"
        " {text}"
    ),
)


class Diagnosis(NamedTuple):
    """A verdict, how certain it is, and what to do."""

    verdict: str
    certainty: str
    remedy: str


def judge(observation: Observation) -> Diagnosis:
    """What an observation most likely means."""
    rule = next((rule for rule in rules_for(observation) if fits(rule, observation)), NO_RULE)
    remedy = rule.remedy or REMEDIES[rule.verdict]
    if observation.kind == "reply" and observation.text.strip() and "{text}" not in remedy:
        remedy += SAYS
    if rule.verdict == "auth_rejected":
        said = SAYS if remedy.endswith(SAYS) else ""
        remedy = remedy.removesuffix(SAYS) + _about_mechanism(observation) + said
    return Diagnosis(rule.verdict, rule.certainty, _filled(remedy, observation))


def rules_for(observation: Observation) -> tuple[Rule, ...]:
    """The rules that may hold, in order."""
    kind, phase = observation.kind, observation.phase
    if kind == "reply":
        return _reply_rules(observation)
    if kind == "token":
        return (*MICROSOFT_TOKEN_RULES, *TOKEN_RULES)
    if kind == "token_google":
        return (*GOOGLE_TOKEN_RULES, *TOKEN_RULES)
    if kind in ("token_refused", "token_refused_microsoft", "token_refused_google"):
        return REFUSED_TOKEN_RULES
    # Trouble on the way to the token endpoint is not the mail server's, and Graph's is of another sort than SMTP's.
    first = TOKEN_CONNECTION_RULES if phase == "token" or kind == "no_identity_service" else ()
    of_graph = GRAPH_RULES if kind == "graph" or observation.protocol == "graph" else ()
    return (*first, *of_graph, *CONNECTION_RULES)


def _reply_rules(observation: Observation) -> tuple[Rule, ...]:
    """The rules for a server's reply, by its protocol and phase, before any of its words is looked at."""
    phase = observation.phase
    first: tuple[Rule, ...] = ()
    if observation.protocol == "smtp" and observation.facts.get("auth") == "none":
        first = SMTP_WITHOUT_SIGN_IN.get(phase, ())
    if _is_personal_account(observation):
        first = (*first, *PERSONAL_ACCOUNT.get((observation.protocol, phase), ()))
    rules = {"smtp": SMTP_RULES, "imap": IMAP_RULES}.get(observation.protocol, {})
    return (*first, *rules.get(phase, OTHER_REPLIES))


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


def fits(rule: Rule, observation: Observation) -> bool:
    reply = (
        f"{observation.code or ''} {observation.enhanced}"
        if observation.code or not observation.enhanced
        else observation.enhanced
    )
    return (
        observation.kind in rule.kinds
        and (not rule.phases or observation.phase in rule.phases)
        and _matches(rule.reply, reply)
        and _matches(rule.text, " ".join(observation.text[:LONGEST_JUDGED].split()), anywhere=True)
    )


def _matches(pattern: str, value: str, *, anywhere: bool = False) -> bool:
    if not pattern:
        return True
    find = re.search if anywhere else re.match
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
