# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests token connectors in this process, against stand-ins for those who issue tokens and a real mail server."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from peers.cloud import Cloud
from peers.entra import App, Entra
from peers.google import ServiceAccount
from peers.https import HttpsServer
from peers.mail import MailServer
from peers.token_url import Client
from peers.users import USERS
from servers.oauth_table import Expected
from servers.verdicts_probing import Result, failing_phase, probe, said

from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds
from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._module import inline

ALICE, BOB = USERS["alice"], USERS["bob"]
ROLES = ("IMAP.AccessAsApp", "SMTP.SendAsApp", "Mail.Send", "Mail.ReadBasic")
PASSPHRASE = "a passphrase: 1+1%20"
Block = dict[str, Any]
Results = dict[str, Result]


class Rig:
    """Declares connectors that sign in to the mail server with tokens of the cloud."""

    def __init__(self, cloud: Cloud, server: MailServer, folder: Path) -> None:
        self.cloud = cloud
        self.server = server
        self._folder = folder
        self._numbers = itertools.count()

    def path(self) -> Path:
        """A file that is not there yet."""
        return self._folder / f"file-{next(self._numbers)}"

    def app(self, **options: Any) -> App:
        """An application that may do everything."""
        return self.cloud.entra.add_app(**{"roles": ROLES, **options})

    def block(self, place: str, user: str = "alice", **more: Any) -> Block:
        """A port of the mail server, and who signs in there."""
        return {
            "host": "localhost",
            "port": self.server.ports[place],
            "security": "starttls" if place in ("submission", "imap") else "tls",
            "ca_file": str(self.server.ca_file),
            "username": USERS[user].address if user in USERS else user,
            "auth": "oauth2",
            **more,
        }

    def mail(
        self, oauth2: Block, user: str = "alice", *, smtp: str = "submission", imap: str = "imaps", **more: Any
    ) -> Block:
        """A connector with both blocks, or with one where the other's port has no name."""
        places = {"smtp": smtp, "imap": imap}
        blocks = {name: self.block(place, user, **more) for name, place in places.items() if place}
        addresses = {"from_address": ALICE.address, "test_address": BOB.address}
        return {**blocks, **addresses, "oauth2": oauth2}

    def graph(self, oauth2: Block, mailbox: str = ALICE.address, **more: Any) -> Block:
        """A connector for Graph."""
        graph = {"url": self.cloud.graph.url, "mailbox": mailbox, "ca_file": str(self.cloud.ca_file)}
        return {"graph": {**graph, **more}, "oauth2": oauth2}

    def microsoft(self, app: App, entra: Entra | None = None, **more: Any) -> Block:
        """An application at Entra, which still has to prove itself."""
        at = entra or self.cloud.entra
        where = {"authority": at.url, "tenant_id": at.tenant_id, "client_id": app.client_id}
        return {**where, "ca_file": str(self.cloud.ca_file), **more}

    def by_secret(self, app: App, **more: Any) -> Block:
        """An application that proves itself with its secret."""
        return self.microsoft(app, **{"client_secret": app.secret, **more})

    def as_user(self, app: App, user: str = "alice", **more: Any) -> Block:
        """A user at Entra, with a password."""
        return self.microsoft(app, username=USERS[user].address, password=USERS[user].password, **more)

    def google(self, account: ServiceAccount, user: str = ALICE.address, **more: Any) -> Block:
        """A service account that acts for a user."""
        return {"service_account": account.key, "username": user, "ca_file": str(self.cloud.ca_file), **more}

    def token_url(self, client: Client, **more: Any) -> Block:
        """A client of another provider."""
        proof = {"client_id": client.client_id, "client_secret": client.secret}
        return {"token_url": self.cloud.token_url.endpoint, **proof, "ca_file": str(self.cloud.ca_file), **more}


def _user_assigned(rig: Rig) -> Block:
    return {"managed_identity": rig.cloud.managed_identity.add_app(roles=ROLES).client_id}


def _system(rig: Rig) -> Block:
    rig.cloud.managed_identity.add_app(roles=ROLES)
    return {"managed_identity": "system"}


# Each way to get a token, by the fields that a connector has for it.
MICROSOFT: dict[str, Callable[[Rig, App], Block]] = {
    "client_secret": lambda rig, app: {"client_secret": app.secret},
    "certificate": lambda rig, app: {"certificate": app.certificate},
    "certificate_locked": lambda rig, app: {
        "certificate": app.certificate_pem(PASSPHRASE),
        "certificate_passphrase": PASSPHRASE,
    },
    "pem_file": lambda rig, app: {"certificate_file": str(app.certificate_file(rig.path()))},
    "pem_file_locked": lambda rig, app: {
        "certificate_file": str(app.certificate_file(rig.path(), PASSPHRASE)),
        "certificate_passphrase": PASSPHRASE,
    },
    "pfx_file": lambda rig, app: {"certificate_file": str(app.pfx_file(rig.path()))},
    "pfx_file_locked": lambda rig, app: {
        "certificate_file": str(app.pfx_file(rig.path(), PASSPHRASE)),
        "certificate_passphrase": PASSPHRASE,
    },
    "assertion": lambda rig, app: {"assertion_file": str(app.assertion_file(rig.path()))},
    "user_confidential": lambda rig, app: {**rig.as_user(app), "client_secret": app.secret},
    "user_certificate": lambda rig, app: {**rig.as_user(app), "certificate": app.certificate},
}
WAYS: dict[str, Callable[[Rig], Block]] = {
    **{name: lambda rig, proof=proof: _proven(rig, proof) for name, proof in MICROSOFT.items()},
    "user_public": lambda rig: rig.as_user(rig.app(public=True)),
    "identity_system": _system,
    "identity_user": _user_assigned,
    "google": lambda rig: rig.google(rig.cloud.google.service_account()),
    "token_url": lambda rig: rig.token_url(rig.cloud.token_url.add_client(), scope="mail"),
}


def _proven(rig: Rig, proof: Callable[[Rig, App], Block]) -> Block:
    app = rig.app()
    return rig.microsoft(app, **proof(rig, app))


def job(name: str, declaration: Block) -> Job:
    """A connector as the module reads it where it is not stored."""
    return inline.inline_job({**declaration, "name": name})


def results_of(declarations: Mapping[str, Block], depth: str = "login", **limits: float) -> Results:
    """The results of testing all of them in one run."""
    bounds = Bounds(depth, **{"timeout": 15, "deadline": 60, **limits})
    results = probe(*(job(*each) for each in declarations.items()), bounds=bounds, concurrency=24)
    return {result["connector"]: result for result in results}


def the_result(declaration: Block, depth: str = "login", **limits: float) -> Result:
    """The result of testing one."""
    return results_of({"one": declaration}, depth, **limits)["one"]


def phase(result: Result, name: str) -> dict[str, Any]:
    """A phase of the first server."""
    return next(each for each in result["endpoints"][0]["phases"] if each["phase"] == name)


def steps(result: Result) -> list[tuple[str, str]]:
    """All phases of the first server, each with what came of it."""
    return [(each["phase"], each["status"]) for each in result["endpoints"][0]["phases"]]


def asked(server: HttpsServer, who: str, operation: str = "token") -> int:
    """How often a client has asked."""
    return sum(each.operation == operation and server.who(each) == who for each in server.requests)


def whole(result: Result) -> str:
    """All that a result says."""
    return json.dumps(result, ensure_ascii=False)


def gaps(result: Result) -> list[str]:
    """What shows that a remedy was not filled in; what others say does not count."""
    remedy = result["remedy"].replace(said(result), "…")
    return [each for each in ("not known", "{", "}", ": nothing", "None", "()") if each in remedy]


def secrets_of(rig: Rig, *more: HttpsServer) -> set[str]:
    """All that was shown to services or issued by them, and the parts of it that are not the same for everybody."""
    secrets = set(rig.cloud.tokens._issued)
    for service in (*rig.cloud.services, *more):
        for request in service.requests:
            fields = ("client_secret", "client_assertion", "assertion", "password")
            secrets |= {request.form[name] for name in fields if request.form.get(name)}
            headers = ("authorization", "x-identity-header")
            secrets |= {request.headers[name].rpartition(" ")[2] for name in headers if name in request.headers}
    signed = {part for secret in secrets if secret.count(".") == 2 for part in secret.split(".")[1:]}
    return {secret for secret in secrets | signed if len(secret) > 8}


def shown_secrets(rig: Rig, results: Collection[Result], *more: HttpsServer) -> list[str]:
    """The beginnings of what should not be in results and is."""
    text = "\n".join(whole(result) for result in results)
    return [secret[:12] for secret in secrets_of(rig, *more) if secret in text or secret[-30:] in text]


def check(result: Result, expected: Expected, at: str = "token") -> None:
    """That a result is as expected, and of one piece."""
    found = result["verdict"], result["certainty"], failing_phase(result)
    fails = expected.verdict != "ok"
    assert found == (expected.verdict, expected.certainty, at if fails else ""), result["remedy"]
    assert expected.words.lower() in result["remedy"].lower(), result["remedy"]
    assert bool(result["remedy"]) == fails
    assert not gaps(result), result["remedy"]
    for endpoint in result["endpoints"]:
        statuses = [each["status"] for each in endpoint["phases"]]
        assert statuses == sorted(statuses, key=["ok", "fail", "skipped"].index)
        assert statuses.count("fail") == fails


def look_up_badly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names below .invalid do not exist, and those below .test cannot be looked up just now."""
    good = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name.endswith(".test"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return good(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
