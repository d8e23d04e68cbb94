# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import probe_error

from .answers import Answer, Http, as_json, granted, obtain, stopped
from .keys import key, key_pem

KEY = {
    "type": "service_account",
    "client_email": "mail@project.iam.gserviceaccount.com",
    "client_id": "1234567890",
    "private_key_id": "key-1",
    "private_key": key_pem(),
    "token_uri": "https://oauth2.example.com/token",
}
BLOCK = {"username": "ann@example.com"}


def _secrets(**changes: object) -> dict[str, str]:
    account = {**KEY, **changes}
    return {"service_account": json.dumps({name: value for name, value in account.items() if value is not None})}


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _parse_url(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    message, _dot, signature = assertion.rpartition(".")
    key().public_key().verify(_decoded(signature), message.encode(), padding.PKCS1v15(), hashes.SHA256())
    header, claims = (json.loads(_decoded(part)) for part in message.split("."))
    return header, claims


def test_an_assertion_says_for_whom_and_for_what() -> None:
    http = Http(token=granted("ya29.token"))
    before = int(time.time())
    token = obtain(http, BLOCK, _secrets(), "smtp")
    assert (token.secret.reveal(), token.claims) == ("ya29.token", {})
    asked = http.asked[0]
    assert (asked.method, asked.url) == ("POST", KEY["token_uri"])
    assert asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    header, claims = _parse_url(asked.form["assertion"])
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    issued = claims.pop("iat")
    assert before <= issued <= time.time()
    assert claims == {
        "iss": KEY["client_email"],
        "sub": "ann@example.com",
        "scope": "https://mail.google.com/",
        "aud": KEY["token_uri"],
        "exp": issued + 3600,
    }


def test_a_signature_that_does_not_fit_would_be_seen() -> None:
    http = Http(token=granted())
    obtain(http, BLOCK, _secrets())
    head, _dot, _signature = http.asked[0].form["assertion"].rpartition(".")
    with pytest.raises(InvalidSignature):
        _parse_url(f"{head}.{base64.urlsafe_b64encode(b'x' * 256).decode()}")


@pytest.mark.parametrize(
    ("block", "changes", "url"),
    [
        ({}, {"token_uri": None}, "https://oauth2.googleapis.com/token"),
        ({"token_url": "https://other.example.com/token"}, {}, "https://other.example.com/token"),
    ],
)
def test_where_a_token_is_asked_for(block: dict[str, str], changes: dict[str, Any], url: str) -> None:
    http = Http(token=granted())
    obtain(http, {**BLOCK, **block}, _secrets(**changes))
    assert http.asked[0].url == url
    assert _parse_url(http.asked[0].form["assertion"])[1]["aud"] == url


def test_a_scope_that_is_written_wins() -> None:
    http = Http(token=granted())
    obtain(http, {**BLOCK, "scope": "https://www.googleapis.com/auth/gmail.imap_admin"}, _secrets())
    assert _parse_url(http.asked[0].form["assertion"])[1]["scope"].endswith("gmail.imap_admin")


@pytest.mark.parametrize(
    "changes",
    [
        {"private_key": "-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n"},
        {"private_key": key_pem("elliptic")},
        {"private_key": key_pem(passphrase="x")},
        {"token_uri": "http://oauth2.example.com/token"},
        {"token_uri": 1},
    ],
)
def test_a_key_that_cannot_be_used_is_told_before_anything_is_sent(changes: dict[str, Any]) -> None:
    http = Http(token=granted())
    observation = stopped(http, BLOCK, _secrets(**changes))
    assert (observation.kind, http.asked) == ("config", [])
    assert "PRIVATE KEY" not in repr(observation)


def test_a_refusal_is_googles() -> None:
    told = {"error": "unauthorized_client", "error_description": "Client is unauthorized."}
    observation = stopped(Http(token=as_json(told, 401)), BLOCK, _secrets())
    assert (observation.kind, observation.code, observation.enhanced) == ("token_google", 401, "unauthorized_client")
    assert observation.facts["service_account"] == KEY["client_email"]
    assert observation.facts["client_id"] == "1234567890"
    assert observation.facts["token_user"] == "ann@example.com"


def test_an_assertion_that_comes_back_is_hidden() -> None:
    def echo(asked: Any) -> Answer:
        return as_json({"error": "invalid_grant", "error_description": f"Bad {asked.form['assertion']}"}, 400)

    http = Http(token=echo)
    observation = stopped(http, BLOCK, _secrets())
    assert observation.text == "Bad ********"
    assert http.asked[0].form["assertion"] not in repr(observation)


def test_trouble_on_the_way_is_told_as_it_is() -> None:
    assert stopped(Http(token=probe_error("timeout", "no answer in time")), BLOCK, _secrets()).kind == "timeout"
