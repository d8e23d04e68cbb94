# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What Microsoft's refusals mean: its numbered errors of the token endpoint, and personal accounts."""

from __future__ import annotations

import re
from typing import Literal

from . import reply_patterns as patterns
from .observation import Observation, PhaseName
from .rule import CERTAIN, IT_SAYS, LIKELY, Rule, reply_rule

_PERSONAL_DOMAIN = re.compile(r"(outlook|hotmail|live|msn|windowslive|passport)(\.[a-z]{2,3}){1,2}", re.IGNORECASE)
_PERSONAL_HOSTS = ("smtp-mail.outlook.com", "imap-mail.outlook.com")
_MICROSOFT_HOSTS = ("office365.com", "outlook.com", "live.com", "hotmail.com")


def _codes(*numbers: int) -> str:
    """Microsoft's codes: they follow the status and the error. They are hints that may change, so never certain."""
    return rf".*\s({'|'.join(str(number) for number in numbers)})(?!\d)"


MICROSOFT_TOKEN_RULES: tuple[Rule, ...] = (
    Rule(
        "token_tenant",
        LIKELY,
        "token",
        reply=_codes(90038, 900382, 900432),
        remedy=(
            "The tenant ({tenant_id}) lives in another Microsoft cloud: set cloud (now {cloud}) to us_gov, us_gov_dod"
            f" or china, or back to global.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_tenant",
        LIKELY,
        "token",
        reply=_codes(9001023, 50194),
        remedy=(
            "A tenant of your own is needed: set tenant_id to its id (Entra admin centre, Overview), not to common,"
            f" organizations or consumers.{IT_SAYS}"
        ),
    ),
    Rule("token_tenant", LIKELY, "token", reply=_codes(90002, 900021, 900023)),
    Rule("token_expired_secret", LIKELY, "token", reply=_codes(7000222)),
    Rule("token_secret", LIKELY, "token", reply=_codes(7000215)),
    Rule(
        "token_secret",
        LIKELY,
        "token",
        reply=_codes(7000218),
        remedy=(
            "The application must prove itself: give client_secret, certificate or assertion_file. If it is meant to"
            " be a public client, allow public client flows (Entra admin centre, App registrations, Authentication)."
            f"{IT_SAYS}"
        ),
    ),
    Rule(
        "token_secret",
        LIKELY,
        "token",
        reply=_codes(700025),
        remedy=(
            "The application is a public client and must not prove itself: leave client_secret, certificate and"
            f" assertion_file out, or make it a confidential client (App registrations, Authentication).{IT_SAYS}"
        ),
    ),
    Rule(
        "token_certificate",
        LIKELY,
        "token",
        reply=_codes(70021, 700211, 700212, 700213, 5000819),
        remedy=(
            "No federated credential of the application fits the assertion. Compare issuer, subject and audience,"
            " letter by letter, in the Entra admin centre under App registrations, Certificates & secrets, Federated"
            f" credentials, with what is in assertion_file.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_certificate",
        LIKELY,
        "token",
        reply=_codes(700024),
        remedy=(
            "What the application signs in with is not valid at this time: have assertion_file renewed before each"
            f" use, and check this host's clock.{IT_SAYS}"
        ),
    ),
    Rule("token_certificate", LIKELY, "token", reply=_codes(700027, 50012, 700030, 700021, 700023)),
    Rule(
        "token_client",
        LIKELY,
        "token",
        reply=_codes(7000112),
        remedy=(
            "The application ({client_id}) is disabled: allow sign-in under Entra admin centre, Enterprise"
            f" applications, Properties.{IT_SAYS}"
        ),
    ),
    Rule("token_client", LIKELY, "token", reply=_codes(700016, 700011, 70001)),
    Rule(
        "token_consent",
        LIKELY,
        "token",
        reply=_codes(70011, 28002, 700022),
        remedy=(
            "The scope ({scope}) is not one that can be asked for. An application asks for exactly one, the resource"
            f" with /.default behind it: leave scope out.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_consent",
        LIKELY,
        "token",
        reply=_codes(500011),
        remedy=(
            "The tenant does not know the resource in {scope}: leave scope out, check cloud ({cloud}), and see whether"
            f" the tenant has Exchange Online at all.{IT_SAYS}"
        ),
    ),
    Rule("token_consent", LIKELY, "token", reply=_codes(650057, 65001, 650056, 90094)),
    Rule(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50126),
        remedy=(
            "In this order: is {token_user} the name that the user signs in with (its user principal name, which may"
            " differ from the mail address); does the password work at the provider's web page; is it synchronised"
            f" from a directory on premises. Several failed attempts lock the account.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50055, 50056),
        remedy=(
            "The password of {token_user} has expired, or the user has none in Entra: sign in at the provider's web"
            f" page and set a new one.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50057),
        remedy=f"The account of {{token_user}} is disabled: enable it (Entra admin centre, Users).{IT_SAYS}",
    ),
    Rule(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50053),
        remedy=(
            "The account of {token_user} is locked after too many failed attempts, or this host's address is blocked."
            " Do not try again before it is unlocked: each attempt prolongs it. Look for where an old password is"
            f" still in use.{IT_SAYS}"
        ),
    ),
    Rule("token_user", LIKELY, "token", reply=_codes(50034, 51004, 50020)),
    Rule("token_mfa", LIKELY, "token", reply=_codes(50076, 50079, 50072, 50074, 50158)),
    Rule(
        "token_policy",
        LIKELY,
        "token",
        reply=_codes(530032, 530035),
        remedy=(
            "The organisation's security defaults block this sign-in. Use client credentials (client_secret or"
            f" certificate) instead of a user's password; they are not subject to them.{IT_SAYS}"
        ),
    ),
    Rule("token_policy", LIKELY, "token", reply=_codes(53003, 53000, 53001, 53002)),
    Rule(
        "token_throttled",
        LIKELY,
        "token",
        reply=_codes(50196),
        remedy=(
            "The same token was asked for too often in a short time. Wait some minutes, and look for what asks again"
            f" and again with client_id {{client_id}}.{IT_SAYS}"
        ),
    ),
    Rule("token_throttled", LIKELY, "token", reply=_codes(90055, 50033, 90006, 90024, 90033)),
    Rule(
        "token_client",
        LIKELY,
        "token",
        text="identity not found|no .*managed identity",
        remedy=(
            "This machine does not have that identity: assign it (Azure portal, the machine, Identity), and check"
            f" managed_identity ({{managed_identity}}).{IT_SAYS}"
        ),
    ),
)
_DISABLED_CONSUMER = (
    "This provider no longer accepts passwords for personal accounts: sign in with oauth2, which is the only way."
)
_PROBABLY_DISABLED_CONSUMER = (
    "This provider answers so to passwords of personal accounts, which it no longer accepts: sign in with oauth2, which"
    " is the only way."
)
PERSONAL_ACCOUNT: dict[tuple[str, PhaseName | Literal[""]], tuple[Rule, ...]] = {
    ("smtp", "auth"): (
        reply_rule("auth_disabled", CERTAIN, r"... 5\.7\.30(?!\d)", remedy=_DISABLED_CONSUMER),
        reply_rule("auth_disabled", CERTAIN, "5", patterns.PASSWORDS_OFF, _DISABLED_CONSUMER),
        reply_rule("auth_disabled", LIKELY, r"535 5\.7\.139(?!\d)", patterns.NOT_ABOUT_CREDENTIALS, _DISABLED_CONSUMER),
        reply_rule("auth_rejected", LIKELY, r"535 5\.7\.3(?!\d)", remedy=_PROBABLY_DISABLED_CONSUMER),
    ),
    ("imap", "auth"): (reply_rule("auth_disabled", CERTAIN, "NO|BAD", patterns.PASSWORDS_OFF, _DISABLED_CONSUMER),),
}
"""By protocol and phase, tried before the rules of the protocol: such an account has no tenant to turn anything on."""


def is_personal_account(observation: Observation) -> bool:
    """Whether the user has a personal account of Microsoft, which belongs to no organisation."""
    domain = str(observation.facts.get("username", "")).rpartition("@")[2]
    host = str(observation.facts.get("host", "")).lower().rstrip(".")
    return host in _PERSONAL_HOSTS or (host.endswith(_MICROSOFT_HOSTS) and bool(_PERSONAL_DOMAIN.fullmatch(domain)))
