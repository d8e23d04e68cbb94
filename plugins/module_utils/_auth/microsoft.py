# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""Tokens of Microsoft's identity platform, through msal.

Every token is requested by a new application object, since msal caches failures. Region, proxies and certificates of
the environment are ignored.
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
from .certificates import load_key_pair, read_file
from .source import TokenSource, reveal_or_empty
from .token_client import TokenClient
from .tokens import Response

OLDEST_FOR_CERTIFICATES = (1, 35)

_RESERVED_SCOPES = ("openid", "profile", "offline_access")
_NO_SERVICE: tuple[Kind, ...] = (
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
    """Import msal and silence its log, which would hold tokens."""
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
    """A token source of Microsoft."""

    provider = "microsoft"

    @property
    def authority(self) -> str:
        return authority_url(self.settings.cloud, self.settings.authority)

    def default_scope(self, protocol: Protocol) -> str:
        return token_scope(self.settings.cloud, protocol)

    def facts(self) -> dict[str, Any]:
        return {"authority": self.authority, **super().facts()}


class _Application(_Microsoft):
    """A registered application."""

    def request_token(self, client: TokenClient, scope: str) -> Any:
        return self._create_application(_msal(), client).acquire_token_for_client(scope.split())

    @abstractmethod
    def credential(self, msal: Any) -> Any:
        """The client credential in the form that msal expects."""

    def _create_application(self, msal: Any, client: TokenClient) -> Any:
        credential = self.credential(msal)
        common = {
            "authority": f"{self.authority}/{self.settings.tenant_id}",
            "http_client": _AuthorityHttp(client, self.authority),
            "instance_discovery": False,
        }
        if credential is None:
            return msal.PublicClientApplication(self.settings.client_id, **common)
        return msal.ConfidentialClientApplication(
            self.settings.client_id, client_credential=credential, azure_region=False, **common
        )


class ClientSecret(_Application):
    """An application with a client secret."""

    def credential(self, _msal: Any) -> str:
        return reveal_or_empty(self.settings.client_secret)


class Certificate(_Application):
    """An application with a certificate in the declaration."""

    def credential(self, msal: Any) -> dict[str, str]:
        _check_version(msal)
        pair = load_key_pair(
            self._data(), reveal_or_empty(self.settings.certificate_passphrase), f"oauth2.{self._field()}"
        )
        return {"private_key": pair.key, "public_certificate": pair.certificate}

    def _data(self) -> bytes:
        return reveal_or_empty(self.settings.certificate).encode()

    def _field(self) -> str:
        return "certificate"


class CertificateFile(Certificate):
    """An application with a certificate in a PEM or PFX file."""

    def _data(self) -> bytes:
        return read_file(self.settings.certificate_file, "certificate_file")

    def _field(self) -> str:
        return "certificate_file"


class Assertion(_Application):
    """An application with an assertion of another identity provider (a federated credential)."""

    def credential(self, _msal: Any) -> dict[str, Any]:
        return {"client_assertion": self._assertion}

    def _assertion(self) -> str:
        path = self.settings.assertion_file
        text = read_file(path, "assertion_file").decode("ascii", "replace").strip()
        # The file is checked, so that a wrong path sends no other secret.
        if len(text) > _LONGEST_ASSERTION or not _JWT.fullmatch(text):
            raise probe_error(
                "config",
                f"assertion_file {path} is not a JWT: three base64url parts separated by dots",
                field="oauth2.assertion_file",
            )
        return text


def application_type(settings: OAuthSettings) -> type[_Application] | None:
    """The type of application for the declared client credential; None if there is none."""
    if settings.client_secret:
        return ClientSecret
    if settings.certificate:
        return Certificate
    if settings.certificate_file:
        return CertificateFile
    return Assertion if settings.assertion_file else None


class ResourceOwner(_Application):
    """A user with a password; the application may have a credential too."""

    def request_token(self, client: TokenClient, scope: str) -> Any:
        scopes = [each for each in scope.split() if each not in _RESERVED_SCOPES]
        application = self._create_application(_msal(), client)
        return application.acquire_token_by_username_password(
            self.settings.username, reveal_or_empty(self.settings.password), scopes
        )

    def credential(self, msal: Any) -> Any:
        application = application_type(self.settings)
        return application(self.settings, self._http, self._redact).credential(msal) if application else None


class ManagedIdentity(_Microsoft):
    """The identity of a machine in Azure, or of one joined by Azure Arc."""

    sends_credential = False

    def request_token(self, client: TokenClient, scope: str) -> Any:
        msal = _msal()
        name = self.settings.managed_identity
        identity = (
            msal.SystemAssignedManagedIdentity()
            if name == "system"
            else msal.UserAssignedManagedIdentity(client_id=name)
        )
        managed = msal.ManagedIdentityClient(identity, http_client=client)
        try:
            body = managed.acquire_token_for_client(resource=_resource(scope))
        except ProbeError as error:
            if error.observation.kind in _NO_SERVICE:
                raise ProbeError(error.observation.with_context(kind="no_identity_service")) from error
            raise
        # msal replaces an error that it does not know by a meaningless one; use the response instead.
        return body if "access_token" in body else {**body, "error": None, **client.last_json()}

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "managed_identity": self.settings.managed_identity}


class _AuthorityHttp:
    """HTTP for msal, whose user realm request lacks the authority's port and does not quote the user name."""

    def __init__(self, client: TokenClient, authority: str) -> None:
        self._client = client
        self._msal_url = f"https://{urlsplit(authority).hostname}/common/userrealm/"
        self._user_realm_url = f"{authority}/common/userrealm/"
        self.post = client.post
        self.close = client.close

    def get(self, url: str, **more: Any) -> Response:
        if url.startswith(self._msal_url):
            user, _mark, query = url[len(self._msal_url) :].rpartition("?")
            url = f"{self._user_realm_url}{quote(user, safe='@')}?{query}"
        return self._client.get(url, **more)


def _resource(scope: str) -> str:
    first = (scope.split() or [""])[0]
    return first[: -len("/.default")] if first.endswith("/.default") else first


def _check_version(msal: Any) -> None:
    version = str(getattr(msal, "__version__", "0"))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_FOR_CERTIFICATES:
        oldest = ".".join(str(number) for number in OLDEST_FOR_CERTIFICATES)
        raise MissingLibrary(f"msal {oldest} or newer", "to sign in with a certificate", f"{version} is installed")
