# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a result says of a failure that is not the connector's own."""

from __future__ import annotations

from typing import Any

import pytest
from peers.connectors import job as connector_job
from peers.connectors import resolved

from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds
from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._check.result import EndpointResult, Result
from ansible_collections.mailroom.core.plugins.module_utils._check.runner import run
from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.resolved import Endpoint
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._errors import (
    MissingLibrary,
    RegistryError,
    RegistryKeyError,
)
from ansible_collections.mailroom.core.plugins.module_utils._module.connector_test import _with_reader
from ansible_collections.mailroom.core.plugins.module_utils._module.jobs import refused_job, stored_job
from ansible_collections.mailroom.core.plugins.module_utils._net.record import Record
from ansible_collections.mailroom.core.plugins.module_utils._protocol.imap import ImapSession
from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_results
from ansible_collections.mailroom.core.plugins.module_utils._report.table import table
from ansible_collections.mailroom.core.plugins.module_utils._verdict.diagnosis import diagnose
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation

IMAP = Endpoint("imap", "mail.example.com", 993, "tls")


def _result(*endpoints: EndpointResult, **more: Any) -> dict[str, Any]:
    return Result("alerts", "deliver", endpoints=list(endpoints), **more).to_dict()


def test_a_mailbox_of_another_connector_is_named_where_it_is_down() -> None:
    """Usability, finding 12: every connector failed, and nothing named the one whose mailbox was down."""
    observation = Observation("refused", "tcp", "imap", facts=IMAP.facts())
    shown = _result(EndpointResult(IMAP, Record("imap"), Redaction(), observation=observation, reads_for="support"))
    assert shown["verdict"] == "connect_refused"
    assert shown["remedy"].startswith("The mailbox of connector support, in which the mail is looked for, cannot be")
    assert shown["remedy"].endswith(diagnose(observation).remedy)
    assert shown["field"] == "deliver_via"


def test_a_failure_of_the_connectors_own_comes_before_that_of_the_mailbox() -> None:
    own = EndpointResult(
        IMAP, Record("smtp"), Redaction(), observation=Observation("timeout", "tcp", "smtp", facts=IMAP.facts())
    )
    other = EndpointResult(
        IMAP, Record("imap"), Redaction(), observation=Observation("refused", "tcp", "imap"), reads_for="support"
    )
    shown = _result(own, other)
    assert (shown["verdict"], shown["field"]) == ("connect_timeout", "smtp.port")
    assert "support" not in shown["remedy"]


def test_a_reading_connector_that_cannot_be_used_is_named() -> None:
    reading = refused_job("support", Observation("config", text="the connector is disabled"))
    (result,) = run([_with_reader(connector_job("alerts", {}), reading)], Bounds("deliver"), 1)
    shown = result.to_dict()
    assert (shown["verdict"], shown["field"]) == ("config_invalid", "deliver_via")
    assert "support" in shown["remedy"]


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("cryptography", "python3-cryptography"),
        ("imapclient", "python3-imapclient"),
        ("msal", "python3-msal"),
        ("msal 1.35 or newer", "python3-msal"),
        ("PyYAML", "python3-yaml"),
    ],
)
def test_a_missing_library_names_what_to_install(library: str, package: str) -> None:
    error = str(MissingLibrary(library, "for this"))
    assert f"pip install {library.partition(' ')[0]}," in error
    assert error.endswith(f"as the package {package}).")


def test_a_reading_connector_that_is_not_ready_is_named_as_well() -> None:
    """Usability, finding 12: its secret cannot be opened, so that there is no server to name it with."""
    reading = refused_job("support", Observation("not_ready", text="The key is missing."))
    results = run([_with_reader(connector_job(name, {}), reading) for name in ("alerts", "news")], Bounds("deliver"), 1)
    shown = [result.to_dict() for result in results]
    assert [(each["verdict"], each["field"]) for each in shown] == [("host_not_ready", "deliver_via")] * 2
    assert all("connector support" in each["remedy"] and "The key is missing." in each["remedy"] for each in shown)
    lines = table(parse_results(shown))
    assert [line.split()[:3] for line in lines[1:3]] == [
        ["alerts", "fail", "host_not_ready"],
        ["news", "fail", "host_not_ready"],
    ]
    assert all("mailbox of support" in line for line in lines[1:3])
    assert " ".join(lines).count("The key is missing.") == 1


class _Reader:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def open_secret(self, _sealed: object) -> Secret:
        raise self._error


class _Connector:
    name = "alerts"
    enabled = True
    secrets = {"smtp.password": object()}  # noqa: RUF012


@pytest.mark.parametrize(
    "error",
    [
        MissingLibrary("cryptography", "to seal secrets"),
        RegistryKeyError("The registry's key is another one."),
        RegistryError("The registry cannot be read."),
    ],
)
def test_what_is_missing_on_this_host_is_no_fault_of_the_declaration(error: Exception) -> None:
    """Usability, finding 11."""
    job = stored_job(_Reader(error), _Connector(), "login")  # type: ignore[arg-type]
    (result,) = run([job], Bounds(), 1)
    shown = result.to_dict()
    assert (shown["verdict"], shown["certainty"], shown["field"]) == ("host_not_ready", "certain", None)
    assert str(error) in shown["remedy"]
    assert "declaration" not in shown["remedy"]


def test_a_library_that_is_missing_during_the_test_is_told_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(_session: ImapSession) -> None:
        raise MissingLibrary("imapclient", "to read mail over IMAP")

    monkeypatch.setattr(ImapSession, "open", without)
    server = {"host": "localhost", "port": 993, "security": "tls", "validate_certs": True, "auth": "none"}
    (result,) = run([connector_job("support", {"imap": server})], Bounds("connect", alternatives=True), 1)
    shown = result.to_dict()
    assert (shown["verdict"], shown["certainty"]) == ("host_not_ready", "certain")
    assert "pip install imapclient" in shown["remedy"]


class _Broken(Job):
    def endpoints(self) -> list[Endpoint]:
        raise AttributeError("Rumpelstilzchen")


def test_settings_that_cannot_be_read_fail_their_own_test_only() -> None:
    broken = _Broken(resolved({}, name="broken"), (Secret("Rumpelstilzchen"),))
    first, second = run([broken, connector_job("empty", {})], Bounds("connect"), 1)
    assert (first.to_dict()["verdict"], second.name) == ("internal_error", "empty")
