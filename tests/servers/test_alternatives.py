# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers on the other usual ports of a host, where no encrypted connection comes about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest
from peers import actions, net
from peers.ca import CertificateZoo
from peers.imap import ImapScript
from peers.scripted import ScriptedServer
from peers.smtp import SmtpScript
from servers.verdicts_probing import ALICE, BOUNDS, Result, connector, probe, shows

from ansible_collections.mailroom.core.plugins.module_utils._check.alternatives import (
    USUAL_PAIRS,
    Alternatives,
    Pair,
)
from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds
from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._check.runner import run

TRYING = replace(BOUNDS, depth="login", alternatives=True)
SCRIPTS: dict[str, type[SmtpScript | ImapScript]] = {"smtp": SmtpScript, "imap": ImapScript}


class Host:
    """A host with a port for TLS and one for STARTTLS."""

    def __init__(self, protocol: str, zoo: CertificateZoo, stack: ExitStack, certificate: str = "good") -> None:
        script = SCRIPTS[protocol](tls=getattr(zoo, certificate).server_context())
        self.tls: ScriptedServer = stack.enter_context(script.server(tls=True))
        self.starttls: ScriptedServer = stack.enter_context(script.server())
        self.plain: ScriptedServer = stack.enter_context(SCRIPTS[protocol]().server())
        self.usual = {
            protocol: (
                Pair(self.tls.port, "tls"),
                Pair(self.starttls.port, "starttls"),
                Pair(self.plain.port, "starttls"),
            )
        }

    @property
    def connections(self) -> int:
        return sum(each.connections for each in (self.tls, self.starttls, self.plain))

    @property
    def logins(self) -> int:
        return sum(len(each.logins) for each in (self.tls, self.starttls, self.plain))


@pytest.fixture(params=["smtp", "imap"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def host(protocol: str, zoo: CertificateZoo) -> Iterator[Host]:
    with ExitStack() as stack:
        yield Host(protocol, zoo, stack)


def results_of(host: Host, *jobs: Job, bounds: Bounds = TRYING) -> list[Result]:
    results = run(jobs, bounds, 16, alternatives=Alternatives(bounds.timeout, host.usual))
    return [each.to_dict() for each in results]


def pairs(protocol: str, *found: tuple[ScriptedServer, str]) -> list[dict[str, Any]]:
    return [{"protocol": protocol, "port": server.port, "security": security} for server, security in found]


def test_where_a_port_refuses_the_others_that_answer_are_named(protocol: str, zoo: CertificateZoo, host: Host) -> None:
    with net.Refused() as refused:
        (result,) = results_of(host, connector(zoo, protocol, refused.port, security="tls"))
    assert result["verdict"] == "connect_refused"
    assert result["alternatives"] == pairs(protocol, (host.tls, "tls"), (host.starttls, "starttls"))
    assert f"port {host.starttls.port} with security starttls" in result["remedy"]
    assert str(host.plain.port) not in result["remedy"]


def test_nobody_signs_in_there(protocol: str, zoo: CertificateZoo, host: Host) -> None:
    with net.Refused() as refused:
        (result,) = results_of(host, connector(zoo, protocol, refused.port, security="tls"))
    assert result["alternatives"]
    assert host.logins == 0
    received = [bytes(each) for server in (host.tls, host.starttls, host.plain) for each in server.received]
    assert not any(ALICE.password.encode() in each or ALICE.address.encode() in each for each in received)
    assert not shows(result, ALICE.password)


def test_a_mismatch_finds_the_right_security_of_the_same_port(protocol: str, zoo: CertificateZoo, host: Host) -> None:
    (result,) = results_of(host, connector(zoo, protocol, host.starttls.port, security="tls"))
    assert result["verdict"] == "security_mismatch"
    assert result["alternatives"] == pairs(protocol, (host.tls, "tls"), (host.starttls, "starttls"))


def test_a_server_without_starttls_has_an_alternative(protocol: str, zoo: CertificateZoo, host: Host) -> None:
    (result,) = results_of(host, connector(zoo, protocol, host.plain.port, security="starttls"))
    assert result["verdict"] == "starttls_missing"
    assert result["alternatives"] == pairs(protocol, (host.tls, "tls"), (host.starttls, "starttls"))


def test_each_host_is_tried_once_in_a_task(protocol: str, zoo: CertificateZoo, host: Host) -> None:
    with net.Refused() as refused:
        jobs = [connector(zoo, protocol, refused.port, security="tls", name=f"c{number}") for number in range(6)]
        results = results_of(host, *jobs)
    assert all(len(result["alternatives"]) == 2 for result in results)
    assert host.connections == 3


def test_another_trust_is_tried_for_itself(protocol: str, zoo: CertificateZoo, host: Host) -> None:
    with net.Refused() as refused:
        trusting = connector(zoo, protocol, refused.port, security="tls", name="trusting")
        strict = connector(zoo, protocol, refused.port, security="tls", name="strict", ca_file=None)
        found = {result["connector"]: result for result in results_of(host, trusting, strict)}
    assert len(found["trusting"]["alternatives"]) == 2
    assert found["strict"]["alternatives"] == [], "a certificate that is not trusted is no alternative"
    assert "do not answer either" in found["strict"]["remedy"]


def test_wrong_credentials_try_nothing_else(protocol: str, zoo: CertificateZoo, host: Host) -> None:
    (result,) = results_of(host, connector(zoo, protocol, host.tls.port, security="tls", password="wrong-Secret-0"))
    assert (result["verdict"], result["alternatives"]) == ("auth_rejected", [])
    assert host.connections == 1
    assert host.logins == 1


def test_a_name_that_is_unknown_tries_nothing_else(protocol: str, zoo: CertificateZoo, host: Host) -> None:
    (result,) = results_of(host, connector(zoo, protocol, host.tls.port, security="tls", host="mail.invalid"))
    assert result["verdict"] == "dns_not_found"
    assert (result["alternatives"], host.connections) == ([], 0)


def test_a_certificate_that_is_refused_tries_nothing_else(protocol: str, zoo: CertificateZoo, host: Host) -> None:
    (result,) = results_of(host, connector(zoo, protocol, host.tls.port, security="tls", ca_file=None))
    assert result["verdict"] == "tls_untrusted"
    assert (result["alternatives"], host.starttls.connections) == ([], 0)


def test_the_alternatives_can_be_turned_off(protocol: str, zoo: CertificateZoo) -> None:
    with net.Refused() as refused:
        (result,) = probe(connector(zoo, protocol, refused.port, security="tls"))
    assert (result["verdict"], result["alternatives"]) == ("connect_refused", [])
    assert "answer" not in result["remedy"]


def test_ports_that_hang_share_one_timeout_and_the_deadline(zoo: CertificateZoo) -> None:
    """All hang longer than the deadline: the test ends by the deadline, with what is known by then."""
    silent = SmtpScript({"greeting": actions.silent()}, tls=zoo.good.server_context())
    with ExitStack() as stack:
        host = Host("smtp", zoo, stack)
        hanging = [stack.enter_context(silent.server()) for _number in range(3)]
        host.usual = {"smtp": (*(Pair(each.port, "starttls") for each in hanging), Pair(host.tls.port, "tls"))}
        refused = stack.enter_context(net.Refused())
        bounds = Bounds("login", timeout=600, deadline=3, alternatives=True)
        (result,) = results_of(host, connector(zoo, "smtp", refused.port, security="tls"), bounds=bounds)
    assert result["verdict"] == "connect_refused"
    assert result["alternatives"] == pairs("smtp", (host.tls, "tls"))


def test_the_usual_pairs_are_never_unencrypted() -> None:
    assert USUAL_PAIRS == {
        "smtp": ((465, "tls"), (587, "starttls"), (25, "starttls")),
        "imap": ((993, "tls"), (143, "starttls")),
    }


def test_the_real_ports_of_a_host(zoo: CertificateZoo) -> None:
    """On an address of its own, so that no other server is in the way; binding low ports needs root."""
    script = SmtpScript(tls=zoo.good.server_context())
    host = "127.0.0.77"
    try:
        server = script.server(host=host, port=587).start()
    except PermissionError:
        pytest.skip("only root may listen on port 587 here")
    with closing(server):
        job = connector(zoo, "smtp", 465, security="tls", host=host, validate_certs=False)
        (result,) = [each.to_dict() for each in run([job], TRYING, 1)]
    assert result["verdict"] == "connect_refused"
    assert result["alternatives"] == [{"protocol": "smtp", "port": 587, "security": "starttls"}]
    assert server.logins == []
