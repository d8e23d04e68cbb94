# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins for Google's token endpoint, and for any other provider's."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_plus

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from peers import jose, tokens
from peers.ca import CertificateZoo
from peers.google import GRANT, MAIL_SCOPE, Google, ServiceAccount
from peers.token_url import Client, TokenUrl
from servers.peers.web import Answer, Web

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix

ALICE = "alice@example.com"


@pytest.fixture
def google(zoo: CertificateZoo) -> Iterator[Google]:
    """A running stand-in."""
    with Google(zoo) as server:
        yield server


@pytest.fixture
def token_url(zoo: CertificateZoo) -> Iterator[TokenUrl]:
    """A running stand-in."""
    with TokenUrl(zoo) as server:
        yield server


@pytest.fixture
def web(zoo: CertificateZoo) -> Web:
    """A client."""
    return Web(zoo)


def _signed(account: ServiceAccount, **changes: Any) -> str:
    """What a client makes from nothing but the key file."""
    key = load_pem_private_key(account.key["private_key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    now = int(time.time())
    claims = {
        "iss": account.key["client_email"],
        "scope": MAIL_SCOPE,
        "aud": account.key["token_uri"],
        "sub": ALICE,
        "iat": now,
        "exp": now + 3600,
    }
    options = {"alg": changes.pop("alg", "RS256"), "key": changes.pop("key", key)}
    claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jose.signed(claims, options["key"], {"kid": account.key["private_key_id"]}, options["alg"])


def _asked(web: Web, account: ServiceAccount, assertion: str, grant: str = GRANT) -> Answer:
    return web.post(account.key["token_uri"], {"grant_type": grant, "assertion": assertion})


def test_a_service_account(google: Google, web: Web) -> None:
    account = google.service_account(users=[ALICE])
    answer = _asked(web, account, _signed(account))
    assert (answer.status, answer.json["token_type"], answer.json["expires_in"]) == (200, "Bearer", 3599)
    assert google.tokens.sign_in(answer.json["access_token"], "imap", ALICE)
    assert google.tokens.sign_in(answer.json["access_token"], "smtp", ALICE)
    assert not google.tokens.sign_in(answer.json["access_token"], "smtp", "bob@example.com")
    assert json.loads(json.dumps(account.key))["type"] == "service_account"
    assert account.key["private_key"] not in f"{account!r} {google.requests!r}"


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"iss": "nobody@example.com"}, 401, "invalid_client"),
        ({"aud": "https://oauth2.googleapis.com/token"}, 400, "invalid_request"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, 401, "unauthorized_client"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"scope": None}, 400, "invalid_scope"),
        ({"sub": "bob@example.com"}, 400, "invalid_grant"),
        ({"exp": 1000}, 400, "invalid_grant"),
        ({"exp": int(time.time()) + 90000}, 400, "invalid_grant"),
        ({"iat": int(time.time()) + 3000}, 400, "invalid_grant"),
        ({"iat": None}, 400, "invalid_grant"),
        ({"alg": "PS256"}, 400, "invalid_grant"),
        ({"key": tokens.key()}, 400, "invalid_grant"),
    ],
)
def test_an_assertion_is_checked(google: Google, web: Web, changes: dict[str, Any], status: int, error: str) -> None:
    account = google.service_account(users=[ALICE])
    answer = _asked(web, account, _signed(account, **changes))
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.json["error_description"]


def test_other_requests(google: Google, web: Web) -> None:
    account = google.service_account()
    assert _asked(web, account, "nonsense").json["error"] == "invalid_request"
    assert _asked(web, account, _signed(account), "password").json["error"] == "unsupported_grant_type"
    assert _asked(web, account, _signed(account, sub=None)).status == 200
    # An access token is not an assertion for somebody else.
    renewed = google.service_account(account.email)
    assert _asked(web, renewed, _signed(account)).json["error"] == "invalid_grant"


@pytest.mark.parametrize("name", Google.SCENARIOS)
def test_scenarios_of_google(google: Google, web: Web, name: str) -> None:
    account, other = google.service_account(), google.service_account()
    with google.failing(name, who=account.email):
        answer = _asked(web, account, _signed(account))
        assert _asked(web, other, _signed(other)).json["access_token"]
    failure = Google.SCENARIOS[name]
    if failure:
        assert (answer.status, answer.json["error"]) == (failure.status, failure.code)
    assert "access_token" not in answer.json


def _basic(client: Client, secret: str | None = None) -> dict[str, str]:
    pair = f"{quote_plus(client.client_id)}:{quote_plus(secret or client.secret)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _body(client: Client) -> dict[str, str]:
    return {"client_id": client.client_id, "client_secret": client.secret}


FORM = {"grant_type": "client_credentials", "scope": "mail"}


def test_both_ways_to_show_a_secret(token_url: TokenUrl, web: Web) -> None:
    client = token_url.add_client(mailboxes=[ALICE])
    for answer in (
        web.post(token_url.endpoint, FORM, _basic(client)),
        web.post(token_url.endpoint, {**FORM, **_body(client)}),
        web.post(token_url.endpoint, {"grant_type": "client_credentials"}, _basic(client)),
    ):
        assert (answer.status, answer.json["scope"]) == (200, "mail")
        assert token_url.tokens.sign_in(answer.json["access_token"], "smtp", ALICE)
        assert not token_url.tokens.sign_in(answer.json["access_token"], "smtp", "bob@example.com")
    token_url.accepts = {"basic"}
    assert web.post(token_url.endpoint, {**FORM, **_body(client)}).status == 401
    token_url.accepts = {"body"}
    assert web.post(token_url.endpoint, FORM, _basic(client)).status == 401
    assert client.secret not in f"{client!r} {token_url.requests!r}"


def test_a_client_is_checked(token_url: TokenUrl, web: Web) -> None:
    client = token_url.add_client()
    answer = web.post(token_url.endpoint, FORM, _basic(client, "wrong"))
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")
    for form, error in (
        ({**FORM, "grant_type": "password"}, "unsupported_grant_type"),
        ({**FORM, "scope": "everything"}, "invalid_scope"),
    ):
        assert web.post(token_url.endpoint, form, _basic(client)).json["error"] == error
    for header in ("Basic !", "Basic 4pyT", "Bearer x"):
        assert web.post(token_url.endpoint, FORM, {"Authorization": header}).json["error"] == "invalid_client"


@pytest.mark.parametrize("name", TokenUrl.SCENARIOS)
def test_scenarios_of_a_token_url(token_url: TokenUrl, web: Web, name: str) -> None:
    client, other = token_url.add_client(), token_url.add_client()
    with token_url.failing(name, who=client.client_id):
        answer = web.post(token_url.endpoint, FORM, _basic(client))
        assert web.post(token_url.endpoint, FORM, _basic(other)).json["token_type"] == "Bearer"
    failure = TokenUrl.SCENARIOS[name]
    if failure:
        assert (answer.status, answer.json["error"]) == (failure.status, failure.code)
        assert bool(failure.text) == ("error_description" in answer.json)
    else:
        flaws = {
            "no_access_token": "access_token" not in answer.json,
            "lower_case_bearer": answer.json["token_type"] == "bearer",
            "no_expires_in": "expires_in" not in answer.json,
        }
        assert [flaw for flaw, seen in flaws.items() if seen] == [name]
