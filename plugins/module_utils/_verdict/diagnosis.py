# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Diagnose an observation: the first matching rule for its kind, protocol, phase and provider gives the verdict."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from .connection_rules import CONNECTION_RULES
from .google_rules import GOOGLE_TOKEN_RULES
from .graph_rules import GRAPH_RULES
from .imap_rules import IMAP_RULES
from .microsoft_rules import MICROSOFT_TOKEN_RULES, PERSONAL_ACCOUNT, is_personal_account
from .observation import Observation
from .rule import OTHER_REPLIES, POSSIBLE, SERVER_SAYS, Rule
from .smtp_rules import SMTP_RULES, SMTP_WITHOUT_SIGN_IN
from .table import REMEDIES
from .token_rules import REFUSED_TOKEN_RULES, TOKEN_CONNECTION_RULES, TOKEN_RULES

MOST_LISTED = 10
LONGEST_TEXT = 600
UNKNOWN = "not known"
FACT_IN_PARENTHESES = re.compile(r" \(\{(\w+)\}\)")
ONLY_MECHANISM = " The sign-in used {mechanism}."
ONE_OF_SEVERAL_MECHANISMS = (
    " The sign-in used {mechanism}; the server also offers {other_mechanisms}. Some servers offer mechanisms that do"
    " not work: if the password is right, set another one in mechanisms."
)
# Only the beginning of a reply is matched, so that long replies do not make the patterns slow.
LONGEST_MATCHED = 2000
# Used only if a rule is missing: each kind has a rule that matches whatever else was observed.
NO_RULE = Rule(
    "internal_error",
    POSSIBLE,
    (),
    remedy=(
        "mailroom.core has no rule for what was observed in {phase} ({kind}). Report this with the server's text:"
        " {text}"
    ),
)


class Diagnosis(NamedTuple):
    """A verdict, how certain it is, and what to do."""

    verdict: str
    certainty: str
    remedy: str


def diagnose(observation: Observation) -> Diagnosis:
    """Find the verdict of an observation, and fill in the remedy."""
    rule = next((rule for rule in rules_for(observation) if matches(rule, observation)), NO_RULE)
    remedy, facts = rule.remedy or REMEDIES[rule.verdict], observation.facts
    says = SERVER_SAYS if remedy.endswith(SERVER_SAYS) else ""
    if observation.kind == "reply" and observation.text.strip() and "{text}" not in remedy:
        says = SERVER_SAYS
    remedy = remedy.removesuffix(SERVER_SAYS)
    is_about_mechanism = rule.verdict == "auth_rejected" and observation.kind in ("reply", "refused_proof")
    if is_about_mechanism and facts.get("mechanism"):
        remedy += ONE_OF_SEVERAL_MECHANISMS if facts.get("other_mechanisms") else ONLY_MECHANISM
    values: dict[str, str] = defaultdict(lambda: UNKNOWN)
    values.update((key, _format_fact(value)) for key, value in facts.items())
    values["kind"] = observation.kind
    values["phase"] = observation.phase or "the session"
    values["text"] = " ".join(observation.text.split())[:LONGEST_TEXT] or "nothing"
    known = FACT_IN_PARENTHESES.sub(lambda fact: "" if values[fact[1]] == UNKNOWN else fact[0], remedy + says)
    return Diagnosis(rule.verdict, rule.certainty, known.format_map(values))


def rules_for(observation: Observation) -> tuple[Rule, ...]:
    """The rules for an observation's kind, protocol, phase and provider, in order."""
    kind, protocol, phase = observation.kind, observation.protocol, observation.phase
    if kind == "token":
        return (*MICROSOFT_TOKEN_RULES, *TOKEN_RULES)
    if kind == "token_google":
        return (*GOOGLE_TOKEN_RULES, *TOKEN_RULES)
    if kind in ("token_refused", "token_refused_microsoft", "token_refused_google"):
        return REFUSED_TOKEN_RULES
    if kind != "reply":
        # The token endpoint and Graph have rules of their own, which are tried first.
        of_token = TOKEN_CONNECTION_RULES if phase == "token" or kind == "no_identity_service" else ()
        of_graph = GRAPH_RULES if kind == "graph" or protocol == "graph" else ()
        return (*of_token, *of_graph, *CONNECTION_RULES)
    rules = {"smtp": SMTP_RULES, "imap": IMAP_RULES}.get(protocol, {}).get(phase, OTHER_REPLIES)
    if is_personal_account(observation):
        rules = (*PERSONAL_ACCOUNT.get((protocol, phase), ()), *rules)
    if protocol == "smtp" and observation.facts.get("auth") == "none":
        rules = (*SMTP_WITHOUT_SIGN_IN.get(phase, ()), *rules)
    return rules


def matches(rule: Rule, observation: Observation) -> bool:
    """Whether kind, phase, reply and text of an observation match a rule; an empty pattern matches everything."""
    code, enhanced, text = observation.code, observation.enhanced, observation.text[:LONGEST_MATCHED]
    # IMAP replies have no code: their status and response code are in `enhanced`.
    reply = f"{code or ''} {enhanced}" if code or not enhanced else enhanced
    return (
        observation.kind in rule.kinds
        and (not rule.phases or observation.phase in rule.phases)
        and bool(re.match(rule.reply, reply, re.IGNORECASE))
        and (not rule.text or bool(re.search(rule.text, " ".join(text.split()), re.IGNORECASE)))
    )


def _format_fact(value: Any) -> str:
    """Format a fact for a remedy: lists are shortened, and an empty text becomes "not known"."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        several = [str(each) for each in value]
        more = f" and {len(several) - MOST_LISTED} more" if len(several) > MOST_LISTED else ""
        value = ", ".join(several[:MOST_LISTED]) + more or "none"
    return " ".join(str(value).split()) or UNKNOWN
