# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who uses what: recorded by connector_config, listed by connector_info."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._errors import RegistryError
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from .conftest import Play

SIGNED_IN = {"host": "mail.example.com", "username": "mailer", "password": "swordfish"}
Config = Callable[..., dict[str, Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "msmtprc"


@pytest.fixture
def config(play: Play, path: Path) -> Config:
    """Write connectors of a registry into msmtp, as somebody, on web1."""
    entries = [{"name": name, "smtp": SIGNED_IN} for name in ("main", "spare")]
    play("connectors", connectors=entries, purposes={"alerts@acme": "main"}, default="spare")
    task = {"app": "msmtp", "path": str(path), "host": "web1", "actor": "deployer"}
    return lambda **options: play("connector_config", **{**task, **options})


def applications(play: Play, name: str = "main") -> list[dict[str, Any]]:
    (found,) = play("connector_info", name=name)["connectors"]
    return list(found["applications"])


def current(play: Play) -> list[bool]:
    return [each["current"] for each in applications(play)]


def test_what_is_written_is_listed(config: Config, play: Play, path: Path) -> None:
    config(purpose="alerts", tenant="acme")
    (found,) = applications(play)
    assert found.pop("written_at").endswith("Z")
    assert found == {
        "app": "msmtp",
        "host": "web1",
        "place": str(path),
        "purpose": "alerts",
        "tenant": "acme",
        "written_by": "deployer",
        "current": True,
    }
    assert applications(play, "spare") == []
    assert [each["name"] for each in play("connector_info")["connectors"] if each["applications"]] == ["main"]


def test_host_is_named_as_it_names_itself_unless_the_task_says(config: Config, play: Play) -> None:
    config(connector="main", host=None)
    (found,) = applications(play)
    assert (found["host"], found["purpose"], found["tenant"]) == (os.uname().nodename, None, None)
    refused = config(connector="main", host="web1\nweb2")
    assert refused["msg"] == "host: must be 1 to 255 characters on one line, without control characters"


def test_what_is_written_again_unchanged_is_not_recorded_again(config: Config, play: Play, registry_path: Path) -> None:
    config(connector="main")
    before = registry_path.read_bytes()
    assert config(connector="main", actor="somebody else")["changed"] is False
    assert registry_path.read_bytes() == before
    config(connector="spare")
    assert (applications(play), len(applications(play, "spare"))) == ([], 1)


def test_check_mode_records_nothing(config: Config, play: Play) -> None:
    config(connector="main", check=True)
    assert applications(play) == []
    config(connector="main")
    for state in ("absent", "forgotten"):
        assert config(state=state, check=True)["changed"]
    assert current(play) == [True]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (("connector", {"name": "main", "description": "new"}), True),
        (("connector", {"name": "main", "reply_to": "a@example.com"}), False),
        (("connector", {"name": "main", "smtp": {"password": "new"}}), False),
        (("connector", {"name": "main", "new_name": "other"}), None),
        (("connector_purpose", {"purpose": "alerts", "tenant": "acme", "connector": "spare"}), False),
        (("connector_purpose", {"purpose": "alerts", "connector": "spare"}), True),
    ],
)
def test_application_is_current_until_something_else_would_be_written(
    config: Config, play: Play, task: tuple[str, dict[str, Any]], expected: bool | None
) -> None:
    config(purpose="alerts", tenant="acme")
    module, options = task
    play(module, **options)
    if expected is None:
        # The name of the connector is in what is written for msmtp.
        assert [each["current"] for each in applications(play, "other")] == [False]
        return
    assert current(play) == [expected]
    config(purpose="alerts", tenant="acme", options={"leave_out": ["reply_to"]})
    assert [each["current"] for name in ("main", "spare") for each in applications(play, name)] == [True]


def test_absent_and_forgotten_end_the_record(config: Config, play: Play, path: Path) -> None:
    config(connector="main")
    config(state="absent")
    assert (applications(play), path.exists()) == ([], False)
    config(connector="main")
    text = path.read_text()
    assert config(state="forgotten", host="web2")["changed"] is False
    assert config(state="forgotten")["changed"]
    assert config(state="forgotten")["changed"] is False
    assert (applications(play), path.read_text()) == ([], text)


def test_connector_that_is_deleted_leaves_its_applications_to_be_seen(config: Config, play: Play, path: Path) -> None:
    config(connector="main")
    play("connector_purpose", purpose="alerts", tenant="acme", state="absent")
    for check in (True, False):
        (warning,) = play("connector", name="main", state="absent", check=check)["warnings"]
        assert warning.endswith(f": msmtp {path} on web1 (main)")
    for more in ({}, {"name": "main"}):
        (left,) = play("connector_info", **more)["orphaned_applications"]
        assert (left["connector"], left["place"], left["current"]) == ("main", str(path), False)
    assert "orphaned_applications" not in play("connector_info", name="spare")
    config(state="forgotten")
    assert "orphaned_applications" not in play("connector_info")


def test_registry_that_cannot_be_written_is_a_warning(
    config: Config, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_registry: Registry, _work: Any) -> NoReturn:
        raise RegistryError("The registry cannot be changed: no right to.")

    config(connector="spare")
    monkeypatch.setattr(Registry, "write", refuse)
    written = config(connector="main")
    (warning,) = written["warnings"]
    assert warning.startswith(f"The registry could not record that msmtp at {path} uses connector main")
    assert "account main\n" in path.read_text()
    removed = config(state="absent")
    assert (removed["changed"], len(removed["warnings"]), path.exists()) == (True, 1, False)
    assert config(state="forgotten")["failed"]
