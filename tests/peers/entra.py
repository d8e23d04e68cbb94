# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Microsoft's identity platform, and for the managed identities of its machines."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import secrets
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from peers import jose, tokens
from peers.ca import CertificateZoo
from peers.entra_errors import ERRORS, FAMILIES, EntraFailure, Refused, refusal
from peers.https import Failure, HttpsServer, Request, Response, Route, as_json
from peers.tokens import MAIL, Permission, Tokens
from peers.users import DOMAIN, USERS

GRAPH = frozenset(
    {
        "https://graph.microsoft.com",
        "https://graph.microsoft.us",
        "https://dod-graph.microsoft.us",
        "https://microsoftgraph.chinacloudapi.cn",
        "00000003-0000-0000-c000-000000000000",
    }
)
EXCHANGE = frozenset(
    {
        "https://outlook.office365.com",
        "https://outlook.office.com",
        "https://outlook.office365.us",
        "https://outlook-dod.office365.us",
        "https://partner.outlook.cn",
        "https://ps.outlook.com",
        "00000002-0000-0ff1-ce00-000000000000",
    }
)
MAIL_ROLES = {"IMAP.AccessAsApp": "imap", "SMTP.SendAsApp": "smtp"}
DELEGATED = {"graph": "Mail.ReadWrite Mail.Send User.Read", "exchange": "IMAP.AccessAsUser.All SMTP.Send"}
OPENID = frozenset({"openid", "profile", "offline_access", "email"})
ANY_TENANT = ("common", "organizations", "consumers")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FEDERATED_AUDIENCE = "api://AzureADTokenExchange"


@dataclasses.dataclass(eq=False, repr=False)
class App:
    """A registered application and its credentials."""

    roles: Collection[str] = ()
    mailboxes: Collection[str] | None = None
    rbac: Mapping[str, Collection[str]] = dataclasses.field(default_factory=dict)
    secret_expired: bool = False
    public: bool = False
    opaque: bool = False
    lifetime: float = 3600
    client_id: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))
    object_id: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))
    secret: str = dataclasses.field(default_factory=lambda: f"tS~8Q{secrets.token_urlsafe(30)}")
    secret_id: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))
    issuer: str = "https://ci.example.com"  # of federated assertions
    subject: str = "job:mail"
    _pair: tuple[rsa.RSAPrivateKey, x509.Certificate] | None = None
    _federated_key: rsa.RSAPrivateKey | None = None

    def __repr__(self) -> str:
        return f"<App {self.client_id}>"

    @property
    def federated_key(self) -> rsa.RSAPrivateKey:
        """What the federated issuer signs with."""
        self._federated_key = self._federated_key or tokens.new_key()
        return self._federated_key

    @property
    def key_and_certificate(self) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
        """The registered certificate, made when it is needed first."""
        self._pair = self._pair or _self_signed(self.client_id)
        return self._pair

    @property
    def has_certificate(self) -> bool:
        """Whether one was ever asked for."""
        return self._pair is not None

    @property
    def thumbprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal digits."""
        return self.key_and_certificate[1].fingerprint(hashes.SHA256()).hex()

    @property
    def certificate(self) -> str:
        """Key and certificate as PEM."""
        return self.certificate_pem()

    def certificate_pem(self, passphrase: str = "") -> str:
        """Key and certificate as PEM, the key encrypted if there is a passphrase."""
        key, certificate = self.key_and_certificate
        encryption = _encryption(passphrase)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        return (pem + certificate.public_bytes(serialization.Encoding.PEM)).decode()

    def certificate_file(self, path: Path, passphrase: str = "") -> Path:
        """The same in a file."""
        return _private(path, self.certificate_pem(passphrase).encode())

    def pfx_file(self, path: Path, passphrase: str = "") -> Path:
        """Key and certificate as PKCS #12."""
        key, certificate = self.key_and_certificate
        content = pkcs12.serialize_key_and_certificates(b"mail", key, certificate, None, _encryption(passphrase))
        return _private(path, content)

    def renew_certificate(self) -> None:
        """Registers another certificate and forgets the old one."""
        self._pair = _self_signed(self.client_id)

    def assertion(self, **claims: object) -> str:
        """A token of the federated issuer."""
        now = int(time.time())
        usual = {"iss": self.issuer, "sub": self.subject, "aud": FEDERATED_AUDIENCE, "iat": now, "exp": now + 600}
        return jose.signed({**usual, **claims}, self.federated_key, {"kid": "ci"})

    def assertion_file(self, path: Path) -> Path:
        """The same in a file, as a CI system would put it there."""
        return _private(path, self.assertion().encode())


def _encryption(passphrase: str) -> serialization.KeySerializationEncryption:
    if passphrase:
        return serialization.BestAvailableEncryption(passphrase.encode())
    return serialization.NoEncryption()


def _private(path: Path, content: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return path


def _self_signed(common_name: str) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    # PyJWT, which msal signs with, warns of shorter ones.
    key, now = tokens.new_key(2048), dt.datetime.now(dt.timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    begins, ends = now - dt.timedelta(days=1), now + dt.timedelta(days=90)
    return key, builder.not_valid_before(begins).not_valid_after(ends).sign(key, hashes.SHA256())


def _variants(*names: str) -> dict[str, Failure | None]:
    return dict.fromkeys(names)


@dataclasses.dataclass
class _Wish:
    """How a token should differ from the right one."""

    roles: bool = True
    audience: str = ""
    lifetime: float | None = None
    forged: bool = False
    opaque: bool = False


WISHES = {
    "no_roles": _Wish(roles=False),
    "wrong_audience": _Wish(audience="https://vault.example.com"),
    "expired_token": _Wish(lifetime=-600),
    "forged_token": _Wish(forged=True),
    "opaque_token": _Wish(opaque=True),
}
ANSWERS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no_access_token": lambda body: {name: value for name, value in body.items() if name != "access_token"},
    "empty_access_token": lambda body: {**body, "access_token": ""},
    "token_type_mac": lambda body: {**body, "token_type": "mac"},
    "expires_in_text": lambda body: {**body, "expires_in": str(body.get("expires_in", ""))},
}
UNKNOWN_ERROR = EntraFailure("999999", 400, "device_only", "Nobody knows this error.")


class Entra(HttpsServer):
    """Discovery, user realm and tokens; what is asked for is really checked, unless a scenario says otherwise."""

    FAMILIES = FAMILIES
    SCENARIOS: Mapping[str, Failure | None] = {
        **ERRORS,
        **_variants(*ANSWERS, *WISHES, "no_error_codes"),
        "device_only": UNKNOWN_ERROR,
    }

    def __init__(self, zoo: CertificateZoo, known: Tokens | None = None, *, certificate: str = "good") -> None:
        super().__init__(zoo, certificate=certificate)
        self.tokens = known or Tokens()
        self.tenant_id = str(uuid.uuid4())
        self.tenant_name = DOMAIN
        self.apps: dict[str, App] = {}
        self.users = {user.address: user.password for user in USERS.values()}
        self.graph_resources = set(GRAPH)
        self.exchange_resources = set(EXCHANGE)

    def add_app(self, **options: Any) -> App:
        """Registers an application."""
        app = App(**options)
        self.apps[app.client_id] = app
        return app

    def routes(self) -> tuple[Route, ...]:
        """What the identity platform answers."""
        return (
            Route("token", "POST", "/([^/]+)/oauth2/v2.0/token", self._token),
            Route("discovery", "GET", r"/([^/]+)/v2\.0/\.well-known/openid-configuration", self._discovery),
            Route("instance", "GET", "/common/discovery/instance", self._instance),
            Route("userrealm", "GET", "/common/userrealm/([^/]+)", self._userrealm),
            Route("keys", "GET", r"/([^/]+)/discovery/v2\.0/keys", self._keys),
        )

    def who(self, request: Request) -> str:
        """The client id."""
        return request.form.get("client_id", "") if request.operation == "token" else ""

    def fail_as(self, name: str, request: Request, answer: Callable[[Request], Response]) -> Response:
        """A refusal with a number, or a token that is not what it should be."""
        if name == "no_error_codes":
            return refusal(ERRORS["7000215"], numbered=False)
        failure = self.SCENARIOS[name]
        if isinstance(failure, EntraFailure):
            return refusal(failure)
        if request.operation != "token":
            return answer(request)
        if name in WISHES:
            return self._granted(request, request.arguments[0], WISHES[name])
        good = answer(request)
        return as_json(ANSWERS[name](json.loads(good.body)), good.status)

    def _instance(self, request: Request) -> Response:
        host = f"localhost:{self.port}"
        alias = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        address = f"{self.url}/{self.tenant_id}/v2.0/.well-known/openid-configuration"
        return as_json({"tenant_discovery_endpoint": address, "api-version": "1.1", "metadata": [alias]})

    def _discovery(self, request: Request, tenant: str) -> Response:
        if not self._knows(tenant):
            return refusal(ERRORS["90002"], f"Tenant: {tenant}.")
        base = f"{self.url}/{tenant}"
        known = tenant if tenant in ANY_TENANT else self.tenant_id
        return as_json(
            {
                "issuer": f"{self.url}/{known}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "response_types_supported": ["code", "id_token"],
                "scopes_supported": sorted(OPENID),
                "tenant_region_scope": "EU",
                "cloud_instance_name": "microsoftonline.com",
                "msgraph_host": "graph.microsoft.com",
            }
        )

    def _knows(self, tenant: str) -> bool:
        return tenant.lower() in {self.tenant_id, self.tenant_name, *ANY_TENANT}

    def _userrealm(self, request: Request, username: str) -> Response:
        domain = username.rpartition("@")[2].lower()
        kind = "Managed" if domain == self.tenant_name else "Unknown"
        answer = {"ver": "1.0", "account_type": kind, "domain_name": domain}
        cloud = {"cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": "urn:federation:MicrosoftOnline"}
        return as_json({**answer, **cloud})

    def _keys(self, request: Request, tenant: str) -> Response:
        return as_json({"keys": [jose.public_jwk(tokens.key().public_key(), "test")]})

    def _token(self, request: Request, tenant: str) -> Response:
        return self._granted(request, tenant, _Wish())

    def _granted(self, request: Request, tenant: str, wish: _Wish) -> Response:
        try:
            return as_json(self._grant(request, tenant, wish))
        except Refused as refused:
            return refusal(*refused.failure)

    def _grant(self, request: Request, tenant: str, wish: _Wish) -> dict[str, Any]:
        form = request.form
        if not self._knows(tenant):
            raise Refused("90002", f"Tenant: {tenant}.")
        for name in ("grant_type", "client_id"):
            if not form.get(name):
                raise Refused("900144", f"Parameter: {name}.")
        if form["grant_type"] not in ("client_credentials", "password"):
            raise Refused("70003", f"Grant type: {form['grant_type']}.")
        if tenant.lower() in ANY_TENANT:
            raise Refused("9001023" if form["grant_type"] == "password" else "50194")
        app = self.apps.get(form["client_id"])
        if not app:
            raise Refused("700016", f"Identifier: {form['client_id']}.")
        self._authenticate(app, form, f"{self.url}/{tenant}")
        if form["grant_type"] == "password":
            return self._for_user(app, form, wish)
        return self._for_app(app, form, wish)

    def _authenticate(self, app: App, form: Mapping[str, str], base: str) -> None:
        shown = "client_secret" in form or "client_assertion" in form
        if app.public:
            if shown:
                raise Refused("700025")
        elif "client_assertion" in form:
            if form.get("client_assertion_type") != ASSERTION_TYPE:
                raise Refused("900144", "Parameter: client_assertion_type.")
            self._check_assertion(app, form["client_assertion"], base)
        elif "client_secret" not in form:
            raise Refused("7000218")
        elif form["client_secret"] != app.secret:
            raise Refused("7000215", f"Application: {app.client_id}.")
        elif app.secret_expired:
            raise Refused("7000222", f"Application: {app.client_id}.")

    def _check_assertion(self, app: App, text: str, base: str) -> None:
        try:
            assertion = jose.read(text)
        except jose.NotAToken:
            raise Refused("5000819") from None
        if "x5t#S256" in assertion.header or "x5t" in assertion.header:
            _check_certificate(app, assertion, {base, f"{base}/v2.0", f"{base}/oauth2/v2.0/token"})
        else:
            _check_federated(app, assertion)
        if not assertion.is_current(time.time()):
            raise Refused("700024")

    def _for_app(self, app: App, form: Mapping[str, str], wish: _Wish) -> dict[str, Any]:
        scopes = form.get("scope", "").split()
        if len(scopes) > 1:
            raise Refused("70011", "Client credentials need exactly one resource and /.default.")
        if not scopes or not scopes[0].endswith("/.default"):
            raise Refused("70011", f"Scope: {form.get('scope', '')}.")
        audience = scopes[0].removesuffix("/.default").rstrip("/")
        kind = self.kind(audience)
        return self.answer_for_app(app, audience, kind, wish)

    def kind(self, resource: str) -> str:
        """Which service a resource belongs to."""
        if resource in self.graph_resources:
            return "graph"
        if resource in self.exchange_resources:
            return "exchange"
        raise Refused("500011", f"Resource: {resource}.")

    def answer_for_app(self, app: App, audience: str, kind: str, wish: _Wish | None = None) -> dict[str, Any]:
        """A token for an application that acts for itself."""
        wish = wish or _Wish()
        names = [name for name in app.roles if (name in MAIL_ROLES) == (kind == "exchange")]
        claims = {
            **self._claims(app, audience),
            "idtyp": "app",
            "oid": app.object_id,
            "sub": app.object_id,
            **({"roles": sorted(names)} if names and wish.roles else {}),
        }
        services = (
            {MAIL_ROLES[name] for name in (*names, *app.rbac) if name in MAIL_ROLES} if kind == "exchange" else ()
        )
        return self._answer(app, claims, Permission(services, app.mailboxes, app.rbac), wish)

    def _for_user(self, app: App, form: Mapping[str, str], wish: _Wish) -> dict[str, Any]:
        scopes = [one for one in form.get("scope", "").split() if one not in OPENID]
        if not scopes or not all(one.startswith("https://") for one in scopes):
            raise Refused("70011", f"Scope: {form.get('scope', '')}.")
        audiences = {one.rpartition("/")[0].rstrip("/") for one in scopes}
        if len(audiences) > 1:
            raise Refused("28002", "It names several resources.")
        audience = audiences.pop()
        kind = self.kind(audience)
        username = form.get("username", "").lower()
        if username not in self.users:
            raise Refused("50034", f"Directory: {self.tenant_name}.")
        if form.get("password") != self.users[username]:
            raise Refused("50126")
        claims = {
            **self._claims(app, audience),
            "idtyp": "user",
            "oid": str(uuid.uuid5(uuid.NAMESPACE_URL, username)),
            "sub": secrets.token_urlsafe(24),
            "scp": DELEGATED[kind],
            "upn": username,
        }
        services = MAIL if kind == "exchange" else ()
        return {**self._answer(app, claims, Permission(services, (username,)), wish), "scope": " ".join(scopes)}

    def _claims(self, app: App, audience: str) -> dict[str, Any]:
        return {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "appid": app.client_id,
            "app_displayname": "mail",
            "tid": self.tenant_id,
            "ver": "1.0",
        }

    def _answer(self, app: App, claims: dict[str, Any], permission: Permission, wish: _Wish) -> dict[str, Any]:
        if wish.audience:
            claims, permission = {**claims, "aud": wish.audience}, dataclasses.replace(permission, services=())
        lifetime = app.lifetime if wish.lifetime is None else wish.lifetime
        token = self.tokens.issue(
            claims, permission, lifetime=lifetime, opaque=app.opaque or wish.opaque, forged=wish.forged
        )
        lasts = int(lifetime) - 1 if lifetime > 0 else 3599  # an expired token looks good, as when clocks differ
        return {"token_type": "Bearer", "expires_in": lasts, "ext_expires_in": lasts, "access_token": token}


def _check_certificate(app: App, assertion: jose.Jwt, audiences: set[str]) -> None:
    header, claims = assertion.header, assertion.claims
    if not app.has_certificate:
        raise Refused("700027", "The application has no certificate.")
    certificate = app.key_and_certificate[1]
    registered = {
        "x5t#S256": jose.encoded(certificate.fingerprint(hashes.SHA256())),
        "x5t": jose.encoded(certificate.fingerprint(hashes.SHA1())),
    }
    if not any(str(header.get(name, "")).rstrip("=") == value for name, value in registered.items()):
        raise Refused("700027", "The key was not found by the thumbprint of the certificate.")
    if not assertion.is_signed_by(app.key_and_certificate[0].public_key()):
        raise Refused("700027", "The signature is not that of the registered key.")
    if claims.get("aud") not in audiences:
        raise Refused("700023")
    if (claims.get("iss"), claims.get("sub")) != (app.client_id, app.client_id):
        raise Refused("700021")


def _check_federated(app: App, assertion: jose.Jwt) -> None:
    expected = {"iss": (app.issuer, "700211"), "sub": (app.subject, "700213"), "aud": (FEDERATED_AUDIENCE, "700212")}
    for name, (value, number) in expected.items():
        if assertion.claims.get(name) != value:
            raise Refused(number)
    if not assertion.is_signed_by(app.federated_key.public_key()):
        raise Refused("700027", "The signature is not that of the issuer.")


class ManagedIdentity(HttpsServer):
    """What a machine of the cloud asks for its own tokens: the metadata service, and that of app services."""

    SCENARIOS: Mapping[str, Failure | None] = {
        "identity_not_found": Failure("identity_not_found", 400, "invalid_request", "Identity not found"),
        "no_identity": Failure("no_identity", 404, "not_found", "No managed identity endpoint was found"),
        "wrong_resource": Failure("wrong_resource", 400, "invalid_resource", "AADSTS500011: Resource not found."),
    }

    def __init__(self, entra: Entra) -> None:
        super().__init__(None)
        self.entra = entra
        self.header = secrets.token_urlsafe(24)
        self.system: App | None = None
        self._apps: dict[str, App] = {}

    def add_app(self, **options: Any) -> App:
        """A user-assigned identity; the first one is the system's too, unless `system` is set to another one."""
        app = self.entra.add_app(**options)
        self._apps[app.client_id] = app
        self.system = self.system or app
        return app

    def environment(self, kind: str) -> dict[str, str]:
        """The variables that lead a client here: `imds` or `app_service`."""
        if kind == "imds":
            return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.url}
        return {"IDENTITY_ENDPOINT": f"{self.url}/msi/token", "IDENTITY_HEADER": self.header}

    def routes(self) -> tuple[Route, ...]:
        """Both kinds."""
        return (
            Route("imds", "GET", "/metadata/identity/oauth2/token", self._imds),
            Route("app_service", "GET", "/msi/token", self._app_service),
        )

    def who(self, request: Request) -> str:
        """The client id of a user-assigned identity."""
        return request.query.get("client_id", "")

    def fail_as(self, name: str, request: Request, answer: Callable[[Request], Response]) -> Response:
        """A refusal in the form of the service that was asked."""
        failure = self.SCENARIOS[name]
        return self._refusal(request, failure) if failure else answer(request)

    def _imds(self, request: Request) -> Response:
        if request.headers.get("metadata") != "true":
            return self._refusal(request, Failure("", 400, "invalid_request", "Required metadata header not specified"))
        return self._token(request)

    def _app_service(self, request: Request) -> Response:
        if request.headers.get("x-identity-header") != self.header:
            return self._refusal(request, Failure("", 401, "unauthorized", "The identity header is missing or wrong"))
        return self._token(request)

    def _token(self, request: Request) -> Response:
        asked = request.query.get("client_id")
        app = self._apps.get(asked) if asked else self.system
        if not app:
            return self.fail_as("identity_not_found", request, self._token)
        resource = request.query.get("resource", "").rstrip("/")
        try:
            answer = self.entra.answer_for_app(app, resource, self.entra.kind(resource))
        except Refused:
            return self.fail_as("wrong_resource", request, self._token)
        lasts = int(answer["expires_in"])
        times = {"expires_on": str(int(time.time()) + lasts), "not_before": str(int(time.time()))}
        if request.operation == "imds":
            times["expires_in"] = str(lasts)
        token = {"access_token": answer["access_token"], "token_type": "Bearer", "resource": resource}
        return as_json({**token, **times, "client_id": app.client_id})

    def _refusal(self, request: Request, failure: Failure) -> Response:
        if request.operation == "imds":
            return as_json({"error": failure.code, "error_description": failure.text}, failure.status)
        return as_json({"statusCode": failure.status, "message": failure.text}, failure.status)
