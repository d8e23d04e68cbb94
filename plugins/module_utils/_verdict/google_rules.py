# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What Google's refusals mean, at its token endpoint."""

from __future__ import annotations

from .rule import CERTAIN, IT_SAYS, LIKELY, Rule, oauth_error

GOOGLE_TOKEN_RULES: tuple[Rule, ...] = (
    Rule(
        "token_consent",
        CERTAIN,
        "token_google",
        reply=oauth_error("unauthorized_client", "access_denied"),
        remedy=(
            "The organisation has not delegated its mail to this service account. In the Google admin console under"
            " Security, Access and data control, API controls, Domain-wide delegation, add its numeric client id"
            f" ({{client_id}}) with exactly this scope: {{scope}}. It may take a day to work.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_certificate",
        LIKELY,
        "token_google",
        reply=oauth_error("invalid_grant"),
        text="short-lived|iat|timeframe",
        remedy=f"This host's clock is wrong: synchronise it, since the request is only valid for an hour.{IT_SAYS}",
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
            f"{IT_SAYS}"
        ),
    ),
    Rule(
        "token_client",
        LIKELY,
        "token_google",
        reply=oauth_error("invalid_grant"),
        text="account not found|account.* (deleted|disabled)",
        remedy=(
            "The service account ({service_account}) does not exist any more, or is disabled: look under IAM & Admin,"
            f" Service Accounts, in the Google Cloud console.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_user",
        LIKELY,
        "token_google",
        reply=oauth_error("invalid_grant"),
        remedy=(
            "In this order: is oauth2.username ({token_user}) the main address of a user of the organisation, not an"
            " alias, a group or a personal account; is the user active; is this host's clock right."
            f"{IT_SAYS}"
        ),
    ),
    Rule(
        "token_client",
        CERTAIN,
        "token_google",
        reply=oauth_error("invalid_client", "disabled_client", "deleted_client"),
        remedy=(
            "Google does not know the service account ({service_account}), or it is disabled: look under IAM & Admin,"
            f" Service Accounts, in the Google Cloud console.{IT_SAYS}"
        ),
    ),
    Rule(
        "token_policy",
        CERTAIN,
        "token_google",
        reply=oauth_error("admin_policy_enforced", "org_internal"),
        remedy=f"A policy of the Google organisation forbids this: have its administrator allow it.{IT_SAYS}",
    ),
    Rule(
        "token_consent",
        CERTAIN,
        "token_google",
        reply=oauth_error("invalid_scope"),
        remedy=f"Google does not know the scope ({{scope}}): leave scope out.{IT_SAYS}",
    ),
)
