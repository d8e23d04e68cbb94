# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The refusals of Microsoft's identity platform: status, OAuth error, and words of our own in the usual form."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Mapping

from peers.https import Failure, Response, as_json


@dataclasses.dataclass(frozen=True)
class EntraFailure(Failure):
    """A refusal with a number."""

    suberror: str = ""


def _all(*rows: tuple[str, int, str, str] | tuple[str, int, str, str, str]) -> dict[str, EntraFailure]:
    return {row[0]: EntraFailure(*row) for row in rows}


FAMILIES: Mapping[str, tuple[str, ...]] = {
    "tenant": ("90002",),
    "cloud": ("90038", "900382", "900432"),
    "client": ("700016", "700011", "70001", "7000112"),
    "secret": ("7000215",),
    "expired_secret": ("7000222",),
    "certificate": ("700027", "50012", "700030"),
    "client_kind": ("7000218", "700025"),
    "scope": ("70011", "28002", "700022"),
    "consent": ("500011", "650057", "65001", "650056", "90094"),
    "user": ("50034", "51004", "50020"),
    "password": ("50126", "50056", "50055", "50057", "50053"),
    "mfa": ("50076", "50079", "50072", "50074", "50158"),
    "policy": ("53003", "530032", "530035", "53000", "53001", "53002"),
    "authority": ("9001023", "50194"),
    "loop": ("50196",),
    "busy": ("90055", "50033", "90006", "90024", "90033"),
}

ERRORS: Mapping[str, EntraFailure] = _all(
    ("90002", 400, "invalid_request", "There is no tenant by this name or id, or it has no subscription."),
    ("90038", 400, "invalid_request", "The tenant belongs to another national cloud than this endpoint."),
    ("900382", 400, "invalid_client", "A confidential client cannot ask across clouds."),
    ("900432", 400, "invalid_client", "A confidential client cannot ask across clouds here."),
    ("700016", 400, "unauthorized_client", "No application with this identifier was found in the directory."),
    ("700011", 400, "unauthorized_client", "The application was not found in the directory of this organisation."),
    ("70001", 400, "unauthorized_client", "The application is disabled or was not found in the directory."),
    ("7000112", 400, "unauthorized_client", "The application is disabled."),
    ("7000215", 401, "invalid_client", "The client secret is wrong; give its value, not its identifier."),
    ("7000222", 401, "invalid_client", "The client secret keys of this application have expired."),
    ("700027", 401, "invalid_client", "The signature of the client assertion could not be checked."),
    ("50012", 401, "invalid_client", "The client could not be authenticated by its assertion."),
    ("700030", 401, "invalid_client", "The certificate's subject is not one that the application allows."),
    ("7000218", 401, "invalid_client", "The body must have the parameter client_assertion or client_secret."),
    ("700025", 401, "invalid_client", "The client is public, so it must show neither secret nor assertion."),
    ("70011", 400, "invalid_scope", "The value of the parameter scope is not valid."),
    ("28002", 400, "invalid_scope", "The scope is not valid for a request of an access token."),
    ("700022", 400, "invalid_scope", "The scope names more than one resource."),
    ("500011", 400, "invalid_resource", "The resource was not found in the tenant."),
    ("650057", 400, "invalid_resource", "The application's registration does not list the resource."),
    ("65001", 400, "invalid_grant", "Nobody has consented to the use of this application.", "consent_required"),
    ("650056", 400, "unauthorized_client", "The application is misconfigured: a permission or its consent is missing."),
    ("90094", 400, "access_denied", "An administrator has to consent to this application."),
    ("50034", 400, "invalid_grant", "The user account does not exist in the directory."),
    ("51004", 400, "invalid_grant", "The user account does not exist in the directory and has to be added first."),
    ("50020", 400, "invalid_grant", "The user account of another identity provider does not exist in this tenant."),
    ("50126", 400, "invalid_grant", "The user name or the password is wrong."),
    ("50056", 400, "invalid_grant", "The password is missing in the directory, or is empty."),
    ("50055", 400, "invalid_grant", "The password has expired.", "user_password_expired"),
    ("50057", 400, "invalid_grant", "The user account is disabled."),
    ("50053", 400, "invalid_grant", "The account is locked, or the address is blocked."),
    ("50076", 400, "invalid_grant", "Multi-factor authentication is needed.", "basic_action"),
    ("50079", 400, "interaction_required", "The user has to enrol for multi-factor authentication.", "basic_action"),
    ("50072", 400, "interaction_required", "The user has to enrol for a second factor first.", "basic_action"),
    ("50074", 400, "interaction_required", "Strong authentication is needed.", "basic_action"),
    ("50158", 400, "interaction_required", "An external challenge has to be answered.", "additional_action"),
    ("53003", 400, "invalid_grant", "A Conditional Access policy does not let this token be issued.", "message_only"),
    ("530032", 400, "invalid_grant", "The tenant's security policy blocks this request.", "message_only"),
    ("530035", 400, "invalid_grant", "Security defaults block this request.", "message_only"),
    ("53000", 400, "interaction_required", "A policy wants a compliant device.", "message_only"),
    ("53001", 400, "interaction_required", "A policy wants a device that has joined the domain.", "message_only"),
    ("53002", 400, "interaction_required", "A policy wants an approved application.", "message_only"),
    ("9001023", 400, "invalid_request", "The grant type is not possible at /common or /consumers; name the tenant."),
    ("50194", 400, "invalid_request", "The application is not multi-tenant, so /common is not possible."),
    ("50196", 400, "invalid_grant", "The client asks for the same token in a loop."),
    ("90055", 429, "temporarily_unavailable", "The tenant is throttled: too many requests."),
    ("50033", 400, "temporarily_unavailable", "A passing fault; try again."),
    ("90006", 503, "temporarily_unavailable", "The service is unavailable for a moment."),
    ("90024", 503, "temporarily_unavailable", "A passing fault of the request's budget."),
    ("90033", 503, "temporarily_unavailable", "A passing fault of the service."),
)
# What also happens when the real things are checked.
FOUND: Mapping[str, EntraFailure] = _all(
    ("700021", 401, "invalid_client", "The client assertion names another application."),
    ("700023", 401, "invalid_client", "The audience of the client assertion is not this endpoint."),
    ("700024", 401, "invalid_client", "The client assertion is not within its time of validity."),
    ("700211", 401, "invalid_client", "No federated identity matches the issuer of the assertion."),
    ("700212", 401, "invalid_client", "No federated identity matches the audience of the assertion."),
    ("700213", 401, "invalid_client", "No federated identity matches the subject of the assertion."),
    ("5000819", 401, "invalid_client", "The assertion is not a signed token that can be read."),
    ("70003", 400, "unsupported_grant_type", "The grant type is not known."),
    ("900144", 400, "invalid_request", "A parameter is missing in the body."),
)


class Refused(Exception):
    """Entra says no."""

    def __init__(self, number: str, detail: str = "") -> None:
        super().__init__(number)
        self.failure = (ERRORS.get(number) or FOUND[number], detail)


def refusal(failure: EntraFailure, detail: str = "", *, numbered: bool = True) -> Response:
    """The response that says so."""
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    now = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    text = " ".join(part for part in (failure.text, detail) if part)
    body = {
        "error": failure.code,
        "error_description": (
            f"AADSTS{failure.name}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
        ),
        "error_codes": [int(failure.name)],
        "timestamp": now,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={failure.name}",
        **({"suberror": failure.suberror} if failure.suberror else {}),
    }
    if not numbered:
        del body["error_codes"], body["error_uri"]
    return as_json(body, failure.status, {"x-ms-request-id": trace, "client-request-id": correlation})
