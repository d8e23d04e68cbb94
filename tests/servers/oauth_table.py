# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator of a tenant would say of each refusal: its verdict, and how certain that is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from peers.entra import Entra
from servers.verdicts_table import CERTAIN, LIKELY, POSSIBLE


class Expected(NamedTuple):
    """A verdict, how certain it is, and words of the remedy."""

    verdict: str
    certainty: str
    words: str = ""


OK = Expected("ok", CERTAIN)
# What a number of Entra stands for, and the way to sign in that meets it: none of them is certain, since Microsoft may
# change what they mean.
_FAMILIES: Mapping[str, tuple[str, str, str]] = {
    "tenant": ("client_secret", "token_tenant", "tenant_id"),
    "cloud": ("client_secret", "token_tenant", "us_gov"),
    "client": ("client_secret", "token_client", "application"),
    "secret": ("client_secret", "token_secret", "the secret's ID"),
    "expired_secret": ("client_secret", "token_expired_secret", "new secret"),
    "certificate": ("certificate", "token_certificate", "thumbprint"),
    "client_kind": ("user_confidential", "token_secret", "client_secret"),
    "scope": ("client_secret", "token_consent", "/.default"),
    "consent": ("client_secret", "token_consent", ""),
    "user": ("user_confidential", "token_user", "alice@example.com"),
    "password": ("user_confidential", "token_user", "alice@example.com"),
    "mfa": ("user_confidential", "token_mfa", "client_secret or certificate"),
    "policy": ("user_confidential", "token_policy", ""),
    "authority": ("client_secret", "token_tenant", "a tenant of your own"),
    "loop": ("client_secret", "token_throttled", "too often"),
    "busy": ("client_secret", "token_throttled", "minutes"),
}
# By the number: the way to sign in, and what comes of it.
ENTRA: dict[str, tuple[str, Expected]] = {
    number: (way, Expected(verdict, LIKELY, words))
    for family, (way, verdict, words) in _FAMILIES.items()
    for number in Entra.FAMILIES[family]
}
# Answers without such a number, or with one that nobody knows.
ENTRA_ANSWERS: dict[str, Expected] = {
    "no_error_codes": Expected("token_secret", LIKELY, "the secret's ID"),
    "device_only": Expected("token_endpoint", POSSIBLE, "Nobody knows this error."),
    "no_access_token": Expected("token_endpoint", POSSIBLE, "has no token"),
    "empty_access_token": Expected("token_endpoint", POSSIBLE, "has no token"),
    "token_type_mac": Expected("token_endpoint", POSSIBLE, "token_type is not bearer"),
    "no_roles": OK,
    "opaque_token": OK,
    "expires_in_text": OK,
}
# Mistakes in a declaration that Entra really finds: the number it answers with, and what comes of it.
ENTRA_FOUND: dict[str, tuple[str, Expected]] = {
    "tenant": ("90002", Expected("token_tenant", LIKELY, "nowhere.example.com")),
    "no_tenant_of_ones_own": ("50194", Expected("token_tenant", LIKELY, "common")),
    "client_id": ("700016", Expected("token_client", LIKELY, "Application (client) ID")),
    "secret": ("7000215", Expected("token_secret", LIKELY, "value")),
    "secret_id": ("7000215", Expected("token_secret", LIKELY, "the secret's ID")),
    "expired_secret": ("7000222", Expected("token_expired_secret", LIKELY, "new secret")),
    "certificate_replaced": ("700027", Expected("token_certificate", LIKELY, "thumbprint")),
    "assertion_issuer": ("700211", Expected("token_certificate", LIKELY, "issuer, subject and audience")),
    "assertion_subject": ("700213", Expected("token_certificate", LIKELY, "issuer, subject and audience")),
    "assertion_audience": ("700212", Expected("token_certificate", LIKELY, "issuer, subject and audience")),
    "assertion_old": ("700024", Expected("token_certificate", LIKELY, "renew assertion_file")),
    "assertion_garbage": ("5000819", Expected("token_certificate", LIKELY, "assertion_file")),
    "scope": ("70011", Expected("token_consent", LIKELY, "/.default")),
    "resource": ("500011", Expected("token_consent", LIKELY, "https://vault.example.com")),
    "user": ("50034", Expected("token_user", LIKELY, "nobody@example.com")),
    "password": ("50126", Expected("token_user", LIKELY, "lock the account")),
    "no_proof": ("7000218", Expected("token_secret", LIKELY, "public client flows")),
    "public_with_secret": ("700025", Expected("token_secret", LIKELY, "remove client_secret")),
}
GOOGLE: dict[str, Expected] = {
    "unauthorized_client": Expected("token_consent", CERTAIN, "Domain-wide delegation"),
    "invalid_grant": Expected("token_certificate", LIKELY, "Create a new one"),
    "invalid_grant_time": Expected("token_certificate", LIKELY, "clock"),
    "invalid_grant_user": Expected("token_user", LIKELY, "alice@example.com"),
    "invalid_client": Expected("token_client", CERTAIN, "gserviceaccount.com"),
    "invalid_scope": Expected("token_consent", CERTAIN, "https://mail.google.com/"),
    "invalid_request": Expected("token_endpoint", POSSIBLE, "cannot be read"),
    "unsupported_grant_type": Expected("token_endpoint", CERTAIN, "token_url"),
    "account_disabled": Expected("token_client", LIKELY, "gserviceaccount.com"),
    "no_access_token": Expected("token_endpoint", POSSIBLE, "has no token"),
}
# Mistakes in a declaration that Google really finds.
GOOGLE_FOUND: dict[str, Expected] = {
    "user_not_delegated": GOOGLE["invalid_grant_user"],
    "scope_not_delegated": GOOGLE["unauthorized_client"],
    "key_replaced": GOOGLE["invalid_grant"],
    "account_deleted": GOOGLE["invalid_client"],
}
TOKEN_URL: dict[str, Expected] = {
    "invalid_request": Expected("token_endpoint", POSSIBLE, "A parameter is missing."),
    "invalid_client": Expected("token_secret", LIKELY, "client-"),
    "error_description_missing": Expected("token_secret", LIKELY, "invalid_client"),
    "invalid_grant": Expected("token_user", LIKELY, "The grant is not valid."),
    "unauthorized_client": Expected("token_client", CERTAIN, "client credentials"),
    "unsupported_grant_type": Expected("token_endpoint", CERTAIN, "token_url"),
    "invalid_scope": Expected("token_consent", CERTAIN, "(mail)"),
    "server_error": Expected("token_endpoint", LIKELY, "try again"),
    "temporarily_unavailable": Expected("token_throttled", CERTAIN, "minutes"),
    "no_access_token": Expected("token_endpoint", POSSIBLE, "has no token"),
    "lower_case_bearer": OK,
    "no_expires_in": OK,
}
# By the scenario: how the metadata service and an app service refuse it, which say different things.
IDENTITY: dict[str, tuple[Expected, Expected]] = {
    "identity_not_found": (
        Expected("token_client", LIKELY, "managed_identity"),
        Expected("token_client", LIKELY, "managed_identity"),
    ),
    "no_identity": (
        Expected("token_client", LIKELY, "managed_identity"),
        Expected("token_client", LIKELY, "managed_identity"),
    ),
    "wrong_resource": (Expected("token_consent", LIKELY, "scope"), Expected("token_consent", LIKELY, "scope")),
}
# Trouble on the way to a token endpoint.
NETWORK: dict[str, Expected] = {
    "refused": Expected("token_endpoint", CERTAIN, "refused"),
    "name_unknown": Expected("token_endpoint", CERTAIN, "spelling"),
    "name_later": Expected("token_endpoint", LIKELY, "Try again"),
    "other_ca": Expected("token_endpoint", CERTAIN, "oauth2.ca_file"),
    "wrong_name": Expected("token_endpoint", CERTAIN, "wrong.example.com"),
    "expired": Expected("token_endpoint", CERTAIN, "expired"),
    "silent": Expected("token_endpoint", LIKELY, "firewall"),
    "proxy_refused": Expected("token_endpoint", CERTAIN, "oauth2.proxy"),
    "proxy_refuses": Expected("token_endpoint", CERTAIN, "403"),
    "redirect": Expected("token_endpoint", LIKELY, "redirects"),
}
_GARBAGE = Expected("token_endpoint", POSSIBLE)
_TROUBLE = Expected("token_endpoint", LIKELY)
_BUSY = Expected("token_throttled", CERTAIN)
# What all stand-ins can do, at a token endpoint.
FAULTY: dict[str, Expected] = {
    **dict.fromkeys(("throttled", "throttled_date", "throttled_briefly", "unavailable"), _BUSY),
    **dict.fromkeys(("html_200", "empty", "not_json", "not_an_object"), _GARBAGE),
    **dict.fromkeys(("html_500", "redirect", "redirect_loop"), _TROUBLE),
    **dict.fromkeys(("silent", "half", "endless", "endless_headers", "slow", "reset", "closed", "not_http"), _TROUBLE),
    "wrong_content_type": OK,
}
# The same at Graph.
FAULTY_GRAPH: dict[str, Expected] = {
    **dict.fromkeys(("throttled", "throttled_date", "throttled_briefly"), Expected("throttled", CERTAIN)),
    **dict.fromkeys(("unavailable", "html_500"), Expected("throttled", POSSIBLE)),
    **dict.fromkeys(
        ("html_200", "empty", "not_json", "not_an_object"), Expected("protocol_error", LIKELY, "graph.url")
    ),
    **dict.fromkeys(("redirect", "redirect_loop"), Expected("protocol_error", LIKELY, "graph.url")),
    **dict.fromkeys(("silent", "slow"), Expected("response_timeout", LIKELY)),
    **dict.fromkeys(("half", "reset", "closed"), Expected("connection_reset", LIKELY)),
    **dict.fromkeys(("endless", "endless_headers", "not_http"), Expected("protocol_error", LIKELY)),
    "wrong_content_type": OK,
}
GRAPH: dict[str, Expected] = {
    **dict.fromkeys(
        (
            "InvalidAuthenticationToken",
            "InvalidAuthenticationToken_expired",
            "InvalidAuthenticationToken_audience",
            "InvalidAuthenticationToken_empty",
        ),
        Expected("auth_rejected", LIKELY, "graph.url"),
    ),
    # No permission to look is no failure.
    **dict.fromkeys(("ErrorAccessDenied", "ErrorAccessDenied_policy", "ErrorSendAsDenied"), OK),
    **dict.fromkeys(("no_error_body", "error_is_text"), OK),
    **dict.fromkeys(
        ("ErrorInvalidUser", "ResourceNotFound", "ErrorItemNotFound"),
        Expected("mailbox_missing", LIKELY, "graph.mailbox"),
    ),
    "MailboxNotEnabledForRESTAPI": Expected("mailbox_missing", CERTAIN, "on premises"),
    "RequestEntityTooLarge": Expected("message_too_large", CERTAIN),
    "ErrorMessageSizeExceeded": Expected("message_too_large", CERTAIN),
    "ErrorMimeContentInvalidBase64String": Expected("protocol_error", LIKELY),
    "ErrorInvalidRecipients": Expected("recipient_rejected", CERTAIN),
    "ApplicationThrottled": Expected("throttled", CERTAIN, "minutes"),
    "MailboxConcurrency": Expected("throttled", CERTAIN, "minutes"),
    "ServiceUnavailable": Expected("throttled", POSSIBLE, "minutes"),
}
# Tokens that were issued and do not open the mailbox: by the scenario or the application's options.
REFUSED = ("wrong_audience", "expired_token", "forged_token", "no_permission", "other_mailbox")
# The five usual causes of a refusal by Exchange, in the order in which to look.
CAUSES = (
    "New-ServicePrincipal",
    "Enterprise applications",
    "Add-MailboxPermission",
    "the mailbox itself",
    "aud is not the address of Outlook",
)
