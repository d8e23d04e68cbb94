# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Rules for errors of Google's token endpoint."""

from __future__ import annotations

from .rule import CERTAIN, LIKELY, PROVIDER_SAYS, Rule, oauth_error

GOOGLE_TOKEN_RULES: tuple[Rule, ...] = (
    Rule(
        "token_consent",
        CERTAIN,
        "token_google",
        reply=oauth_error("unauthorized_client", "access_denied"),
        remedy=(
            "The service account has no domain-wide delegation. In the Google admin console under"
            " Security, Access and data control, API controls, Domain-wide delegation, add its numeric client id"
            f" ({{client_id}}) with exactly this scope: {{scope}}. The change may take a day.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_certificate",
        LIKELY,
        "token_google",
        reply=oauth_error("invalid_grant"),
        text="short-lived|iat|timeframe",
        remedy=f"This host's clock is wrong: synchronise it. A request is valid for one hour only.{PROVIDER_SAYS}",
    ),
    Rule(
        "token_certificate",
        LIKELY,
        "token_google",
        reply=oauth_error("invalid_grant"),
        text="signature|jwt",
        remedy=(
            "The key in service_account is not one of the service account's keys: it was most likely deleted or"
            " replaced. Create a new one in the Google Cloud console under IAM & Admin, Service Accounts, Keys."
            f"{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_client",
        LIKELY,
        "token_google",
        reply=oauth_error("invalid_grant"),
        text="account not found|account.* (deleted|disabled)",
        remedy=(
            "The service account ({service_account}) was deleted or disabled: check it under IAM & Admin,"
            f" Service Accounts, in the Google Cloud console.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_user",
        LIKELY,
        "token_google",
        reply=oauth_error("invalid_grant"),
        remedy=(
            "Check in this order: is oauth2.username ({token_user}) the main address of a user of the organisation,"
            " not an alias, a group or a personal account; is the user active; is this host's clock"
            f" right.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_client",
        CERTAIN,
        "token_google",
        reply=oauth_error("invalid_client", "disabled_client", "deleted_client"),
        remedy=(
            "The service account ({service_account}) does not exist or is disabled: check it under IAM & Admin,"
            f" Service Accounts, in the Google Cloud console.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_policy",
        CERTAIN,
        "token_google",
        reply=oauth_error("admin_policy_enforced", "org_internal"),
        remedy=(
            "A policy of the Google organisation forbids this sign-in: ask its administrator to allow"
            f" it.{PROVIDER_SAYS}"
        ),
    ),
    Rule(
        "token_consent",
        CERTAIN,
        "token_google",
        reply=oauth_error("invalid_scope"),
        remedy=f"Google does not know the scope ({{scope}}): remove scope.{PROVIDER_SAYS}",
    ),
)
