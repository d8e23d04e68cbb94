# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for Microsoft's identity platform, with msal and without."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msal
import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from peers import jose, tokens
from peers.ca import CertificateZoo
from peers.entra import ASSERTION_TYPE, App, Entra, ManagedIdentity
from peers.entra_errors import ERRORS, FAMILIES
from peers.users import USERS
from servers.peers.web import Answer, Web

# The tests that use this server would fail with it.
pytestmark = pytest.mark.matrix

GRAPH = "https://graph.microsoft.com/.default"
EXCHANGE = "https://outlook.office365.com/.default"
ALICE = USERS["alice"]


class Client(requests.Session):
    """What msal should be given: no settings of the environment, and the port that it forgets."""

    def __init__(self, entra: Entra) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = str(entra.ca_file)
        self.base = entra.url

    def request(self, method: str, url: str, *rest: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        url = url.replace("https://localhost/", f"{self.base}/")
        return super().request(method, url, *rest, **options, timeout=60)


@pytest.fixture
def entra(zoo: CertificateZoo) -> Iterator[Entra]:
    """A running stand-in."""
    with Entra(zoo) as server:
        yield server


@pytest.fixture
def web(zoo: CertificateZoo) -> Web:
    """A client."""
    return Web(zoo)


def application(
    entra: Entra, app: App, credential: object, tenant: str | None = None
) -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        app.client_id,
        client_credential=credential,
        authority=f"{entra.url}/{tenant or entra.tenant_id}",
        instance_discovery=False,
        http_client=Client(entra),
    )


def for_client(entra: Entra, app: App, credential: object, scope: str = GRAPH) -> dict[str, Any]:
    answer: dict[str, Any] = application(entra, app, credential).acquire_token_for_client([scope])
    return answer


def claims_of(answer: dict[str, Any]) -> dict[str, Any]:
    return dict(jose.read(answer["access_token"]).claims)


def asked(web: Web, entra: Entra, app: App, **form: str) -> Answer:
    whole = {"grant_type": "client_credentials", "client_id": app.client_id, "scope": GRAPH, **form}
    return web.post(f"{entra.url}/{entra.tenant_id}/oauth2/v2.0/token", whole)


def number(answer: Answer) -> int:
    return int(answer.json["error_codes"][0])


def test_a_secret(entra: Entra) -> None:
    app = entra.add_app(roles=("Mail.Send", "Mail.Read", "IMAP.AccessAsApp"))
    answer = for_client(entra, app, app.secret)
    claims = claims_of(answer)
    assert answer["expires_in"] == 3599
    assert claims["aud"] == "https://graph.microsoft.com"
    assert claims["roles"] == ["Mail.Read", "Mail.Send"]
    assert (claims["appid"], claims["oid"], claims["tid"]) == (app.client_id, app.object_id, entra.tenant_id)
    assert 3590 < claims["exp"] - time.time() <= 3600
    assert claims_of(for_client(entra, app, app.secret, EXCHANGE))["roles"] == ["IMAP.AccessAsApp"]
    assert [request.operation for request in entra.requests[:2]] == ["discovery", "token"]
    assert entra.requests[1].form["client_secret"] == app.secret


def test_the_published_key_checks_tokens(entra: Entra, web: Web) -> None:
    app = entra.add_app()
    address = web.get(f"{entra.url}/{entra.tenant_id}/v2.0/.well-known/openid-configuration").json["jwks_uri"]
    (jwk,) = web.get(address).json["keys"]
    exponent, modulus = (int.from_bytes(jose.decoded(jwk[name]), "big") for name in ("e", "n"))
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    assert jose.read(for_client(entra, app, app.secret)["access_token"]).is_signed_by(key)
    with entra.failing("forged_token"):
        assert not jose.read(for_client(entra, app, app.secret)["access_token"]).is_signed_by(key)


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_a_certificate(entra: Entra, tmp_path: Path, passphrase: str) -> None:
    app = entra.add_app()
    pem = app.certificate_file(tmp_path / "app.pem", passphrase).read_text(encoding="utf-8")
    key = pem[: pem.index("-----BEGIN CERTIFICATE")]
    both = {"private_key": key, "public_certificate": pem[len(key) :], "passphrase": passphrase or None}
    pfx = {
        "private_key_pfx_path": str(app.pfx_file(tmp_path / "app.pfx", passphrase)),
        "passphrase": passphrase or None,
    }
    for credential in (both, pfx):
        assert claims_of(for_client(entra, app, credential))["appid"] == app.client_id
    assertion = jose.read(entra.requests[-1].form["client_assertion"])
    assert assertion.header["alg"] == "PS256"
    assert jose.decoded(assertion.header["x5t#S256"]).hex() == app.thumbprint
    app.renew_certificate()
    assert for_client(entra, app, both)["error_codes"] == [700027]


def _assertion(entra: Entra, app: App, **changes: Any) -> str:
    key, certificate = app.key_and_certificate
    now = int(time.time())
    audience = f"{entra.url}/{entra.tenant_id}/oauth2/v2.0/token"
    claims = {"iss": app.client_id, "sub": app.client_id, "aud": audience, "iat": now, "exp": now + 600}
    thumbprint = {"x5t#S256": jose.encoded(certificate.fingerprint(hashes.SHA256()))}
    header = changes.pop("header", thumbprint)
    return jose.signed({**claims, **changes}, changes.pop("key", key), header, "PS256")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"aud": "https://login.example.com/"}, 700023),
        ({"exp": 1000}, 700024),
        ({"exp": None}, 700024),
        ({"iat": 9999999999}, 700024),
        ({"iss": "other"}, 700021),
        ({"sub": "other"}, 700021),
        ({"header": {"x5t#S256": "AAAA"}}, 700027),
    ],
)
def test_an_assertion_is_checked(entra: Entra, web: Web, changes: dict[str, Any], expected: int) -> None:
    app = entra.add_app()
    text = _assertion(entra, app, **changes)
    answer = asked(web, entra, app, client_assertion=text, client_assertion_type=ASSERTION_TYPE)
    assert (number(answer) if answer.status != 200 else 0) == expected


def test_a_signature_is_checked(entra: Entra, web: Web) -> None:
    app = entra.add_app()
    head, claims, signature = _assertion(entra, app).split(".")
    changed = json.loads(jose.decoded(claims)) | {"jti": "another"}
    text = f"{head}.{jose.encoded(json.dumps(changed).encode())}.{signature}"
    answer = asked(web, entra, app, client_assertion=text, client_assertion_type=ASSERTION_TYPE)
    assert number(answer) == 700027
    unsigned = jose.encoded(json.dumps({**jose.read(text).header, "alg": "none"}).encode())
    text = f"{unsigned}.{claims}."
    assert number(asked(web, entra, app, client_assertion=text, client_assertion_type=ASSERTION_TYPE)) == 700027
    without = entra.add_app()
    text = jose.signed({"iss": without.client_id}, tokens.new_key(), {"x5t#S256": "AAAA"})
    assert number(asked(web, entra, without, client_assertion=text, client_assertion_type=ASSERTION_TYPE)) == 700027


def test_a_federated_assertion(entra: Entra, web: Web, tmp_path: Path) -> None:
    app = entra.add_app()
    path = app.assertion_file(tmp_path / "token")
    credential = {"client_assertion": lambda: path.read_text(encoding="utf-8")}
    assert claims_of(for_client(entra, app, credential))["appid"] == app.client_id

    def refused(text: str) -> int:
        return number(asked(web, entra, app, client_assertion=text, client_assertion_type=ASSERTION_TYPE))

    assert refused(app.assertion(iss="https://other.example.com")) == 700211
    assert refused(app.assertion(sub="job:other")) == 700213
    assert refused(app.assertion(aud="other")) == 700212
    assert refused(app.assertion(exp=1000)) == 700024
    assert refused("nonsense") == 5000819
    claims = {"iss": app.issuer, "sub": app.subject, "aud": "api://AzureADTokenExchange", "exp": time.time() + 60}
    assert refused(jose.signed(claims, tokens.new_key())) == 700027


def test_a_password(entra: Entra) -> None:
    app = entra.add_app()
    client = application(entra, app, app.secret)
    answer = client.acquire_token_by_username_password(ALICE.address, ALICE.password, [EXCHANGE])
    claims = claims_of(answer)
    assert (claims["upn"], claims["aud"]) == (ALICE.address, "https://outlook.office365.com")
    assert "SMTP.Send" in claims["scp"]
    assert [request.operation for request in entra.requests] == ["discovery", "userrealm", "token"]
    assert entra.requests[2].form["client_secret"] == app.secret
    for username, password, expected in (
        (ALICE.address, "wrong", 50126),
        ("nobody@example.com", "x", 50034),
    ):
        client = application(entra, app, app.secret)
        answer = client.acquire_token_by_username_password(username, password, [GRAPH])
        assert (answer["error"], answer["error_codes"]) == ("invalid_grant", [expected])


@pytest.mark.parametrize(
    ("options", "form", "expected"),
    [
        ({}, {}, 7000218),
        ({}, {"client_secret": "wrong"}, 7000215),
        ({"secret_expired": True, "secret": "s"}, {"client_secret": "s"}, 7000222),
        ({"public": True}, {"client_secret": "s"}, 700025),
        ({"secret": "s"}, {"client_secret": "s", "client_id": "unknown"}, 700016),
        ({"secret": "s"}, {"client_secret": "s", "scope": "https://graph.microsoft.com/Mail.Send"}, 70011),
        ({"secret": "s"}, {"client_secret": "s", "scope": f"{GRAPH} {EXCHANGE}"}, 70011),
        ({"secret": "s"}, {"client_secret": "s", "scope": ""}, 70011),
        ({"secret": "s"}, {"client_secret": "s", "scope": "https://other.example.com/.default"}, 500011),
        ({"secret": "s"}, {"client_secret": "s", "grant_type": "other"}, 70003),
        ({"secret": "s"}, {"client_secret": "s", "grant_type": ""}, 900144),
        ({"secret": "s"}, {"client_assertion": "x"}, 900144),
    ],
)
def test_what_is_wrong_is_refused(
    entra: Entra, web: Web, options: dict[str, Any], form: dict[str, str], expected: int
) -> None:
    assert number(asked(web, entra, entra.add_app(**options), **form)) == expected


def test_the_secret_s_identifier_is_not_the_secret(entra: Entra) -> None:
    app = entra.add_app()
    answer = for_client(entra, app, app.secret_id)
    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [7000215])
    assert app.secret_id not in json.dumps(answer)


def test_tenants(entra: Entra, web: Web) -> None:
    app = entra.add_app()
    assert application(entra, app, app.secret, entra.tenant_name).acquire_token_for_client([GRAPH])["access_token"]
    with pytest.raises(ValueError, match="authority"):
        application(entra, app, app.secret, "nowhere.example.com")
    assert number(web.get(f"{entra.url}/nowhere/v2.0/.well-known/openid-configuration")) == 90002
    with pytest.warns(DeprecationWarning, match="common"):
        answer = application(entra, app, app.secret, "common").acquire_token_for_client([GRAPH])
    assert answer["error_codes"] == [50194]
    client = application(entra, app, app.secret, "organizations")
    answer = client.acquire_token_by_username_password(ALICE.address, ALICE.password, [GRAPH])
    assert answer["error_codes"] == [9001023]


def test_instance_discovery(entra: Entra, web: Web) -> None:
    answer = web.get(f"{entra.url}/common/discovery/instance", **{"api-version": "1.1"}).json
    assert web.get(answer["tenant_discovery_endpoint"]).json["issuer"] == f"{entra.url}/{entra.tenant_id}/v2.0"


@pytest.mark.parametrize("name", ERRORS)
def test_every_number_is_a_scenario(entra: Entra, web: Web, name: str) -> None:
    app = entra.add_app()
    with entra.failing(name, at="token"):
        reply = asked(web, entra, app, client_secret=app.secret)
        answer = for_client(entra, app, app.secret) if reply.status < 500 else reply.json
        if reply.status >= 500:
            with pytest.raises(msal.exceptions.MsalServiceError):
                for_client(entra, app, app.secret)
    assert reply.status == ERRORS[name].status
    assert (answer["error"], answer["error_codes"]) == (ERRORS[name].code, [int(name)])
    assert answer["error_description"].startswith(f"AADSTS{name}: ")
    for field in ("trace_id", "correlation_id"):
        assert answer[field] in answer["error_description"]
    assert answer["timestamp"]
    assert app.secret not in json.dumps(answer)


def test_families_hold_every_number() -> None:
    assert sorted(number for family in FAMILIES.values() for number in family) == sorted(ERRORS)


def test_tokens_that_are_not_right(entra: Entra) -> None:
    app = entra.add_app(roles=("Mail.Send",))

    def answer(name: str) -> dict[str, Any]:
        with entra.failing(name, at="token"):
            return for_client(entra, app, app.secret)

    assert "roles" not in claims_of(answer("no_roles"))
    assert claims_of(answer("wrong_audience"))["aud"] == "https://vault.example.com"
    expired = answer("expired_token")
    assert claims_of(expired)["exp"] < time.time()
    assert expired["expires_in"] == 3599
    assert answer("opaque_token")["access_token"].count(".") == 0
    assert "access_token" not in answer("no_access_token")
    assert answer("empty_access_token")["access_token"] == ""
    assert answer("token_type_mac")["token_type"] == "mac"
    unknown, bare = answer("device_only"), answer("no_error_codes")
    assert unknown["error"] == "device_only"
    assert (bare["error"], "error_codes" in bare) == ("invalid_client", False)
    assert for_client(entra, entra.add_app(opaque=True, secret="s"), "s")["access_token"].startswith("opaque-")


def test_text_where_a_number_should_be(entra: Entra, web: Web) -> None:
    app = entra.add_app()
    with entra.failing("expires_in_text"):
        assert asked(web, entra, app, client_secret=app.secret).json["expires_in"] == "3599"


def test_one_client_fails_and_the_other_does_not(entra: Entra) -> None:
    bad, good = entra.add_app(), entra.add_app()
    entra.fail("50196", who=bad.client_id)
    assert for_client(entra, bad, bad.secret)["error_codes"] == [50196]
    assert for_client(entra, good, good.secret)["access_token"]


def test_nothing_secret_is_printed(entra: Entra) -> None:
    app = entra.add_app()
    for_client(entra, app, app.secret)
    assert app.secret not in f"{app!r} {entra.requests!r} {entra.tokens!r}"


@pytest.fixture
def identity(entra: Entra) -> Iterator[ManagedIdentity]:
    """The services for managed identities."""
    with ManagedIdentity(entra) as server:
        yield server


@pytest.fixture
def at_home(identity: ManagedIdentity, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes this machine one of the cloud."""

    def enter(kind: str) -> None:
        for name, value in identity.environment(kind).items():
            monkeypatch.setenv(name, value)

    return enter


@pytest.mark.parametrize("kind", ["imds", "app_service"])
def test_managed_identities(entra: Entra, identity: ManagedIdentity, at_home: Callable[[str], None], kind: str) -> None:
    system, other = identity.add_app(roles=("Mail.Send",)), identity.add_app()
    at_home(kind)

    def ask(who: object, resource: str = "https://graph.microsoft.com") -> dict[str, Any]:
        client = msal.ManagedIdentityClient(who, http_client=Client(entra))
        answer: dict[str, Any] = client.acquire_token_for_client(resource=resource)
        return answer

    claims = claims_of(ask(msal.SystemAssignedManagedIdentity()))
    assert (claims["appid"], claims["roles"]) == (system.client_id, ["Mail.Send"])
    user = msal.UserAssignedManagedIdentity(client_id=other.client_id)
    assert claims_of(ask(user))["appid"] == other.client_id
    assert "error" in ask(msal.UserAssignedManagedIdentity(client_id="unknown"))
    assert "error" in ask(msal.SystemAssignedManagedIdentity(), "https://other.example.com")
    for name in identity.SCENARIOS:
        with identity.failing(name):
            assert "error" in ask(msal.SystemAssignedManagedIdentity())
    assert {request.operation for request in identity.requests} == {kind}


def test_managed_identities_want_their_headers(identity: ManagedIdentity, web: Web) -> None:
    identity.add_app()
    query = {"api-version": "2018-02-01", "resource": "https://graph.microsoft.com"}
    assert web.get(f"{identity.url}/metadata/identity/oauth2/token", **query).status == 400
    assert web.get(f"{identity.url}/metadata/identity/oauth2/token", {"Metadata": "true"}, **query).status == 200
    assert web.get(f"{identity.url}/msi/token", {"X-IDENTITY-HEADER": "wrong"}, **query).status == 401
    assert web.get(f"{identity.url}/msi/token", {"X-IDENTITY-HEADER": identity.header}, **query).status == 200
