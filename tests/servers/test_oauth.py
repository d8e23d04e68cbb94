# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connectors that sign in with tokens: each way for real, each refusal, all trouble on the way to a token."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from peers import jose, net
from peers.cloud import Cloud
from peers.entra import App, Entra, ManagedIdentity
from peers.google import Google
from peers.https import CHANGES, FAULTS, HttpsServer
from peers.imap import ImapScript
from peers.mail import MailServer
from peers.proxies import HttpProxy, Proxy, Socks5Proxy
from peers.smtp import SmtpScript
from peers.token_url import TokenUrl
from servers import oauth_echoes as echoes
from servers import oauth_probing as probing
from servers import oauth_table as table
from servers.oauth_probing import ALICE, MICROSOFT, ROLES, WAYS, Block, Results, Rig, asked, the_result
from servers.oauth_table import Expected
from servers.playing import run
from servers.test_connector_test import Scene
from servers.verdicts_probing import failing_phase, said

IDENTITIES = ("imds", "app_service")
MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.fixture(scope="module")
def rig(mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Services for this module's tests, whose tokens sign in to the mail server."""
    with Cloud(mail_server) as cloud:
        yield Rig(cloud, mail_server, tmp_path_factory.mktemp("files"))


def identified(rig: Rig, kind: str, declared: Mapping[str, Block], depth: str = "login", **limits: float) -> Results:
    """The results on a machine that has an identity, which one kind of service knows."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in rig.cloud.managed_identity.environment(kind).items():
            patch.setenv(name, value)
        return probing.results_of(declared, depth, **limits)


def _ways_to_use(rig: Rig, name: str, oauth2: Block) -> dict[str, Block]:
    return {
        name: rig.mail(oauth2),
        f"{name}_other": rig.mail(oauth2, "bob", smtp="smtps", imap="imap"),
        f"{name}_xoauth2": rig.mail(oauth2, mechanisms=["XOAUTH2"]),
        f"{name}_only_xoauth2": rig.mail(oauth2, smtp="only_xoauth2", imap=""),
        f"{name}_only_oauthbearer": rig.mail(oauth2, smtp="only_oauthbearer", imap=""),
    }


def _is_foreign(way: str, use: str) -> bool:
    """Whether the mailbox is another user's, which a user's token does not open."""
    return way.startswith("user_") and use == "_other"


def _in_logs(server: MailServer, word: str) -> int:
    return sum(path.read_text(encoding="utf-8", errors="replace").count(word) for path in server.logs if path.is_file())


def _sign_ins(server: MailServer) -> dict[tuple[str, str], int]:
    """How often anybody has signed in by each mechanism, as the servers' logs tell."""
    marks = {"imap": "method={}, rip", "smtp": "sasl_method={}, sasl_username"}
    return {
        (protocol, name): _in_logs(server, mark.format(name)) for protocol, mark in marks.items() for name in MECHANISMS
    }


USES = ("", "_other", "_xoauth2", "_only_xoauth2", "_only_oauthbearer")
# What is done with a token does not depend on where it comes from, but Google's says for whom it is.
SIGN_INS = [
    pytest.param(f"{way}{use}", marks=[pytest.mark.matrix] * (use != "" and way not in ("client_secret", "google")))
    for way in WAYS
    for use in USES
    if not _is_foreign(way, use)
]


class SignedIn:
    """What came of every way that is asked for, and how often the mail server saw each mechanism meanwhile."""

    def __init__(self, rig: Rig, chosen: Collection[str]) -> None:
        before = _sign_ins(rig.server)
        self.declared: dict[str, Block] = {}
        for name, way in WAYS.items():
            user = {"username": "bob@example.com"} if name == "google" else {}
            uses = _ways_to_use(rig, name, way(rig))
            if _is_foreign(name, "_other"):
                uses.pop(f"{name}_other")
            elif user:
                uses[f"{name}_other"]["oauth2"] = {**uses[f"{name}_other"]["oauth2"], **user}
            self.declared |= {use: each for use, each in uses.items() if use in chosen}
        self.results = identified(rig, "imds", self.declared, "envelope")
        self.seen = self._seen(rig, before)
        later = {name: each for name, each in self.declared.items() if name.startswith("identity")}
        self.in_app_service = identified(rig, "app_service", later, "envelope")

    def expected(self) -> dict[tuple[str, str], int]:
        """How often each mechanism should have been used."""
        counts = {(protocol, name): 0 for protocol in ("smtp", "imap") for name in MECHANISMS}
        for name, declared in self.declared.items():
            mechanism = "XOAUTH2" if name.endswith("xoauth2") else "OAUTHBEARER"
            for protocol in ("smtp", "imap"):
                counts[protocol, mechanism] += protocol in declared
        return counts

    def _seen(self, rig: Rig, before: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
        end = time.monotonic() + 10
        while True:
            seen = {key: number - before[key] for key, number in _sign_ins(rig.server).items()}
            # The logs are written a little later.
            if sum(seen.values()) >= sum(self.expected().values()) or time.monotonic() > end:
                return seen
            time.sleep(0.05)


@pytest.fixture(scope="module")
def signed_in(rig: Rig, request: pytest.FixtureRequest) -> SignedIn:
    """The ways to get a token, tried with the mechanisms at depth envelope."""
    return SignedIn(rig, {*WAYS, *_asked_for(request, "signed_in", "name")})


def _asked_for(request: pytest.FixtureRequest, fixture: str, parameter: str) -> set[str]:
    """The values of a parameter in the tests of this file that are run and use a fixture."""
    items = (each for each in request.session.items if each.path == request.path and fixture in each.fixturenames)
    parameters = (each.callspec.params for each in items if hasattr(each, "callspec"))
    return {each[parameter] for each in parameters if parameter in each}


@pytest.mark.parametrize("name", SIGN_INS)
def test_each_way_signs_in_for_real(signed_in: SignedIn, name: str) -> None:
    result = signed_in.results[name]
    assert result["verdict"] == "ok", result["remedy"]
    ends = {"smtp": ["token", "auth", "sender", "recipient"], "imap": ["token", "auth", "select"]}
    for endpoint in result["endpoints"]:
        expected = ends[endpoint["protocol"]]
        assert [each["phase"] for each in endpoint["phases"]][-len(expected) :] == expected
        assert {each["status"] for each in endpoint["phases"]} == {"ok"}


@pytest.mark.parametrize("way", [way for way in WAYS if way.startswith("identity")])
def test_an_app_service_knows_identities_too(signed_in: SignedIn, way: str) -> None:
    assert signed_in.in_app_service[way]["verdict"] == "ok", signed_in.in_app_service[way]["remedy"]


def test_oauthbearer_is_preferred_and_xoauth2_is_used_where_it_is_wanted(signed_in: SignedIn) -> None:
    assert signed_in.seen == signed_in.expected()


def test_no_mail_is_delivered(signed_in: SignedIn, rig: Rig) -> None:
    assert signed_in.results["client_secret"]["verdict"] == "ok"
    assert rig.server.messages("alice") == rig.server.messages("bob") == []


def test_a_connectors_token_is_asked_for_once(signed_in: SignedIn, rig: Rig) -> None:
    applications = {
        name: block["oauth2"]["client_id"] for name, block in signed_in.declared.items() if name in MICROSOFT
    }

    def uses(way: str) -> int:
        return sum(f"{way}{use}" in signed_in.declared for use in USES)

    for name, client_id in applications.items():
        assert asked(rig.cloud.entra, client_id) == uses(name), name
    assert uses("client_secret") == len(USES)
    client = signed_in.declared["token_url"]["oauth2"]["client_id"]
    assert asked(rig.cloud.token_url, client) == uses("token_url")
    assert len(rig.cloud.google.requests) == uses("google")


def test_the_certificate_is_named_by_its_sha_256_thumbprint(signed_in: SignedIn, rig: Rig) -> None:
    clients = {signed_in.declared[name]["oauth2"]["client_id"] for name in ("certificate", "pem_file", "pfx_file")}
    proofs = [
        each.form["client_assertion"] for each in rig.cloud.entra.requests if rig.cloud.entra.who(each) in clients
    ]
    headers = [jose.read(proof).header for proof in proofs]
    assert headers
    assert all("x5t#S256" in header and "x5t" not in header for header in headers)


def test_what_is_good_shows_no_secret(signed_in: SignedIn, rig: Rig) -> None:
    results = [*signed_in.results.values(), *signed_in.in_app_service.values()]
    assert len(probing.secrets_of(rig)) > len(WAYS)
    assert not probing.shown_secrets(rig, results)


def test_a_client_is_known_from_the_header_or_from_the_form(rig: Rig) -> None:
    with TokenUrl(rig.cloud.zoo, rig.cloud.tokens) as service:
        clients = [service.add_client() for _way in range(3)]
        for accepted, client, verdict, times in (
            ({"basic"}, clients[0], "ok", 1),
            ({"body"}, clients[1], "ok", 2),
            (set[str](), clients[2], "token_secret", 2),
        ):
            service.accepts = accepted
            result = the_result(rig.mail(rig.token_url(client, token_url=service.endpoint)))
            assert (result["verdict"], asked(service, client.client_id)) == (verdict, times)


def test_a_long_token_signs_in_too(rig: Rig) -> None:
    clients = {
        f"of_{count}": rig.cloud.token_url.add_client(scopes=[f"mail-{number}" for number in range(count)])
        for count in (100, 400)
    }
    results = probing.results_of({name: rig.mail(rig.token_url(client)) for name, client in clients.items()})
    assert max(map(len, rig.cloud.tokens._issued)) > 4096
    assert {name: each["verdict"] for name, each in results.items()} == dict.fromkeys(clients, "ok"), results


def test_a_server_that_takes_no_tokens(rig: Rig) -> None:
    tls = rig.cloud.zoo.good.server_context()
    with SmtpScript(tls=tls).server() as smtp, ImapScript(tls=tls).server() as imap:
        declared = rig.mail(rig.by_secret(rig.app()), smtp="submission", imap="imap")
        declared["smtp"]["port"], declared["imap"]["port"] = smtp.port, imap.port
        result = the_result(declared)
        assert not smtp.mechanisms + imap.mechanisms
    probing.check(result, Expected("auth_unsupported", result["certainty"]), "auth")
    assert [each["phases"][-1]["phase"] for each in result["endpoints"]] == ["auth", "select"]


@pytest.mark.parametrize("protocol", ["smtp", "imap"])
def test_a_token_that_crosses_the_network_in_the_clear_is_warned_about(rig: Rig, protocol: str) -> None:
    script = {"smtp": echoes.smtp, "imap": echoes.imap}[protocol]("XOAUTH2")
    with script.server() as server:
        declared = rig.mail(rig.by_secret(rig.app()), **{"smtp": "", "imap": "", protocol: f"{protocol}s"})
        declared[protocol] |= {"host": "127.0.0.1", "port": server.port, "security": "none"}
        result = the_result(declared)
        declared[protocol]["security"] = "starttls_optional"
        optional = the_result(declared)
        assert len(server.mechanisms) == 1
    assert [warning["code"] for warning in result["warnings"]] == ["cleartext_login"]
    assert (optional["verdict"], failing_phase(optional)) == ("starttls_missing", "auth")


def test_signing_in_with_a_users_password_is_always_warned_about(scene: Scene, rig: Rig) -> None:
    declared = rig.mail(rig.as_user(rig.app(public=True)))
    answers = [
        run("connector", {**scene.options, "name": "as_user", **declared}),
        scene.test(connectors=["as_user"]),
        scene.test(declaration=declared),
    ]
    assert ["multi-factor" in str([*each.get("warnings", []), *_warnings(each)]) for each in answers] == [True] * 3


def _warnings(answer: Mapping[str, Any]) -> list[str]:
    return [warning["text"] for result in answer.get("results", []) for warning in result["warnings"]]


@pytest.mark.parametrize("what", ["certificate_file", "assertion_file"])
def test_a_file_is_read_at_each_use(rig: Rig, what: str) -> None:
    app, path = rig.app(), rig.path()
    declared = rig.mail(rig.microsoft(app, **{what: str(path)}), smtp="")
    path.write_text("nothing of the kind", encoding="ascii")
    result = the_result(declared)
    assert result["verdict"] in ("config_invalid", "token_certificate")
    path.unlink()
    assert path.name in the_result(declared)["remedy"]
    app.certificate_file(path) if what == "certificate_file" else app.assertion_file(path)
    assert the_result(declared)["verdict"] == "ok"
    if what == "certificate_file":
        app.renew_certificate()
        assert the_result(declared)["verdict"] == "token_certificate"
        app.certificate_file(path)
        assert the_result(declared)["verdict"] == "ok"


@pytest.mark.parametrize("way", ["certificate", "pem_file_locked", "pfx_file_locked"])
@pytest.mark.parametrize("passphrase", ["another", None])
def test_a_locked_key_needs_its_passphrase(rig: Rig, way: str, passphrase: str | None) -> None:
    proof = {"certificate": "certificate_locked"}.get(way, way)
    oauth2 = {**WAYS[proof](rig), "certificate_passphrase": passphrase}
    declared = rig.mail({name: value for name, value in oauth2.items() if value is not None}, smtp="")
    result = the_result(declared)
    probing.check(result, Expected("config_invalid", "certain", "passphrase"))
    assert asked(rig.cloud.entra, oauth2["client_id"]) == 0


def failing(rig: Rig, number: str, way: str) -> Block:
    """A connector whose token is refused with a number."""
    app = rig.app()
    rig.cloud.entra.fail(number, at="token", who=app.client_id)
    return rig.mail(rig.microsoft(app, **MICROSOFT[way](rig, app)))


@pytest.fixture(scope="module")
def refused(rig: Rig) -> Results:
    """What comes of each scenario of each service, with two blocks in each connector."""
    declared = {f"entra_{number}": failing(rig, number, way) for number, (way, _expected) in table.ENTRA.items()}
    declared |= {f"entra_{name}": failing(rig, name, "client_secret") for name in table.ENTRA_ANSWERS}
    for name in table.GOOGLE:
        account = rig.cloud.google.service_account(f"{name.replace('_', '-')}@test.iam.gserviceaccount.com")
        rig.cloud.google.fail(name, who=account.email)
        declared[f"google_{name}"] = rig.mail(rig.google(account))
    for name in table.TOKEN_URL:
        client = rig.cloud.token_url.add_client(client_id=f"client-{name}")
        rig.cloud.token_url.fail(name, who=client.client_id)
        declared[f"token_url_{name}"] = rig.mail(rig.token_url(client, scope="mail"))
    return probing.results_of(declared)


@pytest.mark.parametrize("number", table.ENTRA)
def test_each_number_of_entra_has_its_verdict(refused: Results, number: str) -> None:
    result = refused[f"entra_{number}"]
    probing.check(result, table.ENTRA[number][1])
    assert f"AADSTS{number}: " in result["remedy"]
    for text in (said(result), result["remedy"]):
        assert re.search(rf"trace_id {UUID}, correlation_id {UUID}", text), text
        assert f"https://login.microsoftonline.com/error?code={number}" in text


@pytest.mark.parametrize("name", table.ENTRA_ANSWERS)
def test_each_odd_answer_of_entra_has_its_verdict(refused: Results, name: str) -> None:
    probing.check(refused[f"entra_{name}"], table.ENTRA_ANSWERS[name])


@pytest.mark.parametrize("name", table.GOOGLE)
def test_each_answer_of_google_has_its_verdict(refused: Results, name: str) -> None:
    probing.check(refused[f"google_{name}"], table.GOOGLE[name])


@pytest.mark.parametrize("name", table.TOKEN_URL)
def test_each_answer_of_another_provider_has_its_verdict(refused: Results, name: str) -> None:
    probing.check(refused[f"token_url_{name}"], table.TOKEN_URL[name])


def test_all_scenarios_of_all_services_are_tried() -> None:
    assert {*table.ENTRA, *table.ENTRA_ANSWERS, *table.REFUSED[:3]} == set(Entra.SCENARIOS)
    assert set(table.GOOGLE) == set(Google.SCENARIOS)
    assert set(table.TOKEN_URL) == set(TokenUrl.SCENARIOS)
    assert set(table.IDENTITY) == set(ManagedIdentity.SCENARIOS)
    assert set(table.FAULTY) == set(table.FAULTY_GRAPH) == {*FAULTS, *CHANGES}


def test_nobody_is_asked_twice(refused: Results, rig: Rig) -> None:
    entra, google, other = rig.cloud.entra, rig.cloud.google, rig.cloud.token_url
    again = {name for name in table.TOKEN_URL if table.TOKEN_URL[name].verdict == "token_secret"}
    counted = 0
    for service in (entra, google, other):
        for planned in service._failures:
            if planned.who:
                counted += 1
                times = 2 if service is other and planned.name in again else 1
                assert asked(service, planned.who) == times, planned.name
    assert counted >= len(refused)


def test_both_blocks_of_a_connector_tell_of_the_refusal(refused: Results) -> None:
    endpoints = refused["entra_7000215"]["endpoints"]
    told = [next(each for each in endpoint["phases"] if each["phase"] == "token") for endpoint in endpoints]
    assert [each["status"] for each in told] == ["fail", "fail"]
    assert told[0]["text"] == told[1]["text"]


def test_what_is_refused_shows_no_secret(refused: Results, rig: Rig) -> None:
    assert not probing.shown_secrets(rig, refused.values())


def _with_assertion(rig: Rig, **claims: object) -> Block:
    app, path = rig.app(), rig.path()
    path.write_text(app.assertion(**claims), encoding="ascii")
    return rig.microsoft(app, assertion_file=str(path))


def _garbage(rig: Rig) -> Block:
    path = rig.path()
    path.write_text("bm8.cmVhbA.YXNzZXJ0aW9u", encoding="ascii")
    return rig.microsoft(rig.app(), assertion_file=str(path))


def _replaced(rig: Rig) -> Block:
    app = rig.app()
    oauth2 = rig.microsoft(app, certificate=app.certificate)
    app.renew_certificate()
    return oauth2


def _secret_id(rig: Rig) -> Block:
    app = rig.app()
    return rig.by_secret(app, client_secret=app.secret_id)


MISTAKES: dict[str, Callable[[Rig], Block]] = {
    "tenant": lambda rig: rig.by_secret(rig.app(), tenant_id="nowhere.example.com"),
    "no_tenant_of_ones_own": lambda rig: rig.by_secret(rig.app(), tenant_id="common"),
    "client_id": lambda rig: rig.by_secret(App()),
    "secret": lambda rig: rig.by_secret(rig.app(), client_secret="a-wrong-secret-0123456789"),
    "secret_id": _secret_id,
    "expired_secret": lambda rig: rig.by_secret(rig.app(secret_expired=True)),
    "certificate_replaced": _replaced,
    "assertion_issuer": lambda rig: _with_assertion(rig, iss="https://other.example.com"),
    "assertion_subject": lambda rig: _with_assertion(rig, sub="job:other"),
    "assertion_audience": lambda rig: _with_assertion(rig, aud="https://other.example.com"),
    "assertion_old": lambda rig: _with_assertion(rig, exp=int(time.time()) - 600),
    "assertion_garbage": _garbage,
    "scope": lambda rig: rig.by_secret(rig.app(), scope="https://outlook.office365.com/IMAP.AccessAsApp"),
    "resource": lambda rig: rig.by_secret(rig.app(), scope="https://vault.example.com/.default"),
    "user": lambda rig: {**rig.as_user(rig.app(public=True)), "username": "nobody@example.com"},
    "password": lambda rig: {**rig.as_user(rig.app(public=True)), "password": "a-wrong-password-1"},
    "no_proof": lambda rig: rig.as_user(rig.app()),
    "public_with_secret": lambda rig: {**rig.as_user(rig.app(public=True)), "client_secret": "of-no-use-0123"},
}


@pytest.fixture(scope="module")
def mistaken(rig: Rig) -> tuple[dict[str, Block], Results]:
    """What comes of mistakes in the declaration, which Entra finds by itself."""
    declared = {name: rig.mail(mistake(rig)) for name, mistake in MISTAKES.items()}
    return declared, probing.results_of(declared)


@pytest.mark.parametrize("name", table.ENTRA_FOUND)
def test_each_mistake_is_found_by_entra(mistaken: tuple[dict[str, Block], Results], rig: Rig, name: str) -> None:
    declared, results = mistaken
    number, expected = table.ENTRA_FOUND[name]
    probing.check(results[name], expected)
    assert f"AADSTS{number}: " in said(results[name])
    assert asked(rig.cloud.entra, declared[name]["oauth2"]["client_id"]) == int(name != "tenant")


def _deleted(rig: Rig) -> Block:
    account = rig.cloud.google.service_account()
    del rig.cloud.google.accounts[account.email]
    return rig.google(account)


def _with_old_key(rig: Rig) -> Block:
    account = rig.cloud.google.service_account()
    rig.cloud.google.service_account(account.email)
    return rig.google(account)


GOOGLE_MISTAKES: dict[str, Callable[[Rig], Block]] = {
    "user_not_delegated": lambda rig: rig.google(rig.cloud.google.service_account(users=["bob@example.com"])),
    "scope_not_delegated": lambda rig: rig.google(rig.cloud.google.service_account(scopes=["https://other.example"])),
    "key_replaced": _with_old_key,
    "account_deleted": _deleted,
}


def test_each_mistake_is_found_by_google(rig: Rig) -> None:
    declared = {name: rig.mail(mistake(rig)) for name, mistake in GOOGLE_MISTAKES.items()}
    results = probing.results_of(declared)
    assert set(results) == set(table.GOOGLE_FOUND)
    for name, expected in table.GOOGLE_FOUND.items():
        probing.check(results[name], expected)
    assert not probing.shown_secrets(rig, results.values())


@pytest.mark.parametrize("kind", IDENTITIES)
def test_each_refusal_of_an_identity_has_its_verdict(rig: Rig, kind: str) -> None:
    identity = rig.cloud.managed_identity
    declared = {}
    for name in table.IDENTITY:
        client = identity.add_app(roles=ROLES).client_id
        identity.fail(name, at=kind, who=client)
        declared[name] = rig.mail({"managed_identity": client})
    declared["another"] = rig.mail({"managed_identity": App().client_id})
    results = identified(rig, kind, declared)
    column = IDENTITIES.index(kind)
    found = {name: results[name]["verdict"] for name in declared}
    expected = {name: each[column].verdict for name, each in table.IDENTITY.items()}
    assert found == {**expected, "another": expected["identity_not_found"]}
    for name, each in table.IDENTITY.items():
        probing.check(results[name], each[column])
        assert identity.SCENARIOS[name].text in said(results[name])  # type: ignore[union-attr]
        assert asked(identity, declared[name]["oauth2"]["managed_identity"], kind) == 1


def test_no_identity_service_is_said_to_be_missing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with net.Refused() as refused_port:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://127.0.0.1:{refused_port.port}")
        result = the_result(rig.mail({"managed_identity": "system"}))
    probing.check(result, Expected("token_endpoint", "likely", "Azure"))


SOURCES = ("entra", "google", "token_url")


def _elsewhere(rig: Rig, source: str, base: str) -> Block:
    """A way to get a token from another address; everything else is right."""
    if source == "entra":
        return rig.by_secret(rig.app(), authority=base)
    if source == "google":
        account = rig.cloud.google.service_account()
        return {**rig.google(account), "service_account": {**account.key, "token_uri": f"{base}/token"}}
    return rig.token_url(rig.cloud.token_url.add_client(), token_url=f"{base}/oauth/token")


def _service(rig: Rig, source: str) -> HttpsServer:
    return {"entra": rig.cloud.entra, "google": rig.cloud.google, "token_url": rig.cloud.token_url}[source]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.sampled(3)
def test_trouble_with_the_network_is_told_apart(rig: Rig, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    probing.look_up_badly(monkeypatch)
    kinds: dict[str, type[HttpsServer]] = {"entra": Entra, "google": Google, "token_url": TokenUrl}
    good = _service(rig, source).url
    with ExitStack() as stack:
        refused_port, hole = stack.enter_context(net.Refused()), stack.enter_context(net.Blackhole())
        refusing = stack.enter_context(HttpProxy(refuse=403).server())
        bad = {
            name: stack.enter_context(kinds[source](rig.cloud.zoo, certificate=name))
            for name in ("other_ca", "wrong_name", "expired")
        }
        redirecting = stack.enter_context(kinds[source](rig.cloud.zoo))
        redirecting.fail("redirect")
        addresses = {
            "refused": f"https://localhost:{refused_port.port}",
            "name_unknown": "https://login.nowhere.invalid",
            "name_later": "https://login.nowhere.test",
            **{name: server.url for name, server in bad.items()},
            "silent": f"https://127.0.0.1:{hole.port}",
            "proxy_refused": good,
            "proxy_refuses": good,
            "redirect": redirecting.url,
        }
        proxies = {"proxy_refused": f"socks5://127.0.0.1:{refused_port.port}"}
        proxies["proxy_refuses"] = f"http://127.0.0.1:{refusing.port}"
        before = len(_service(rig, source).requests)
        declared = {}
        for name, address in addresses.items():
            more = {"proxy": proxies[name]} if name in proxies else {}
            declared[name] = rig.mail({**_elsewhere(rig, source, address), **more})
        results = probing.results_of(declared, timeout=2, deadline=20)
        reached = [len(server.requests) for server in bad.values()]
    assert set(results) == set(table.NETWORK)
    for name, expected in table.NETWORK.items():
        probing.check(results[name], expected)
    assert len(_service(rig, source).requests) == before
    assert reached == [0, 0, 0], "nothing is sent to whom is not trusted"
    assert len(redirecting.requests) == 1, "no redirect is followed"
    assert not probing.shown_secrets(rig, results.values(), redirecting)


OPERATIONS = ("entra_token", "google", "token_url")
# Entra asks the same code of ours for these.
OTHERS = [pytest.param(each, marks=pytest.mark.matrix) for each in ("entra_discovery", "entra_userrealm", "entra_user")]


def _faulty_entra(rig: Rig, stack: ExitStack, fault: str, what: str) -> Block:
    entra = stack.enter_context(Entra(rig.cloud.zoo, rig.cloud.tokens))
    app = entra.add_app(roles=ROLES)
    entra.fail(fault, at={"user": "token"}.get(what, what))
    proof = rig.as_user(app) if what in ("user", "userrealm") else {}
    return {**proof, **rig.by_secret(app), **rig.microsoft(app, entra)}


def _faulty(rig: Rig, stack: ExitStack, fault: str, operation: str) -> Block:
    service, _mark, what = operation.partition("_")
    if service == "entra":
        return _faulty_entra(rig, stack, fault, what)
    if service == "google":
        account = rig.cloud.google.service_account()
        rig.cloud.google.fail(fault, who=account.email)
        return rig.google(account)
    client = rig.cloud.token_url.add_client()
    rig.cloud.token_url.fail(fault, who=client.client_id)
    return rig.token_url(client)


def _user_of(expected: Expected, number: int) -> str:
    """Only who has a token meets the mail server; nobody else has to wait for the others."""
    return "alice" if expected.verdict == "ok" else f"user-{number}@example.com"


@pytest.fixture(scope="module")
def met(rig: Rig, request: pytest.FixtureRequest) -> Results:
    """What comes of each fault at each operation that is asked for; only the deadline ends a step."""
    chosen = {*OPERATIONS, *_asked_for(request, "met", "operation")}
    with ExitStack() as stack:
        keys = [(fault, operation) for fault in table.FAULTY for operation in sorted(chosen)]
        declared = {
            f"{operation}_{fault}": rig.mail(
                _faulty(rig, stack, fault, operation), _user_of(table.FAULTY[fault], number), smtp=""
            )
            for number, (fault, operation) in enumerate(keys)
        }
        return probing.results_of(declared, timeout=600, deadline=6)


@pytest.mark.parametrize("fault", table.FAULTY)
@pytest.mark.parametrize("operation", [*OPERATIONS, *OTHERS])
def test_each_fault_of_a_token_endpoint_has_its_verdict(met: Results, operation: str, fault: str) -> None:
    probing.check(met[f"{operation}_{fault}"], table.FAULTY[fault])


@pytest.mark.parametrize("operation", ["entra_token", "google", "token_url"])
def test_how_long_to_wait_is_said(met: Results, operation: str) -> None:
    assert "retry_after 7" in met[f"{operation}_throttled"]["remedy"]


def test_what_is_faulty_shows_no_secret(met: Results, rig: Rig) -> None:
    assert not probing.shown_secrets(rig, met.values())


@pytest.mark.parametrize("kind", IDENTITIES)
@pytest.mark.sampled(2)
def test_each_fault_of_an_identity_service_has_its_verdict(rig: Rig, kind: str) -> None:
    identity = rig.cloud.managed_identity
    declared = {}
    for number, fault in enumerate(table.FAULTY):
        client = identity.add_app(roles=ROLES).client_id
        identity.fail(fault, at=kind, who=client)
        user = _user_of(table.FAULTY[fault], number)
        declared[fault] = rig.mail({"managed_identity": client}, user, smtp="")
    results = identified(rig, kind, declared, timeout=600, deadline=6)
    found = {fault: (results[fault]["verdict"], failing_phase(results[fault])) for fault in table.FAULTY}
    assert found == {
        fault: (each.verdict, "token" if each.verdict != "ok" else "") for fault, each in table.FAULTY.items()
    }
    assert not {fault: result["remedy"] for fault, result in results.items() if probing.gaps(result)}


def _refused_token(rig: Rig, reason: str) -> Block:
    options: dict[str, dict[str, Any]] = {
        "no_permission": {"roles": ("Mail.Send",)},
        "other_mailbox": {"mailboxes": ("bob@example.com",)},
    }
    app = rig.app(**options.get(reason, {}))
    if reason not in options:
        rig.cloud.entra.fail(reason, at="token", who=app.client_id)
    return rig.by_secret(app)


@pytest.fixture(scope="module")
def turned_away(rig: Rig) -> tuple[dict[str, Block], Results]:
    """What comes of tokens that were issued and do not open the mailbox."""
    declared, number = {}, 0
    for reason in table.REFUSED:
        for mechanism in MECHANISMS:
            for protocol, places in (("smtp", {"imap": ""}), ("imap", {"smtp": ""})):
                number += 1
                oauth2 = _refused_token(rig, reason)
                name = f"{reason}_{mechanism}_{protocol}"
                declared[name] = rig.mail(oauth2, f"user-{number}@example.com", mechanisms=[mechanism], **places)
    return declared, probing.results_of(declared)


@pytest.mark.parametrize("protocol", ["smtp", "imap"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("reason", table.REFUSED)
def test_a_token_that_the_server_refuses(
    turned_away: tuple[dict[str, Block], Results], rig: Rig, reason: str, mechanism: str, protocol: str
) -> None:
    declared, results = turned_away
    name = f"{reason}_{mechanism}_{protocol}"
    result, oauth2 = results[name], declared[name]["oauth2"]
    probing.check(result, Expected("auth_rejected", "likely", "The token was issued"), "auth")
    remedy = result["remedy"]
    places = [remedy.find(cause) for cause in table.CAUSES]
    assert places == sorted(places)
    assert places[0] > 0
    audience = "https://vault.example.com" if reason == "wrong_audience" else "https://outlook.office365.com"
    app = rig.cloud.entra.apps[oauth2["client_id"]]
    for claim in (f"aud {audience}", f"appid {app.client_id}", f"oid {app.object_id}", f"tid {oauth2['tenant_id']}"):
        assert claim in remedy
    assert re.search(r"exp 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", remedy)
    assert ("roles IMAP.AccessAsApp, SMTP.SendAsApp" in remedy) == (reason != "no_permission")
    status = {"OAUTHBEARER": "invalid_token", "XOAUTH2": "401"}[mechanism]
    assert f"status {status}" in said(result), "the server's JSON is decoded"
    assert f"status {status}" in remedy
    assert asked(rig.cloud.entra, app.client_id) == 1


def test_a_refused_token_does_not_show(turned_away: tuple[dict[str, Block], Results], rig: Rig) -> None:
    assert not probing.shown_secrets(rig, turned_away[1].values())


@pytest.mark.parametrize("source", ["google", "token_url"])
def test_a_token_of_another_provider_that_the_server_refuses(rig: Rig, source: str) -> None:
    oauth2 = {
        "google": lambda: rig.google(rig.cloud.google.service_account()),
        "token_url": lambda: rig.token_url(rig.cloud.token_url.add_client(mailboxes=["bob@example.com"])),
    }[source]()
    result = the_result(rig.mail(oauth2, "stranger@example.com"))
    probing.check(result, Expected("auth_rejected", "likely", "stranger@example.com"), "auth")
    assert "New-ServicePrincipal" not in result["remedy"]
    assert "status invalid_token" in said(result)


def test_a_refused_token_is_explained_whoever_it_is_for(rig: Rig) -> None:
    identity = rig.cloud.managed_identity
    machine = identity.add_app(roles=("Mail.Send",))
    good, identity.system = identity.system, machine
    ways = {
        "machine": {"managed_identity": machine.client_id},
        "system": {"managed_identity": "system"},
        "user": rig.as_user(rig.app(public=True)),
        "opaque": rig.by_secret(rig.app(roles=("Mail.Send",), opaque=True)),
        "assertion": WAYS["assertion"](rig),
    }
    declared = {name: rig.mail(way, f"{name}-refused@example.com", imap="") for name, way in ways.items()}
    declared["assertion"]["smtp"]["username"] = "denied@example.com"
    rig.cloud.entra.apps[ways["assertion"]["client_id"]].mailboxes = ("alice@example.com",)
    results = identified(rig, "imds", declared)
    identity.system = good
    found = {name: (result["verdict"], failing_phase(result)) for name, result in results.items()}
    assert found == dict.fromkeys(declared, ("auth_rejected", "auth"))
    assert {name: probing.gaps(result) for name, result in results.items()} == {name: [] for name in declared}
    for name in ("machine", "system"):
        assert f"New-ServicePrincipal -AppId {machine.client_id}" in results[name]["remedy"]


def test_a_refused_token_says_nothing_of_another_token_of_the_same_user(rig: Rig) -> None:
    apps = {"bad": rig.app(roles=("Mail.Send",)), "good": rig.app()}
    results = probing.results_of({name: rig.mail(rig.by_secret(app), "uma") for name, app in apps.items()})
    assert {name: result["verdict"] for name, result in results.items()} == {"bad": "auth_rejected", "good": "ok"}


def test_a_token_may_open_one_protocol_and_not_the_other(rig: Rig) -> None:
    result = the_result(rig.mail(rig.by_secret(rig.app(roles=("IMAP.AccessAsApp",)))))
    ends = {each["protocol"]: each["phases"][-1] for each in result["endpoints"]}
    assert (ends["smtp"]["phase"], ends["smtp"]["status"]) == ("auth", "fail")
    assert (ends["imap"]["phase"], ends["imap"]["status"]) == ("select", "ok")


@pytest.mark.parametrize("fault", ["html_500", "unavailable"])
def test_a_server_that_cannot_ask_about_the_token_did_not_judge_it(rig: Rig, fault: str) -> None:
    introspection = rig.server.introspection
    assert introspection
    with introspection.failing(fault, who="bob@example.com"):
        result = the_result(rig.mail(rig.by_secret(rig.app()), "bob", smtp=""))
    probing.check(result, Expected("auth_temporary", "certain"), "auth")


def test_an_echo_of_what_was_sent_is_not_shown(rig: Rig) -> None:
    zoo = rig.cloud.zoo
    with echoes.Entra(zoo) as entra, echoes.Google(zoo) as google, echoes.TokenUrl(zoo) as other:
        declared = {}
        for name, proof in MICROSOFT.items():
            app = entra.add_app()
            declared[name] = rig.mail({**proof(rig, app), **rig.microsoft(app, entra)})
        declared["google"] = rig.mail(rig.google(google.service_account()))
        declared["token_url"] = rig.mail(rig.token_url(other.add_client(), token_url=other.endpoint))
        results = probing.results_of(declared)
        assert {result["verdict"] for result in results.values()} == {"token_endpoint"}
        assert all("You sent" in said(result) for result in results.values())
        assert not probing.shown_secrets(rig, results.values(), entra, google, other)
        assert ALICE.password not in "".join(map(probing.whole, results.values()))


@pytest.mark.parametrize("opaque", [False, True])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_an_echo_of_the_token_is_not_shown(rig: Rig, mechanism: str, *, opaque: bool) -> None:
    with echoes.smtp(mechanism).server() as smtp, echoes.imap(mechanism).server() as imap:
        plain = {"host": "127.0.0.1", "security": "none", "mechanisms": [mechanism]}
        declared = {
            name: rig.mail(rig.by_secret(rig.app(opaque=opaque)), **{"smtp": "", "imap": "", name: place})
            for name, place in (("smtp", "smtps"), ("imap", "imaps"))
        }
        declared["smtp"]["smtp"] |= {**plain, "port": smtp.port}
        declared["imap"]["imap"] |= {**plain, "port": imap.port}
        results = probing.results_of(declared)
    for result in results.values():
        assert (result["verdict"], failing_phase(result)) == ("auth_rejected", "auth"), result["remedy"]
        assert said(result).count("You sent") >= 2
    assert not probing.shown_secrets(rig, results.values())


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a library missing."""

    def hide(library: str) -> None:
        for name in [*sys.modules]:
            if name == library or name.startswith(f"{library}."):
                monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, library, None)

    return hide


def _by_password(rig: Rig) -> Block:
    blocks = {
        name: {**rig.block(place), "auth": "password", "password": ALICE.password}
        for name, place in (("smtp", "submission"), ("imap", "imaps"))
    }
    return {**blocks, "from_address": ALICE.address, "test_address": "bob@example.com"}


@pytest.mark.parametrize(
    ("library", "missing", "there"),
    [
        ("msal", ("client_secret", "assertion", "user_public", "identity_user"), ("google", "token_url")),
        ("cryptography", ("google", "certificate"), ("token_url",)),
    ],
)
def test_a_missing_library_is_one_sentence_and_nobody_elses_trouble(
    rig: Rig, without: Callable[[str], None], library: str, missing: tuple[str, ...], there: tuple[str, ...]
) -> None:
    declared = {name: rig.mail(WAYS[name](rig)) for name in (*missing, *there)}
    declared["password"] = _by_password(rig)
    without(library)
    results = probing.results_of(declared)
    assert {name: results[name]["verdict"] for name in (*there, "password")} == dict.fromkeys(
        (*there, "password"), "ok"
    )
    for name in missing:
        probing.check(results[name], Expected("host_not_ready", "certain", f"The Python library {library} is needed"))
        assert results[name]["remedy"].count("The Python library") == 1
        assert len(results[name]["remedy"].replace(sys.executable, "python3")) < 400


def _library(folder: Path, name: str) -> Path:
    """A library that cannot be imported, and notes that somebody tried."""
    text = "from pathlib import Path\nPath(__file__).with_suffix('.asked').touch()\nraise ImportError('not here')\n"
    (folder / f"{name}.py").write_text(text, encoding="ascii")
    return folder / f"{name}.asked"


def test_msal_is_not_imported_for_passwords(rig: Rig, tmp_path: Path) -> None:
    note = _library(tmp_path, "msal")
    others = [_library(tmp_path, name) for name in ("requests", "jwt")]
    path = os.pathsep.join([str(tmp_path), os.environ["ANSIBLE_COLLECTIONS_PATH"]])
    answer = run("connector_test", {"declaration": _by_password(rig)}, PYTHONPATH=path)
    assert answer["summary"] == {"ok": 1, "warn": 0, "fail": 0}
    assert not note.exists()
    answer = run("connector_test", {"declaration": rig.mail(rig.by_secret(rig.app()))}, PYTHONPATH=path)
    assert answer["results"][0]["verdict"] == "host_not_ready"
    assert "msal" in answer["msg"]
    assert note.exists()
    assert not any(other.exists() for other in others)


@pytest.fixture
def scene(tmp_path: Path, mail_server: MailServer) -> Scene:
    """A registry of its own."""
    return Scene(tmp_path, mail_server)


STORED = ("client_secret", "certificate_locked", "pfx_file_locked", "assertion", "user_confidential", "google")


def test_stored_and_inline_connectors_sign_in_as_processes(scene: Scene, rig: Rig) -> None:
    declared = {name: rig.mail(WAYS[name](rig)) for name in (*STORED, "token_url")}
    app = rig.app()
    declared["graph"] = rig.graph(rig.by_secret(app))
    scene.store([{"name": name, **each} for name, each in declared.items()])
    results = scene.results(depth="login")
    assert {name: result["verdict"] for name, result in results.items()} == dict.fromkeys(declared, "ok")
    for name in ("certificate_locked", "google"):
        inline = scene.results(declaration=declared[name], depth="envelope")
        assert inline["declaration"]["verdict"] == "ok"
    assert not probing.shown_secrets(rig, results.values())


def test_stored_secrets_are_opened_only_where_someone_signs_in(scene: Scene, rig: Rig) -> None:
    proxy = HttpProxy(username="dweller", password="the-proxys-Secret-1")
    with proxy.server() as server:
        through = {"proxy": f"http://127.0.0.1:{server.port}", "proxy_username": "dweller"}
        through["proxy_password"] = "the-proxys-Secret-1"
        apps = {name: rig.app() for name in ("plain", "proxied", "graph")}
        declared = {name: rig.by_secret(app) for name, app in apps.items()}
        blocks = {"plain": rig.mail(declared["plain"])}
        blocks["proxied"] = rig.mail({**declared["proxied"], **through})
        blocks["graph"] = rig.graph({**declared["graph"], **through})
        scene.store([{"name": name, **each} for name, each in blocks.items()])
        wrong = {"registry_key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
        connect = scene.results(depth="connect", **wrong)
        assert {name: each["verdict"] for name, each in connect.items()} == dict.fromkeys(blocks, "ok")
        assert not proxy.requests
        login = scene.results(depth="login", **wrong)
        assert {name: each["verdict"] for name, each in login.items()} == dict.fromkeys(blocks, "host_not_ready")
        assert [asked(rig.cloud.entra, app.client_id) for app in apps.values()] == [0, 0, 0]
        right = scene.results(depth="login")
        assert {name: each["verdict"] for name, each in right.items()} == dict.fromkeys(blocks, "ok")
    assert [asked(rig.cloud.entra, app.client_id) for app in apps.values()] == [1, 1, 1]


def test_an_inline_declaration_borrows_no_stored_secret(scene: Scene, rig: Rig) -> None:
    oauth2 = rig.by_secret(rig.app())
    scene.store([{"name": "stored", **rig.mail(oauth2)}])
    del oauth2["client_secret"]
    answer = scene.test(declaration={"name": "stored", **rig.mail(oauth2)})
    assert answer["failed"] is True
    assert "client_secret" in answer["msg"]
    assert asked(rig.cloud.entra, oauth2["client_id"]) == 0


@pytest.mark.parametrize("way", ["client_secret", "user_public", "google", "token_url"])
@pytest.mark.parametrize("kind", [HttpProxy, Socks5Proxy])
def test_tokens_are_fetched_through_the_proxy_of_oauth2(rig: Rig, kind: type[Proxy], way: str) -> None:
    proxy = kind(username="dweller", password="the-proxys-Secret-2")
    scheme = "http" if kind is HttpProxy else "socks5"
    with proxy.server() as server:
        through = {"proxy": f"{scheme}://127.0.0.1:{server.port}", "proxy_username": "dweller"}
        oauth2 = {**WAYS[way](rig), **through, "proxy_password": "the-proxys-Secret-2"}
        result = the_result(rig.mail(oauth2))
        wanted = {(each.host, each.port) for each in proxy.requests}
        refused_there = the_result(rig.mail({**oauth2, "proxy_password": "another-Secret-3"}))
    source = {"google": "google", "token_url": "token_url"}.get(way, "entra")
    assert result["verdict"] == "ok", result["remedy"]
    assert wanted == {("localhost", _service(rig, source).port)}
    probing.check(refused_there, Expected("token_endpoint", "certain", "oauth2.proxy"))
    assert "Secret-3" not in probing.whole(refused_there)


@pytest.mark.parametrize("way", ["client_secret", "google", "token_url"])
def test_the_ca_file_of_oauth2_is_its_own(rig: Rig, way: str) -> None:
    oauth2 = WAYS[way](rig)
    for changed, words in ((None, "oauth2.ca_file"), (str(rig.path()), "ca_file")):
        other = {**oauth2, "ca_file": changed}
        result = the_result(rig.mail({name: value for name, value in other.items() if value is not None}))
        assert failing_phase(result) == "token"
        assert result["verdict"] in ("token_endpoint", "config_invalid")
        assert words in result["remedy"]


def test_the_environment_has_no_influence(scene: Scene, rig: Rig) -> None:
    declared = {way: rig.mail(WAYS[way](rig)) for way in ("client_secret", "user_public", "google", "token_url")}
    declared["graph"] = rig.graph(rig.by_secret(rig.app()))
    scene.store([{"name": name, **each} for name, each in declared.items()])
    proxy = HttpProxy(refuse=403)
    with proxy.server() as server, net.Refused() as nobody:
        where = f"http://127.0.0.1:{server.port}"
        names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
        environment = dict.fromkeys(names, where) | {
            "REQUESTS_CA_BUNDLE": "/nowhere/ca.crt",
            "CURL_CA_BUNDLE": "/nowhere/ca.crt",
            "REGION_NAME": "westeurope",
            "MSAL_FORCE_REGION": f"localhost:{nobody.port}",
        }
        answer = run("connector_test", scene.options, NO_PROXY="", no_proxy="", **environment)
    assert {each["connector"]: each["verdict"] for each in answer["results"]} == dict.fromkeys(declared, "ok")
    assert not proxy.requests


def test_certificates_of_the_environment_are_not_trusted_where_a_ca_file_is_named(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(rig.cloud.ca_file))
    oauth2 = rig.by_secret(rig.app())
    del oauth2["ca_file"]
    probing.check(the_result(rig.mail(oauth2)), table.NETWORK["other_ca"])
