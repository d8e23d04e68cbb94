# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Microsoft's ways, through the real msal, over HTTP that a test has laid out."""

from __future__ import annotations

import base64
import json
import logging
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.mailroom.core.plugins.module_utils._errors import MissingLibrary
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError, probe_error

from .answers import AUTHORITY, Answer, Asked, Http, as_json, entra, granted, jwt, obtain, refusal, stopped
from .keys import certificate, certificate_pem, key_pem, pfx

BLOCK = {"client_id": "client-1", "tenant_id": "T", "authority": AUTHORITY}
SECRET = {"client_secret": "very-secret-value"}
USER = {**BLOCK, "username": "ann@example.com"}
PEM = f"{key_pem()}{certificate_pem()}"
PASSWORD = {"password": "password-of-ann"}
TOKEN = jwt(aud="https://outlook.office365.com", roles=["IMAP.AccessAsApp"], appid="client-1")


def _parts(assertion: bytes | str) -> tuple[dict[str, Any], dict[str, Any]]:
    text = assertion.decode() if isinstance(assertion, bytes) else assertion
    header, payload = (json.loads(base64.urlsafe_b64decode(f"{part}==")) for part in text.split(".")[:2])
    return header, payload


def test_a_secret_is_sent_to_the_token_endpoint_of_the_authority() -> None:
    http = entra(granted(TOKEN))
    token = obtain(http, BLOCK, SECRET)
    assert token.secret.reveal() == TOKEN
    assert token.claims["roles"] == ["IMAP.AccessAsApp"]
    assert [(asked.method, asked.url) for asked in http.asked] == [
        ("GET", f"{AUTHORITY}/T/v2.0/.well-known/openid-configuration"),
        ("POST", f"{AUTHORITY}/T/oauth2/v2.0/token"),
    ]
    form = http.forms()[0]
    assert form["grant_type"] == "client_credentials"
    assert (form["client_id"], form["client_secret"]) == ("client-1", "very-secret-value")


@pytest.mark.parametrize(
    ("more", "protocol", "scope"),
    [
        ({}, "smtp", "https://outlook.office365.com/.default"),
        ({}, "graph", "https://graph.microsoft.com/.default"),
        ({"cloud": "china"}, "imap", "https://partner.outlook.cn/.default"),
        ({"cloud": "us_gov_dod"}, "graph", "https://dod-graph.microsoft.us/.default"),
        ({"scope": "api://x/.default"}, "graph", "api://x/.default"),
    ],
)
def test_a_token_is_asked_for_what_the_protocol_needs(more: dict[str, str], protocol: str, scope: str) -> None:
    http = entra(granted())
    obtain(http, {**BLOCK, **more}, SECRET, protocol)
    assert http.forms()[0]["scope"] == scope


def test_the_clouds_authority_is_asked_unless_one_is_written() -> None:
    http = entra(granted())
    obtain(http, {"client_id": "c", "tenant_id": "T", "cloud": "us_gov"}, SECRET)
    assert http.asked[0].url == "https://login.microsoftonline.us/T/v2.0/.well-known/openid-configuration"


def test_every_token_is_asked_for_anew() -> None:
    http = entra([refusal("invalid_client", 7000215), granted("token-1"), granted("token-2")])
    assert stopped(http, BLOCK, SECRET).enhanced == "invalid_client 7000215"
    assert [obtain(http, BLOCK, SECRET).secret.reveal() for _time in range(2)] == ["token-1", "token-2"]


def test_the_environment_chooses_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSAL_FORCE_REGION", "westeurope")
    http = entra(granted())
    obtain(http, {**BLOCK, "authority": "https://login.microsoftonline.com"}, SECRET)
    assert not [asked.url for asked in http.asked if "westeurope" in asked.url]


CERTIFICATES: dict[str, tuple[bytes, dict[str, str]]] = {
    "PEM": (PEM.encode(), {}),
    "locked PEM": (f"{key_pem(passphrase='pass-1')}{certificate_pem()}".encode(), {"certificate_passphrase": "pass-1"}),
    "PFX": (pfx(), {}),
    "locked PFX": (pfx(passphrase="pass-1"), {"certificate_passphrase": "pass-1"}),
}


def _check_certificate(http: Http) -> None:
    form = http.forms()[0]
    header, payload = _parts(form["client_assertion"])
    thumbprint = base64.urlsafe_b64encode(certificate().fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    assert header["x5t#S256"].rstrip("=") == thumbprint
    assert "x5t" not in header
    assert (payload["iss"], payload["aud"]) == ("client-1", f"{AUTHORITY}/T/oauth2/v2.0/token")
    assert "client_secret" not in form


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_in_a_file_signs_with_its_sha_256_thumbprint(name: str, tmp_path: Path) -> None:
    data, secrets = CERTIFICATES[name]
    (tmp_path / "certificate").write_bytes(data)
    http = entra(granted())
    obtain(http, {**BLOCK, "certificate_file": str(tmp_path / "certificate")}, secrets)
    _check_certificate(http)


def test_a_certificate_in_the_declaration_signs_too() -> None:
    http = entra(granted())
    obtain(http, BLOCK, {"certificate": PEM})
    _check_certificate(http)


def test_a_certificate_is_read_at_each_use(tmp_path: Path) -> None:
    file = tmp_path / "certificate"
    http = entra(granted())
    block = {**BLOCK, "certificate_file": str(file)}
    assert stopped(http, block, {}).kind == "config"
    assert http.asked == []
    file.write_text(PEM)
    obtain(http, block, {})
    file.write_text(f"{key_pem('issuer')}{certificate_pem('issuer')}")
    obtain(http, block, {})
    first, second = (_parts(form["client_assertion"])[0]["x5t#S256"] for form in http.forms())
    assert first != second


def test_msal_must_know_sha_256_to_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    import msal

    monkeypatch.setattr(msal, "__version__", "1.34.0")
    with pytest.raises(MissingLibrary, match=r"msal 1\.35 or newer .*1\.34\.0"):
        obtain(entra(granted()), BLOCK, {"certificate": PEM})
    obtain(entra(granted()), BLOCK, SECRET)


def test_an_assertion_is_read_at_each_use(tmp_path: Path) -> None:
    file = tmp_path / "assertion"
    http = entra(granted())
    block = {**BLOCK, "assertion_file": str(file)}
    for content in ("an.assertion.1\n", "an.assertion.2"):
        file.write_text(content)
        obtain(http, block, {})
    assert [form["client_assertion"] for form in http.forms()] == ["an.assertion.1", "an.assertion.2"]
    assert http.forms()[0]["client_assertion_type"].endswith("jwt-bearer")


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"a b",
        b"a\nb",
        b"\xff",
        b"x" * 70_000,
        b"s.token-of-a-vault",
        b"a.b.c.d",
        b"a.b+.c",
        b"x.y." + b"z" * 70_000,
    ],
)
def test_what_is_no_assertion_is_not_sent(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "assertion"
    if content is not None:
        file.write_bytes(content)
    http = entra(granted())
    observation = stopped(http, {**BLOCK, "assertion_file": str(file)}, {})
    assert (observation.kind, http.forms()) == ("config", [])
    assert str(file) in observation.text


def test_an_assertion_that_comes_back_is_hidden(tmp_path: Path) -> None:
    file = tmp_path / "assertion"
    file.write_text("my.own.assertion")
    http = entra(refusal("invalid_client", 700211, description="Bad my.own.assertion"))
    assert stopped(http, {**BLOCK, "assertion_file": str(file)}, {}).text.startswith("AADSTS700211: Bad ********")


@pytest.mark.parametrize("more", [SECRET, {"certificate": PEM}, {}])
def test_a_user_signs_in_with_a_password(more: dict[str, str]) -> None:
    http = entra(granted(jwt(upn="ann@example.com")))
    token = obtain(http, USER, {**PASSWORD, **more})
    assert token.claims == {"upn": "ann@example.com"}
    form = http.forms()[0]
    assert (form["grant_type"], form["username"], form["password"]) == (
        "password",
        "ann@example.com",
        "password-of-ann",
    )
    assert ("client_secret" in form, "client_assertion" in form) == ("client_secret" in more, "certificate" in more)


def test_the_users_realm_is_asked_for_at_the_authoritys_port() -> None:
    http = entra(granted())
    obtain(http, {**USER, "username": "a/../b?c#d ü@example.com"}, PASSWORD)
    urls = [asked.url for asked in http.asked if "userrealm" in asked.url]
    assert urls == [f"{AUTHORITY}/common/userrealm/a%2F..%2Fb%3Fc%23d%20%C3%BC@example.com?api-version=1.0"]


def test_scopes_that_msal_adds_itself_are_no_trouble() -> None:
    http = entra(granted())
    obtain(http, {**USER, "scope": "https://outlook.office.com/SMTP.Send offline_access"}, PASSWORD)
    assert "https://outlook.office.com/SMTP.Send" in http.forms()[0]["scope"]


def test_a_password_that_comes_back_is_hidden() -> None:
    http = entra(refusal("invalid_grant", 50126, description="Bad password-of-ann"))
    assert stopped(http, USER, PASSWORD).text.startswith("AADSTS50126: Bad ********")


IDENTITY_VARIABLES = (
    "IDENTITY_ENDPOINT IDENTITY_HEADER IDENTITY_SERVER_THUMBPRINT IMDS_ENDPOINT MSI_ENDPOINT MSI_SECRET"
    " AZURE_POD_IDENTITY_AUTHORITY_HOST"
).split()


@pytest.fixture
def in_azure(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in IDENTITY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(("who", "asked_for"), [("system", None), ("identity-1", "identity-1")])
def test_a_machine_signs_in_as_itself(who: str, asked_for: str | None, in_azure: pytest.MonkeyPatch) -> None:
    http = Http(metadata=granted(TOKEN, expires_in="3599"))
    assert obtain(http, {"managed_identity": who}, {}, "graph").secret.reveal() == TOKEN
    asked = http.asked[0]
    assert asked.url == "http://169.254.169.254/metadata/identity/oauth2/token"
    assert asked.params["resource"] == "https://graph.microsoft.com"
    assert asked.params.get("client_id") == asked_for


@pytest.mark.parametrize("kind", ["timeout", "refused", "unreachable", "reset", "closed"])
def test_elsewhere_there_is_no_identity_service(kind: str, in_azure: pytest.MonkeyPatch) -> None:
    http = Http(metadata=probe_error(kind, "why"))
    observation = stopped(http, {"managed_identity": "system"}, {})
    assert (observation.kind, observation.text) == ("no_identity_service", "why")


def test_an_identity_that_the_machine_does_not_have_is_told(in_azure: pytest.MonkeyPatch) -> None:
    answer = as_json({"error": "invalid_request", "error_description": "Identity not found"}, 400)
    observation = stopped(Http(metadata=answer), {"managed_identity": "identity-1"}, {})
    assert (observation.kind, observation.enhanced, observation.text) == (
        "token",
        "invalid_request",
        "Identity not found",
    )
    assert observation.facts["managed_identity"] == "identity-1"


def test_an_error_that_msal_makes_up_counts_for_nothing(in_azure: pytest.MonkeyPatch) -> None:
    in_azure.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
    in_azure.setenv("IDENTITY_HEADER", "header-secret")
    http = Http(msi=as_json({"statusCode": 500, "message": "Oops header-secret"}, 500))
    observation = stopped(http, {"managed_identity": "system"}, {})
    assert (observation.code, observation.enhanced, observation.text) == (500, "", "500, Oops ********")


def test_what_a_remedy_may_speak_of_is_known() -> None:
    facts = stopped(entra(refusal("invalid_grant", 50126, status=400)), USER, PASSWORD).facts
    assert facts == {
        "cloud": "global",
        "authority": AUTHORITY,
        "client_id": "client-1",
        "tenant_id": "T",
        "token_user": "ann@example.com",
        "scope": "https://outlook.office365.com/.default",
        "token_server": "login.example.com:8443",
        "error": "invalid_grant",
        "error_codes": ["50126"],
        "trace_id": "t-1",
        "correlation_id": "c-1",
        "http_status": 400,
        "link": "https://login.microsoftonline.com/error?code=50126",
    }


def test_a_tenant_that_discovery_does_not_know_is_told() -> None:
    http = entra(granted())
    http._reactions["openid-configuration"] = [refusal("invalid_tenant", 90002)]
    observation = stopped(http, BLOCK, SECRET)
    assert (observation.kind, observation.code, observation.enhanced) == ("token", 400, "invalid_tenant 90002")


@pytest.mark.parametrize("status", [500, 503])
def test_a_refusal_with_a_code_is_told_whatever_its_status(status: int) -> None:
    observation = stopped(entra(refusal("temporarily_unavailable", 90033, status=status)), BLOCK, SECRET)
    assert (observation.code, observation.enhanced) == (status, "temporarily_unavailable 90033")


HOSTILE = (
    Answer(""),
    Answer("<html>", 500),
    Answer("null"),
    as_json([]),
    as_json({"token_endpoint": 1, "authorization_endpoint": {}}),
    as_json({"token_endpoint": "http://elsewhere/T/", "authorization_endpoint": ""}),
    as_json({"access_token": ["x"], "token_type": "Bearer"}),
    as_json({"access_token": "opaque-token", "expires_in": "soon"}),
    as_json({"access_token": "opaque-token", "id_token": "a.b.c"}),
    as_json({"account_type": "Federated"}),
    as_json({"account_type": "Federated", "federation_metadata_url": "https://x/openid-configuration"}),
    Answer("[" * 100_000),
)


@pytest.mark.parametrize(
    ("at", "answer"),
    [*(("/token", answer) for answer in HOSTILE), *product(("openid-configuration", "userrealm"), HOSTILE[:6])],
)
def test_any_answer_is_an_observation_and_never_a_raw_error(
    at: str, answer: Answer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    http = entra(granted("opaque-token"))
    http._reactions[at] = [answer]
    try:
        obtain(http, USER, {**PASSWORD, **SECRET})
    except ProbeError:
        http.asked.clear()
        observation = stopped(http, USER, {**PASSWORD, **SECRET})
        assert observation.kind == "token"
        assert "opaque-token" not in repr(observation)
    captured = capfd.readouterr()
    assert (caplog.text, captured.out, captured.err) == ("", "", "")


def test_msal_does_not_speak_of_what_it_sees(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.DEBUG)
    obtain(entra(granted(TOKEN)), BLOCK, SECRET)
    stopped(entra(Answer("a page with very-secret-value")), BLOCK, SECRET)
    captured = capfd.readouterr()
    assert (caplog.text, captured.out, captured.err) == ("", "", "")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", "https://x", "very-secret-value", "a.b.c"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "code"]), inner, max_size=2),
    max_leaves=4,
)
NAMES = (
    "error error_description error_codes access_token token_type expires_in id_token client_info refresh_token scope"
    " token_endpoint authorization_endpoint account_type federation_metadata_url refresh_in"
).split()


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
    st.sampled_from([200, 302, 400, 429, 500]),
    st.sampled_from(["openid-configuration", "userrealm", "/token"]),
)
def test_any_json_is_survived(told: dict[str, object], status: int, at: str) -> None:
    http = entra(granted("opaque-token"))
    http._reactions[at] = [as_json(told, status)]
    try:
        obtain(http, USER, {**PASSWORD, **SECRET})
    except ProbeError:
        assert stopped(http, USER, {**PASSWORD, **SECRET}).kind == "token"


def test_trouble_on_the_way_goes_through_msal() -> None:
    observation = stopped(entra(probe_error("refused", "Connection refused")), BLOCK, SECRET)
    assert (observation.kind, observation.facts["token_server"]) == ("refused", "login.example.com:8443")
    assert observation.facts["tenant_id"] == "T"


def test_without_msal_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msal", None)
    http = entra(granted())
    with pytest.raises(MissingLibrary, match="The Python library msal is needed to sign in at Microsoft"):
        obtain(http, BLOCK, SECRET)
    assert http.asked == []


def test_what_is_asked_does_not_depend_on_what_was_asked_before() -> None:
    def once(asked: Asked) -> Answer:
        return granted(f"token-for-{asked.form['client_id']}")

    http = entra(once)
    tokens = [obtain(http, {**BLOCK, "client_id": each}, SECRET).secret.reveal() for each in ("a", "b")]
    assert tokens == ["token-for-a", "token-for-b"]
