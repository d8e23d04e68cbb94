# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcome of tests is kept in the registry where connector_test is asked to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import net

from .conftest import Play


@pytest.fixture
def stored(play: Play) -> Iterator[Play]:
    """With a connector to a port where nobody listens, and one that is disabled."""
    with net.Refused() as closed:
        smtp = {"host": "127.0.0.1", "port": closed.port, "security": "none"}
        play("connector", name="on", smtp=smtp)
        play("connector", name="off", smtp=smtp, enabled=False)
        yield play


def health(play: Play, name: str = "on") -> Any:
    return play("connector_info", name=name)["connectors"][0]["health"]


def test_health_of_what_was_never_tested_is_null(stored: Play) -> None:
    assert health(stored) is None
    stored("connector_test", depth="connect", fail=False)
    assert health(stored) is None


def test_tests_are_recorded(stored: Play) -> None:
    for _each in range(2):
        stored("connector_test", depth="connect", fail=False, record=True, host="mail01")
    found = health(stored)
    runs = found.pop("runs")
    times = {name: found.pop(name) for name in ("since", "checked_at")}
    assert found == {
        "status": "fail",
        "verdict": "connect_refused",
        "last_ok_at": None,
        "failures_in_a_row": 2,
        "expires": None,
        "host": "mail01",
    }
    assert times == {"since": runs[0]["at"], "checked_at": runs[1]["at"]}
    assert [(run["host"], run["status"], run["verdict"]) for run in runs] == [("mail01", "fail", "connect_refused")] * 2
    assert health(stored, "off") is None


def test_failing_task_has_recorded_and_is_the_same_otherwise(stored: Play) -> None:
    bare, recorded = (stored("connector_test", depth="connect", record=record) for record in (False, True))
    assert recorded["failed"]
    assert "warnings" not in recorded
    assert bare["msg"].splitlines()[-1] == recorded["msg"].splitlines()[-1]
    assert health(stored)["status"] == "fail"


def test_disabled_connector_is_not_recorded(stored: Play) -> None:
    stored("connector_test", connectors=["off"], record=True, fail=False)
    assert health(stored, "off") is None


def test_connector_that_is_changed_during_its_test_is_not_recorded(
    stored: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.mailroom.core.plugins.module_utils._module import connector_test

    run_tests = connector_test.run_tests

    def change_and_run(*arguments: Any) -> Any:
        assert stored("connector", name="on", description="fixed")["changed"]
        return run_tests(*arguments)

    monkeypatch.setattr(connector_test, "run_tests", change_and_run)
    assert stored("connector_test", depth="connect", record=True, fail=False)["summary"]["fail"] == 1
    assert health(stored) is None


def test_check_mode_records_nothing(stored: Play) -> None:
    stored("connector_test", depth="connect", record=True, fail=False, check=True)
    assert health(stored) is None


def test_registry_that_cannot_be_written_is_a_warning(
    stored: Play, registry_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
    from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

    def refuse(_self: Registry, _work: Any) -> None:
        raise RegistryError(f"the registry {registry_path} cannot be written: Read-only file system")

    monkeypatch.setattr(Registry, "write", refuse)
    result = stored("connector_test", depth="connect", record=True, fail=False)
    (warning,) = result["warnings"]
    assert warning == (
        "The tests could not be recorded, so connector_info still returns the health from before: the registry"
        f" {registry_path} cannot be written: Read-only file system"
    )
    assert result["summary"] == {"ok": 0, "warn": 0, "fail": 1}


def test_declaration_cannot_be_recorded(play: Play) -> None:
    result = play("connector_test", declaration={"smtp": {"host": "127.0.0.1"}}, record=True)
    assert result["msg"] == "record: is for connectors of the registry, not for declaration"


@pytest.mark.parametrize("host", ["x" * 256, "a\nb", "a\0b"])
def test_host_that_cannot_be_a_name_is_refused(stored: Play, host: str) -> None:
    result = stored("connector_test", depth="connect", record=True, host=host)
    assert result["failed"]
    assert result["msg"].startswith("host: ")
    assert health(stored) is None
