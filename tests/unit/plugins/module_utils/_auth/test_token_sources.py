# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which way to a token an oauth2 block describes, and what it asks for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from peers.connectors import oauth_settings

from ansible_collections.mailroom.core.plugins.module_utils._auth.google import ServiceAccount
from ansible_collections.mailroom.core.plugins.module_utils._auth.microsoft import (
    Assertion,
    Certificate,
    CertificateFile,
    ClientSecret,
    ManagedIdentity,
    ResourceOwner,
)
from ansible_collections.mailroom.core.plugins.module_utils._auth.source import TokenSource
from ansible_collections.mailroom.core.plugins.module_utils._auth.token_sources import token_source, token_source_type
from ansible_collections.mailroom.core.plugins.module_utils._auth.token_url import TokenUrl
from ansible_collections.mailroom.core.plugins.module_utils._connector.clouds import (
    CLOUDS,
    authority_url,
    graph_url,
    token_scope,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.fields import CLOUDS as CHOICES
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import ProbeError

from .answers import Http

BLOCKS: dict[str, tuple[str, type[TokenSource], str]] = {
    "secret": ("client_id tenant_id client_secret", ClientSecret, "microsoft"),
    "secret and mailbox": ("client_id tenant_id client_secret username", ClientSecret, "microsoft"),
    "certificate": ("client_id tenant_id certificate", Certificate, "microsoft"),
    "certificate file": ("client_id tenant_id certificate_file certificate_passphrase", CertificateFile, "microsoft"),
    "assertion": ("client_id tenant_id assertion_file username", Assertion, "microsoft"),
    "identity": ("managed_identity", ManagedIdentity, "microsoft"),
    "user": ("client_id tenant_id username password", ResourceOwner, "microsoft"),
    "user and secret": ("client_id tenant_id username password client_secret", ResourceOwner, "microsoft"),
    "user and file": ("client_id tenant_id username password certificate_file", ResourceOwner, "microsoft"),
    "google": ("service_account username", ServiceAccount, "google"),
    "other": ("token_url client_id client_secret", TokenUrl, "other"),
    "other and user": ("token_url client_id client_secret username password", TokenUrl, "other"),
}
SECRETS = ("client_secret", "certificate", "certificate_passphrase", "password", "service_account")


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_known_by_its_fields(name: str) -> None:
    fields, way, provider = BLOCKS[name]
    settings = {field: "x" for field in fields.split() if field not in SECRETS}
    secrets = {f"oauth2.{field}": Secret("x") for field in fields.split() if field in SECRETS}
    assert token_source_type(oauth_settings(settings, {**secrets, "smtp.password": Secret("y")})) is way
    assert way.provider == provider


def test_every_way_is_among_them() -> None:
    found, more = set[type[TokenSource]](), [TokenSource]
    while more:
        more = [each for way in more for each in way.__subclasses__()]
        found.update(way for way in more if not way.__name__.startswith("_"))
    assert {way for _fields, way, _provider in BLOCKS.values()} == found


def test_a_block_without_a_way_is_told() -> None:
    with pytest.raises(ProbeError) as stopped:
        token_source_type(
            oauth_settings({"username": "ann"}, {"smtp.password": Secret("x"), "imap.client_secret": Secret("x")})
        )
    assert stopped.value.observation.kind == "config"


def test_credentials_are_told_apart() -> None:
    block = {"client_id": "c", "tenant_id": "t", "cloud": "global"}

    def who(settings: dict[str, str], secret: str) -> str:
        return token_source(
            oauth_settings(settings, {"oauth2.client_secret": Secret(secret)}), Http(), Redaction()
        ).credential_ids()[0]

    assert who(block, "one") == who(dict(reversed(block.items())), "one")
    others = [who(block, "two"), who({**block, "tenant_id": "T"}, "one"), who({**block, "scope": "x"}, "one")]
    assert len({who(block, "one"), *others}) == 4
    assert "one" not in who(block, "one")


def test_there_is_every_cloud_of_the_fields() -> None:
    assert set(CLOUDS) == set(CHOICES)
    for cloud in CLOUDS.values():
        assert all(url.startswith("https://") and not url.endswith("/") for url in cloud)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_cloud_asks_for_its_own_tokens(cloud: str) -> None:
    assert token_scope(cloud, "graph") == f"{CLOUDS[cloud].graph}/.default"
    assert token_scope(cloud, "smtp") == token_scope(cloud, "imap") == f"{CLOUDS[cloud].outlook}/.default"


def test_what_is_written_wins() -> None:
    assert authority_url("china", "") == "https://login.partner.microsoftonline.cn"
    assert authority_url("china", "https://localhost:8443/") == "https://localhost:8443"
    assert graph_url("us_gov", "") == "https://graph.microsoft.us"
    assert graph_url("us_gov", "https://localhost:8443/") == "https://localhost:8443"


LAZY = """
import sys
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import OAuthSettings
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._protocol import imap, smtp
from ansible_collections.mailroom.core.plugins.module_utils._auth import token_sources
from ansible_collections.mailroom.core.plugins.module_utils._auth.oauth import choose_token_mechanism
from ansible_collections.mailroom.core.plugins.module_utils._auth.passwords import choose_password_mechanism
from ansible_collections.mailroom.core.plugins.module_utils._net import https
choose_password_mechanism(["PLAIN"], [])("user", Secret("x")).initial_response()
choose_token_mechanism(["XOAUTH2"], [])("user", Secret("x")).initial_response()
settings = OAuthSettings(token_url="https://localhost/", client_id="x", client_secret=Secret("x"))
token_sources.token_source(settings, None, None)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"msal", "requests", "jwt", "urllib3", "cryptography"}))
"""


def test_msal_is_not_imported_for_anything_else() -> None:
    """In a process of its own, where nothing has imported it yet."""
    path = [each for each in sys.path if each]
    code = f"import sys\nsys.path[:0] = {path!r}\n{LAZY}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_a_users_password_is_the_same_one_with_other_settings() -> None:
    block = {"client_id": "c", "tenant_id": "t", "username": "ann@example.com"}

    def known(password: str, **more: str) -> set[str]:
        settings = oauth_settings({**block, **more}, {"oauth2.password": Secret(password)})
        return set(token_source(settings, Http(), Redaction()).credential_ids())

    assert known("one") & known("one", scope="x", client_secret_expires="2030-01-01")
    assert not known("one") & known("two")
    assert not known("one") & known("one", client_id="d")
    assert not known("one") & known("one", authority="https://login.example.org")
