# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Rules for errors of Microsoft's token endpoint (AADSTS numbers), and for personal accounts."""

from __future__ import annotations

import re
from typing import Literal

from . import reply_patterns as patterns
from .observation import Observation, PhaseName
from .rule import CERTAIN, LIKELY, PROVIDER_SAYS, Rule, reply_rule

_PERSONAL_DOMAIN = re.compile(r"(outlook|hotmail|live|msn|windowslive|passport)(\.[a-z]{2,3}){1,2}", re.IGNORECASE)
_PERSONAL_HOSTS = ("smtp-mail.outlook.com", "imap-mail.outlook.com")
_MICROSOFT_HOSTS = ("office365.com", "outlook.com", "live.com", "hotmail.com")


def _codes(*numbers: int) -> str:
    """A pattern for AADSTS numbers after the status and the error. They may change, so these rules are not certain."""
    return rf".*\s({'|'.join(str(number) for number in numbers)})(?!\d)"


MICROSOFT_TOKEN_RULES: tuple[Rule, ...] = (
    Rule(
        "token_tenant",
        LIKELY,
        "token",
        reply=_codes(90038, 900382, 900432),
        remedy=(
            "The tenant ({tenant_id}) is in another Microsoft cloud: set cloud (now {cloud}) to us_gov, us_gov_dod"
            f" or china, or back to global.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_tenant",
        LIKELY,
        "token",
        reply=_codes(9001023, 50194),
        remedy=(
            "A tenant of your own is needed: set tenant_id to its id (Entra admin centre, Overview), not to common,"
            f" organizations or consumers.{PROVIDER_SAYS}"
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
            "The application needs a credential: set client_secret, certificate or assertion_file. If it is meant to"
            " be a public client, allow public client flows (Entra admin centre, App registrations, Authentication)."
            f"{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_secret",
        LIKELY,
        "token",
        reply=_codes(700025),
        remedy=(
            "The application is a public client and must not have a credential: remove client_secret, certificate and"
            f" assertion_file, or make it a confidential client (App registrations, Authentication).{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_certificate",
        LIKELY,
        "token",
        reply=_codes(70021, 700211, 700212, 700213, 5000819),
        remedy=(
            "No federated credential of the application matches the assertion. Compare issuer, subject and audience"
            " exactly, in the Entra admin centre under App registrations, Certificates & secrets, Federated"
            f" credentials, with what is in assertion_file.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_certificate",
        LIKELY,
        "token",
        reply=_codes(700024),
        remedy=(
            "The assertion of the application has expired or is not valid yet: renew assertion_file before each use,"
            f" and check this host's clock.{PROVIDER_SAYS}"
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
            f" applications, Properties.{PROVIDER_SAYS}"
        ),
    ),
    Rule("token_client", LIKELY, "token", reply=_codes(700016, 700011, 70001)),
    Rule(
        "token_consent",
        LIKELY,
        "token",
        reply=_codes(70011, 28002, 700022),
        remedy=(
            "The scope ({scope}) cannot be requested. An application must request exactly one scope, the resource with"
            f" /.default appended: remove scope.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_consent",
        LIKELY,
        "token",
        reply=_codes(500011),
        remedy=(
            "The tenant does not know the resource in {scope}: remove scope, check cloud ({cloud}), and check that the"
            f" tenant has Exchange Online.{PROVIDER_SAYS}"
        ),
    ),
    Rule("token_consent", LIKELY, "token", reply=_codes(650057, 65001, 650056, 90094)),
    Rule(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50126),
        remedy=(
            "Check in this order: is {token_user} the name that the user signs in with (its user principal name,"
            " which may differ from the mail address); does the password work at the provider's web page; is it"
            f" synchronised from a directory on premises. Several failed attempts lock the account.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50055, 50056),
        remedy=(
            "The password of {token_user} has expired, or the user has none in Entra: sign in at the provider's web"
            f" page and set a new one.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50057),
        remedy=f"The account of {{token_user}} is disabled: enable it (Entra admin centre, Users).{PROVIDER_SAYS}",
    ),
    Rule(
        "token_user",
        LIKELY,
        "token",
        reply=_codes(50053),
        remedy=(
            "The account of {token_user} is locked after too many failed attempts, or this host's address is blocked."
            " Do not try again before it is unlocked: each attempt prolongs the lock. Find out where an old password"
            f" is still in use.{PROVIDER_SAYS}"
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
            f" certificate) instead of a user's password; they are not subject to them.{PROVIDER_SAYS}"
        ),
    ),
    Rule("token_policy", LIKELY, "token", reply=_codes(53003, 53000, 53001, 53002)),
    Rule(
        "token_throttled",
        LIKELY,
        "token",
        reply=_codes(50196),
        remedy=(
            "The same token was requested too often in a short time. Wait a few minutes, and find out what repeats the"
            f" request with client_id {{client_id}}.{PROVIDER_SAYS}"
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
            f" managed_identity ({{managed_identity}}).{PROVIDER_SAYS}"
        ),
    ),
)
_DISABLED_CONSUMER = (
    "Microsoft no longer accepts passwords for personal accounts: sign in with oauth2, which is the only way."
)
_PROBABLY_DISABLED_CONSUMER = (
    "Microsoft most likely refused the password because it no longer accepts passwords for personal accounts: sign in"
    " with oauth2, which is the only way."
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
"""By protocol and phase; tried before the rules of the protocol, whose remedies need a tenant."""


def is_personal_account(observation: Observation) -> bool:
    """Whether the user has a personal Microsoft account, which has no tenant."""
    domain = str(observation.facts.get("username", "")).rpartition("@")[2]
    host = str(observation.facts.get("host", "")).lower().rstrip(".")
    return host in _PERSONAL_HOSTS or (host.endswith(_MICROSOFT_HOSTS) and bool(_PERSONAL_DOMAIN.fullmatch(domain)))
