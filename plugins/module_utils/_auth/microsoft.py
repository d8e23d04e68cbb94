# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tokens of Microsoft's identity platform, through msal.

Every token is asked for by a new application object, since msal keeps failures for a while. Region, proxies and
certificates of the environment have no influence.
"""

from __future__ import annotations

import logging
import re
import warnings
from abc import abstractmethod
from typing import Any
from urllib.parse import quote, urlsplit

from .._connector.clouds import authority_url, token_scope
from .._connector.resolved import OAuthSettings, Protocol
from .._errors import MissingLibrary
from .._verdict.observation import Kind, ProbeError, probe_error
from .certificates import key_pair, read
from .exchange import Exchange
from .source import TokenSource, revealed
from .tokens import Answer

OLDEST_FOR_CERTIFICATES = (1, 35)

_RESERVED_SCOPES = ("openid", "profile", "offline_access")
_NOBODY_THERE: tuple[Kind, ...] = (
    "timeout",
    "refused",
    "unreachable",
    "reset",
    "closed",
    "not_found",
    "name_temporary",
)
_LONGEST_ASSERTION = 64 * 1024
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


def _msal() -> Any:
    """The library, told not to speak of what it sees: its log would hold answers, which hold tokens."""
    try:
        import msal
    except ImportError as missing:
        raise MissingLibrary("msal", "to sign in at Microsoft", str(missing)) from None
    silent = logging.getLogger("msal")
    silent.setLevel(logging.CRITICAL + 1)
    silent.propagate = False
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"msal\.")
    return msal


class _Microsoft(TokenSource):
    """What all of Microsoft's ways have in common."""

    provider = "microsoft"

    @property
    def authority(self) -> str:
        return authority_url(self.settings.cloud, self.settings.authority)

    def default_scope(self, protocol: Protocol) -> str:
        return token_scope(self.settings.cloud, protocol)

    def facts(self) -> dict[str, Any]:
        return {"authority": self.authority, **super().facts()}


class _Application(_Microsoft):
    """A registered application, which proves that it is the one it says."""

    def ask(self, exchange: Exchange, scope: str) -> Any:
        return self._made(_msal(), exchange).acquire_token_for_client(scope.split())

    @abstractmethod
    def credential(self, msal: Any) -> Any:
        """The proof, as msal wants it."""

    def _made(self, msal: Any, exchange: Exchange) -> Any:
        credential = self.credential(msal)
        common = {
            "authority": f"{self.authority}/{self.settings.tenant_id}",
            "http_client": _AtAuthority(exchange, self.authority),
            "instance_discovery": False,
        }
        if credential is None:
            return msal.PublicClientApplication(self.settings.client_id, **common)
        return msal.ConfidentialClientApplication(
            self.settings.client_id, client_credential=credential, azure_region=False, **common
        )


class ClientSecret(_Application):
    """By the application's secret."""

    def credential(self, _msal: Any) -> str:
        return revealed(self.settings.client_secret)


class Certificate(_Application):
    """By a certificate that is written into the declaration."""

    def credential(self, msal: Any) -> dict[str, str]:
        _check_version(msal)
        pair = key_pair(self._data(), revealed(self.settings.certificate_passphrase), f"oauth2.{self._field()}")
        return {"private_key": pair.key, "public_certificate": pair.certificate}

    def _data(self) -> bytes:
        return revealed(self.settings.certificate).encode()

    def _field(self) -> str:
        return "certificate"


class CertificateFile(Certificate):
    """By a certificate in a file, PEM or PFX."""

    def _data(self) -> bytes:
        return read(self.settings.certificate_file, "certificate_file")

    def _field(self) -> str:
        return "certificate_file"


class Assertion(_Application):
    """By an assertion of another identity provider that the application trusts."""

    def credential(self, _msal: Any) -> dict[str, Any]:
        return {"client_assertion": self._assertion}

    def _assertion(self) -> str:
        path = self.settings.assertion_file
        text = read(path, "assertion_file").decode("ascii", "replace").strip()
        # Nothing else that a file may hold is sent anywhere.
        if len(text) > _LONGEST_ASSERTION or not _JWT.fullmatch(text):
            raise probe_error(
                "config",
                f"assertion_file {path} does not hold an assertion: three parts in base64url, separated by full stops",
                field="oauth2.assertion_file",
            )
        return text


def proof_of(settings: OAuthSettings) -> type[_Application] | None:
    """How an application proves that it is the one it says."""
    if settings.client_secret:
        return ClientSecret
    if settings.certificate:
        return Certificate
    if settings.certificate_file:
        return CertificateFile
    return Assertion if settings.assertion_file else None


class ResourceOwner(_Application):
    """As a user with a password; the application may prove itself besides."""

    def ask(self, exchange: Exchange, scope: str) -> Any:
        scopes = [each for each in scope.split() if each not in _RESERVED_SCOPES]
        application = self._made(_msal(), exchange)
        return application.acquire_token_by_username_password(
            self.settings.username, revealed(self.settings.password), scopes
        )

    def credential(self, msal: Any) -> Any:
        proof = proof_of(self.settings)
        return proof(self.settings, self._http, self._redact).credential(msal) if proof else None


class ManagedIdentity(_Microsoft):
    """As the machine itself, where it runs in Azure or is joined to it."""

    sends_credential = False

    def ask(self, exchange: Exchange, scope: str) -> Any:
        msal = _msal()
        who = self.settings.managed_identity
        identity = (
            msal.SystemAssignedManagedIdentity() if who == "system" else msal.UserAssignedManagedIdentity(client_id=who)
        )
        client = msal.ManagedIdentityClient(identity, http_client=exchange)
        try:
            body = client.acquire_token_for_client(resource=_resource(scope))
        except ProbeError as stopped:
            if stopped.observation.kind in _NOBODY_THERE:
                raise ProbeError(stopped.observation.with_context(kind="no_identity_service")) from stopped
            raise
        # Where a service answers in its own way, msal makes up an error, which says nothing.
        return body if "access_token" in body else {**body, "error": None, **exchange.last_json()}

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "managed_identity": self.settings.managed_identity}


class _AtAuthority:
    """HTTP for msal, which forgets the authority's port, and to quote the name, where it asks about a user."""

    def __init__(self, exchange: Exchange, authority: str) -> None:
        self._exchange = exchange
        self._asked = f"https://{urlsplit(authority).hostname}/common/userrealm/"
        self._meant = f"{authority}/common/userrealm/"
        self.post = exchange.post
        self.close = exchange.close

    def get(self, url: str, **more: Any) -> Answer:
        if url.startswith(self._asked):
            user, _mark, query = url[len(self._asked) :].rpartition("?")
            url = f"{self._meant}{quote(user, safe='@')}?{query}"
        return self._exchange.get(url, **more)


def _resource(scope: str) -> str:
    first = (scope.split() or [""])[0]
    return first[: -len("/.default")] if first.endswith("/.default") else first


def _check_version(msal: Any) -> None:
    version = str(getattr(msal, "__version__", "0"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_FOR_CERTIFICATES:
        oldest = ".".join(str(number) for number in OLDEST_FOR_CERTIFICATES)
        raise MissingLibrary(f"msal {oldest} or newer", "to sign in with a certificate", f"{version} is installed")
