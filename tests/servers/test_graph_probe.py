# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connectors for Microsoft Graph: how far each depth goes, what a refusal means, and that nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from peers import net
from peers.cloud import Cloud
from peers.graph import AT_ONCE, Graph
from peers.mail import MailServer
from peers.proxies import HttpProxy, Proxy, Socks5Proxy
from servers import oauth_echoes as echoes
from servers import oauth_probing as probing
from servers import oauth_table as table
from servers.oauth_probing import (
    ALICE,
    ROLES,
    Block,
    Results,
    Rig,
    asked,
    check,
    phase,
    shown_secrets,
    steps,
    the_result,
)
from servers.verdicts_probing import failing_phase, said

from ansible_collections.mailroom.core.plugins.module_utils._net.clock import Clock

CONNECTED = "config dns tcp tls".split()
LOOKED = [*CONNECTED, "token", "mailbox"]
PHASES = {"connect": CONNECTED, "login": LOOKED, "envelope": LOOKED}


@pytest.fixture
def rig(mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Services for one test."""
    with Cloud(mail_server) as cloud:
        yield Rig(cloud, mail_server, tmp_path_factory.mktemp("files"))


def sent(rig: Rig) -> list[Any]:
    """All that would show if a mail had been sent or written."""
    graph = rig.cloud.graph
    kept = [message for folder in ("sentitems", "drafts", "inbox") for message in graph.messages(ALICE.address, folder)]
    return [*graph.accepted, *kept, *(each for each in graph.requests if each.method != "GET")]


@pytest.mark.parametrize("depth", PHASES)
def test_each_depth_goes_as_far_as_it_says(rig: Rig, depth: str) -> None:
    app = rig.app()
    result = the_result(rig.graph(rig.by_secret(app)), depth)
    assert steps(result) == [(name, "ok") for name in PHASES[depth]]
    assert (result["verdict"], result["certainty"], result["depth"]) == ("ok", "certain", depth)
    (endpoint,) = result["endpoints"]
    assert (endpoint["protocol"], endpoint["host"], endpoint["port"]) == ("graph", "localhost", rig.cloud.graph.port)
    assert endpoint["address"] in ("127.0.0.1", "::1")
    assert endpoint["tls"]["fingerprint_sha256"] == rig.cloud.zoo.good.fingerprint_sha256
    requests = [(each.method, each.operation) for each in rig.cloud.graph.requests]
    assert requests == ([] if depth == "connect" else [("GET", "getMailFolder")])
    assert asked(rig.cloud.entra, app.client_id) == int(depth != "connect")
    assert not sent(rig)


def test_envelope_says_what_it_could_not_prove(rig: Rig) -> None:
    declared = rig.graph(rig.by_secret(rig.app()))
    shallow, deep = the_result(declared, "login"), the_result(declared, "envelope")
    assert (shallow["status"], shallow["warnings"]) == ("ok", [])
    assert deep["status"] == "warn"
    ((code, text),) = [(each["code"], each["text"]) for each in deep["warnings"]]
    assert code == "send_unproven"
    assert "nothing was sent" in text
    assert "Mail.Send" not in text, "the token names it"
    assert not sent(rig)


HINTS: dict[str, tuple[dict[str, Any], str, bool]] = {
    "no_roles": ({"roles": ()}, "skipped", True),
    "may_only_read": ({"roles": ("Mail.ReadBasic",)}, "ok", True),
    "may_only_send": ({"roles": ("Mail.Send",)}, "skipped", False),
    "by_rbac": (
        {"roles": (), "rbac": {"Mail.Send": (ALICE.address,), "Mail.ReadBasic": (ALICE.address,)}},
        "ok",
        True,
    ),
    "tells_nothing": ({"opaque": True}, "ok", False),
}


@pytest.mark.parametrize("name", HINTS)
def test_a_role_that_the_token_lacks_is_only_a_hint(rig: Rig, name: str) -> None:
    options, mailbox, has_hint = HINTS[name]
    result = the_result(rig.graph(rig.by_secret(rig.app(**options))), "envelope")
    assert (result["verdict"], result["status"], result["remedy"]) == ("ok", "warn", "")
    assert steps(result) == [*((each, "ok") for each in LOOKED[:-1]), ("mailbox", mailbox)]
    (warning,) = result["warnings"]
    assert ("Mail.Send" in warning["text"]) == has_hint


def test_no_permission_to_look_is_no_failure(rig: Rig) -> None:
    result = the_result(rig.graph(rig.by_secret(rig.app(roles=("Mail.Send",)))))
    assert (result["status"], result["verdict"], failing_phase(result)) == ("ok", "ok", "")
    looked = phase(result, "mailbox")
    assert (looked["status"], looked["code"], looked["enhanced"]) == ("skipped", 403, "ErrorAccessDenied")
    assert "no permission to read: Access is denied." in looked["text"]


def test_each_way_to_get_a_token_serves_graph(rig: Rig) -> None:
    ways = [name for name in probing.WAYS if not name.startswith(("google", "token_url", "identity"))]
    declared = {name: rig.graph(probing.WAYS[name](rig)) for name in ways}
    declared["of_the_user"] = rig.graph(probing.WAYS["user_public"](rig))
    del declared["of_the_user"]["graph"]["mailbox"]  # it is oauth2.username
    results = probing.results_of(declared)
    assert {name: steps(result)[-1] for name, result in results.items()} == dict.fromkeys(declared, ("mailbox", "ok"))
    assert {each.arguments[0] for each in rig.cloud.graph.requests} == {ALICE.address}
    scopes = {each.form["scope"] for each in rig.cloud.entra.requests if each.operation == "token"}
    assert all(scope.split()[0].startswith("https://graph.microsoft.com/") for scope in scopes)
    assert not shown_secrets(rig, results.values())


def test_a_machines_identity_serves_graph(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    client = rig.cloud.managed_identity.add_app(roles=ROLES).client_id
    for name, value in rig.cloud.managed_identity.environment("imds").items():
        monkeypatch.setenv(name, value)
    result = the_result(rig.graph({"managed_identity": client}))
    assert steps(result)[-1] == ("mailbox", "ok"), result["remedy"]
    assert rig.cloud.managed_identity.requests[0].query["resource"] == "https://graph.microsoft.com"


def test_each_refusal_of_graph_has_its_verdict(rig: Rig) -> None:
    assert set(table.GRAPH) == set(Graph.SCENARIOS)
    declared = {}
    for name in table.GRAPH:
        mailbox = f"{name.lower().replace('_', '-')}@example.com"
        rig.cloud.graph.fail(name, who=mailbox)
        declared[name] = rig.graph(rig.by_secret(rig.app()), mailbox)
    results = probing.results_of(declared, deadline=3)
    for name, expected in table.GRAPH.items():
        result, failure = results[name], Graph.SCENARIOS[name]
        looked = phase(result, "mailbox")
        if expected.verdict == "ok":
            assert (result["verdict"], looked["status"], looked["code"]) == ("ok", "skipped", 403), name
            continue
        check(result, expected, "mailbox")
        assert failure
        assert (looked["code"], looked["enhanced"]) == (failure.status, failure.code)
        assert failure.text in looked["text"]
        assert "request-id " in looked["text"]
        mailbox = declared[name]["graph"]["mailbox"]
        assert mailbox in result["remedy"] or expected.verdict != "mailbox_missing"
    assert not sent(rig)


REAL: dict[str, tuple[str, dict[str, Any], str]] = {
    "on_premises": ("onprem@example.com", {}, "mailbox_missing"),
    "guest": ("guest@example.com", {}, "mailbox_missing"),
    "unknown": ("nobody@example.com", {}, "mailbox_missing"),
    "expired": (ALICE.address, {"lifetime": -60}, "auth_rejected"),
    "other_mailbox": (ALICE.address, {"mailboxes": ("bob@example.com",)}, "ok"),
}


def test_each_mistake_is_found_by_graph(rig: Rig) -> None:
    declared = {
        name: rig.graph(rig.by_secret(rig.app(**options)), mailbox) for name, (mailbox, options, _v) in REAL.items()
    }
    for name in ("wrong_audience", "forged_token", "expired_token"):
        app = rig.app()
        rig.cloud.entra.fail(name, at="token", who=app.client_id)
        declared[name] = rig.graph(rig.by_secret(app))
    results = probing.results_of(declared)
    verdicts = {name: verdict for name, (*_rest, verdict) in REAL.items()}
    verdicts |= dict.fromkeys(("wrong_audience", "forged_token", "expired_token"), "auth_rejected")
    assert {name: result["verdict"] for name, result in results.items()} == verdicts
    assert {failing_phase(result) for result in results.values()} == {"mailbox", ""}
    assert not any(probing.gaps(result) for result in results.values())
    assert not shown_secrets(rig, results.values())


def test_a_refused_token_comes_before_the_mailbox(rig: Rig) -> None:
    app = rig.app()
    with rig.cloud.entra.failing("7000222", at="token", who=app.client_id):
        result = the_result(rig.graph(rig.by_secret(app)), "envelope")
    check(result, table.ENTRA["7000222"][1])
    assert steps(result)[-2:] == [("token", "fail"), ("mailbox", "skipped")]
    assert not rig.cloud.graph.requests


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, bool]]:
    """What anybody wanted to wait, and whether there was time for it."""
    seen: list[tuple[float, bool]] = []
    good = Clock.pause

    def pause(clock: Clock, seconds: float) -> bool:
        seen.append((seconds, good(clock, seconds)))
        return seen[-1][1]

    monkeypatch.setattr(Clock, "pause", pause)
    return seen


@pytest.mark.parametrize("fault", ["throttled_briefly", "MailboxConcurrency"])
def test_a_short_wait_is_waited_for(rig: Rig, pauses: list[tuple[float, bool]], fault: str) -> None:
    with rig.cloud.graph.failing(fault, times=1):
        result = the_result(rig.graph(rig.by_secret(rig.app())))
    assert steps(result) == [(name, "ok") for name in LOOKED]
    assert pauses == [(1, True)]
    assert len(rig.cloud.graph.requests) == 2


@pytest.mark.parametrize(
    ("fault", "wait"), [("throttled", 7), ("ApplicationThrottled", 7), ("ServiceUnavailable", 5), ("throttled_date", 7)]
)
def test_a_long_wait_is_reported_at_once(rig: Rig, pauses: list[tuple[float, bool]], fault: str, wait: int) -> None:
    with rig.cloud.graph.failing(fault):
        result = the_result(rig.graph(rig.by_secret(rig.app())), deadline=4)
    assert (result["verdict"], failing_phase(result)) == ("throttled", "mailbox")
    assert pauses == [(wait, False)]
    assert len(rig.cloud.graph.requests) == 1
    assert f"Retry-After {wait} s" in said(result)


def test_throttling_ends_with_the_deadline(rig: Rig) -> None:
    with rig.cloud.graph.failing("throttled_briefly"):
        result = the_result(rig.graph(rig.by_secret(rig.app())), deadline=3)
    check(result, table.FAULTY_GRAPH["throttled_briefly"], "mailbox")
    assert 2 <= len(rig.cloud.graph.requests) <= 4


def test_a_mailbox_is_not_asked_by_too_many_at_once(rig: Rig) -> None:
    declared = {f"number_{number}": rig.graph(rig.by_secret(rig.app())) for number in range(8)}
    results = probing.results_of(declared)
    assert {steps(result)[-1] for result in results.values()} == {("mailbox", "ok")}
    assert rig.cloud.graph.most_at_once <= AT_ONCE


def test_each_fault_of_graph_has_its_verdict(rig: Rig) -> None:
    declared = {}
    for number, fault in enumerate(table.FAULTY_GRAPH):
        mailbox = ALICE.address if fault == "wrong_content_type" else f"user-{number}@example.com"
        rig.cloud.graph.fail(fault, who=mailbox)
        declared[fault] = rig.graph(rig.by_secret(rig.app()), mailbox)
    results = probing.results_of(declared, timeout=600, deadline=6)
    found = {name: (result["verdict"], result["certainty"], failing_phase(result)) for name, result in results.items()}
    assert found == {
        name: (each.verdict, each.certainty, "" if each.verdict == "ok" else "mailbox")
        for name, each in table.FAULTY_GRAPH.items()
    }
    for name, expected in table.FAULTY_GRAPH.items():
        check(results[name], expected, "mailbox")
    assert not shown_secrets(rig, results.values())


def _answers(rig: Rig, stack: ExitStack) -> dict[str, dict[str, Any]]:
    """Addresses of Graph where something is wrong with the network, and changes to the block."""
    bad = {
        name: stack.enter_context(Graph(rig.cloud.zoo, rig.cloud.tokens, certificate=name)).url
        for name in ("other_ca", "wrong_name", "expired", "not_yet_valid")
    }
    refused, hole = stack.enter_context(net.Refused()), stack.enter_context(net.Blackhole())
    refusing = stack.enter_context(HttpProxy(refuse=502).server())
    return {
        **{name: {"url": url} for name, url in bad.items()},
        "refused": {"url": f"https://localhost:{refused.port}"},
        "silent": {"url": f"https://127.0.0.1:{hole.port}"},
        "name": {"url": "https://graph.nowhere.invalid"},
        "proxy_refuses": {"proxy": f"http://127.0.0.1:{refusing.port}"},
        "proxy_refused": {"proxy": f"socks5://127.0.0.1:{refused.port}"},
        "ca_file": {"ca_file": str(rig.path())},
    }


NETWORK = {
    "other_ca": ("tls_untrusted", "tls"),
    "wrong_name": ("tls_name_mismatch", "tls"),
    "expired": ("tls_expired", "tls"),
    "not_yet_valid": ("tls_not_yet_valid", "tls"),
    "refused": ("connect_refused", "tcp"),
    "silent": ("connect_timeout", "tcp"),
    "name": ("dns_not_found", "dns"),
    "proxy_refuses": ("proxy_failed", "tcp"),
    "proxy_refused": ("proxy_failed", "tcp"),
    "ca_file": ("config_invalid", "config"),
}


def test_trouble_with_the_network_comes_before_the_token(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    probing.look_up_badly(monkeypatch)
    apps = {name: rig.app() for name in NETWORK}
    with ExitStack() as stack:
        changes = _answers(rig, stack)
        declared = {name: rig.graph(rig.by_secret(app), **changes[name]) for name, app in apps.items()}
        results = probing.results_of(declared, timeout=2)
    assert {name: (each["verdict"], failing_phase(each)) for name, each in results.items()} == NETWORK
    assert not any(asked(rig.cloud.entra, app.client_id) for app in apps.values())
    for name, result in results.items():
        skipped = LOOKED[LOOKED.index(NETWORK[name][1]) + 1 :]
        assert steps(result)[-len(skipped) :] == [(each, "skipped") for each in skipped]
        assert not probing.gaps(result), result["remedy"]
    for name in ("other_ca", "wrong_name", "expired"):
        tls = results[name]["endpoints"][0]["tls"]
        assert tls["fingerprint_sha256"] == rig.cloud.zoo[name].fingerprint_sha256


@pytest.mark.parametrize("kind", [HttpProxy, Socks5Proxy])
def test_graph_and_tokens_have_proxies_of_their_own(rig: Rig, kind: type[Proxy]) -> None:
    graph_proxy, token_proxy = kind("dweller", "the-proxys-Secret-4"), kind("dweller", "the-proxys-Secret-5")
    scheme = "http" if kind is HttpProxy else "socks5"

    def through(port: int, password: str) -> Block:
        return {
            "proxy": f"{scheme}://127.0.0.1:{port}",
            "proxy_username": "dweller",
            "proxy_password": password,
        }

    with graph_proxy.server() as one, token_proxy.server() as other:
        oauth2 = {**rig.by_secret(rig.app()), **through(other.port, "the-proxys-Secret-5")}
        result = the_result(rig.graph(oauth2, **through(one.port, "the-proxys-Secret-4")))
        first = (len(graph_proxy.requests), len(token_proxy.requests))
        wrong = the_result(rig.graph(oauth2, **through(one.port, "a-wrong-Secret-6")))
    assert steps(result) == [(name, "ok") for name in LOOKED]
    assert {each.port for each in graph_proxy.requests} == {rig.cloud.graph.port}
    assert {each.port for each in token_proxy.requests} == {rig.cloud.entra.port}
    assert first == (1, len(token_proxy.requests)), "a wrong password for Graph's proxy asks for no token"
    assert (wrong["verdict"], failing_phase(wrong)) == ("proxy_failed", "tcp")
    assert "Secret-" not in probing.whole(result) + probing.whole(wrong)


@pytest.mark.parametrize("opaque", [False, True])
def test_an_echo_of_the_token_is_not_shown(rig: Rig, opaque: bool) -> None:
    with echoes.Graph(rig.cloud.zoo, rig.cloud.tokens) as graph:
        result = the_result(rig.graph(rig.by_secret(rig.app(opaque=opaque)), url=graph.url))
        assert graph.requests[0].bearer in probing.secrets_of(rig)
    assert "You sent" in said(result)
    assert not shown_secrets(rig, [result], graph)


def test_results_are_many_connectors_own(rig: Rig) -> None:
    good, bad = rig.app(), rig.app(secret_expired=True)
    results: Results = probing.results_of(
        {
            "good": rig.graph(rig.by_secret(good)),
            "bad": rig.graph(rig.by_secret(bad), "bob@example.com"),
            "mail": rig.mail(rig.by_secret(rig.app())),
        },
        "envelope",
    )
    assert {name: each["verdict"] for name, each in results.items()} == {
        "good": "ok",
        "bad": "token_expired_secret",
        "mail": "ok",
    }
