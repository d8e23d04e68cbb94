# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The applications that were given a connector, and the tests of connectors, on every back-end."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Request
from ansible_collections.mailroom.core.plugins.module_utils._connector.records import (
    MOST_RUNS,
    ApplicationRecord,
    Health,
    RecordedTest,
    Run,
    settings_digest,
)
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._connector.state import Purpose, Wanted
from ansible_collections.mailroom.core.plugins.module_utils._registry.registry import Registry

from .backends import Backend
from .samples import FOREIGN_KEY, KEY, LATER, NEW_KEY, STAMP, change, declare, entry, everything, record_tests

PLACE = ("msmtp", "web1.example.com", "/etc/msmtprc")
READS = ("from_address", "smtp.host", "smtp.port", "smtp.username", "smtp.password")


@pytest.fixture
def registry(backend: Backend) -> Registry:
    """A registry with a connector that has a password, and one that has none."""
    registry = backend.open()
    declare(registry, entry("alerts", "swordfish"), entry("open"), default="open")
    return registry


def write(
    registry: Registry, connector: str = "alerts", place: tuple[str, str, str] = PLACE, **more: Any
) -> ApplicationRecord:
    """Record that an application was given a connector with its secrets, as a task does that writes a file."""
    with registry.writing() as writer:
        found = writer.load(Wanted(frozenset([connector]))).connectors[connector]
        reads = more.pop("reads", READS)
        secrets = {path: writer.open_secret(str(found.secrets[path])) for path in reads if path in found.secrets}
        digest = settings_digest(found, reads, is_default=False)
        application = ApplicationRecord(*place, connector, more.pop("purpose", None), reads, digest, STAMP, **more)
        writer.record_application(application, secrets)
    return application


def applications(registry: Registry) -> list[ApplicationRecord]:
    with registry.reading() as reader:
        return reader.applications()


def is_current(registry: Registry, place: tuple[str, str, str] = PLACE) -> bool | None:
    with registry.reading() as reader:
        application = reader.application(*place)
        assert application is not None
        state = reader.load(Wanted(frozenset([application.connector])))
        return reader.is_current(application, state.connectors[application.connector], is_default=False)


class TestApplications:
    def test_what_is_recorded_comes_back(self, registry: Registry) -> None:
        place = ("keepnet", "Rechner-ä", "https://keepnet.example.com/ company: Käufer & Söhne")
        purpose = Purpose("alerts", "Käufer & Söhne")
        written = write(registry, place=place, purpose=purpose, destination="d" * 64)
        (found,) = applications(registry)
        assert found._replace(key_id=None, fingerprint=None) == written

    def test_only_what_was_written_last_to_a_place_is_kept(self, registry: Registry) -> None:
        write(registry)
        write(registry, "open")
        assert [each.connector for each in applications(registry)] == ["open"]

    def test_those_of_some_connectors(self, registry: Registry) -> None:
        write(registry)
        write(registry, "open", ("env", "web1", "/etc/mail.env"))
        with registry.reading() as reader:
            assert [each.app for each in reader.applications(["open", "unknown"])] == ["env"]
            assert reader.applications([]) == []

    def test_forgotten_one_is_gone(self, registry: Registry) -> None:
        write(registry)
        with registry.writing() as writer:
            writer.forget_application(*PLACE)
            writer.forget_application("never", "written", "/here")
        assert applications(registry) == []

    def test_rename_is_followed(self, registry: Registry) -> None:
        write(registry)
        declare(registry, {"name": "alerts"}, new_name="alarms")
        assert [each.connector for each in applications(registry)] == ["alarms"]
        assert is_current(registry)

    def test_record_outlives_the_connector_and_is_taken_up_by_the_next_of_its_name(self, registry: Registry) -> None:
        write(registry)
        change(registry, Request(absent=("alerts",)))
        assert [each.connector for each in applications(registry)] == ["alerts"]
        declare(registry, entry("alerts", "swordfish"))
        assert is_current(registry)

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, True),
            ({"description": "new"}, True),
            ({"from_name": "not read"}, True),
            ({"from_address": "new@example.com"}, False),
            ({"smtp": {"host": "new.example.com", "password": "swordfish"}}, False),
            ({"smtp": {"password": "new"}}, False),
            ({"enabled": False}, False),
        ],
    )
    def test_current_is_what_would_be_written_again(
        self, registry: Registry, fields: dict[str, Any], expected: bool
    ) -> None:
        write(registry)
        declare(registry, {"name": "alerts", **fields}, stamp=LATER)
        assert is_current(registry) is expected

    @pytest.mark.parametrize("key", [None, FOREIGN_KEY])
    def test_without_the_key_only_a_change_of_settings_shows(
        self, registry: Registry, backend: Backend, key: str | None
    ) -> None:
        write(registry)
        write(registry, "open", ("env", "web1", "/etc/mail.env"))
        keyless = backend.open(key)
        assert is_current(keyless) is None
        assert is_current(keyless, ("env", "web1", "/etc/mail.env"))
        declare(backend.open(), {"name": "alerts", "from_address": "new@example.com"})
        assert is_current(keyless) is False

    def test_secrets_that_were_given_last_are_known_again_and_do_not_show(
        self, registry: Registry, backend: Backend
    ) -> None:
        write(registry)
        write(registry, place=("msmtp", "web2", "/etc/msmtprc"))
        with registry.reading() as reader:
            one, other = reader.applications()
            assert reader.has_secrets(one, {"smtp.password": Secret("swordfish")})
            assert not reader.has_secrets(one, {"smtp.password": Secret("Swordfish")})
            assert not reader.has_secrets(one, {"imap.password": Secret("swordfish")})
            assert not reader.has_secrets(one, {})
        assert one.fingerprint != other.fingerprint
        assert "swordfish" not in repr(backend.content())

    def test_application_whose_secrets_are_not_known_is_not_current(self, registry: Registry) -> None:
        application = write(registry)
        with registry.writing() as writer:
            writer.record_application(application, None)
        assert is_current(registry) is False
        with registry.reading() as reader:
            (found,) = reader.applications()
            assert not reader.has_secrets(found, {"smtp.password": Secret("swordfish")})
            assert not reader.has_secrets(found, {})

    def test_fingerprint_moved_to_another_application_counts_for_nothing(
        self, registry: Registry, backend: Backend
    ) -> None:
        write(registry)
        backend.edit("UPDATE application SET place = '/etc/other'")
        assert is_current(registry, (*PLACE[:2], "/etc/other")) is False

    @pytest.mark.parametrize("edit", ["destination = 'elsewhere'", "settings = 'x'", "reads = '[\"smtp.password\"]'"])
    def test_record_that_was_edited_tells_of_no_secret(self, registry: Registry, backend: Backend, edit: str) -> None:
        write(registry, destination="d" * 64)
        backend.edit(f"UPDATE application SET {edit}")
        (edited,) = applications(registry)
        with registry.reading() as reader:
            assert not reader.has_secrets(edited, {"smtp.password": Secret("swordfish")})

    def test_application_whose_key_is_gone_is_not_current(self, registry: Registry, backend: Backend) -> None:
        write(registry)
        backend.edit("UPDATE application SET key_id = 'gone'")
        assert is_current(registry) is False

    def test_rotation_keeps_the_current_current_and_the_stale_stale(self, registry: Registry, backend: Backend) -> None:
        write(registry)
        declare(registry, {"name": "alerts", "smtp": {"password": "new"}})
        current = ("msmtp", "web2", "/etc/msmtprc")
        write(registry, place=current)
        with backend.open(f"{NEW_KEY},{KEY}").writing() as writer:
            writer.reseal()
        rotated = backend.open(NEW_KEY)
        assert (is_current(rotated), is_current(rotated, current)) == (False, True)

    @pytest.mark.parametrize("key", [KEY, NEW_KEY])
    def test_copy_keeps_what_is_current(self, registry: Registry, backend: Backend, key: str) -> None:
        places = [("msmtp", "web1", path) for path in ("/stale", "/current", "/open")]
        write(registry, place=places[0])
        declare(registry, {"name": "alerts", "smtp": {"password": "new"}})
        write(registry, place=places[1])
        write(registry, "open", places[2])
        with registry.reading() as reader:
            content = reader.content()
            records = reader.records(content)
        copy = backend.another().open(key)
        with copy.writing() as writer:
            writer.fill(content, records)
        assert [is_current(copy, place) for place in places] == [False, True, True]

    @pytest.mark.parametrize("column", ["host", "place", "connector", "reads"])
    def test_damaged_record_is_left_out(self, registry: Registry, backend: Backend, column: str) -> None:
        write(registry)
        values = {"connector": "Ä", "reads": "[5]"}
        if not (backend.open().backend_name == "postgresql" and column == "connector"):
            backend.edit(f"UPDATE application SET {column} = ?", values.get(column, "a\nb"))
            assert applications(registry) == []


def run(number: int = 0, status: Any = "ok", verdict: str = "ok", host: str = "web1") -> Run:
    return Run(f"2030-01-01T00:{number // 60:02}:{number % 60:02}Z", host, status, verdict, 12)


def record(registry: Registry, *runs: Run, connector: str = "alerts") -> list[str]:
    with registry.writing() as writer:
        return record_tests(writer, *(RecordedTest(connector, "", 0, each) for each in runs))


def health(registry: Registry) -> dict[str, Health]:
    with registry.reading() as reader:
        return reader.health()


class TestHealth:
    def test_state_since_and_failures_follow_the_tests(self, registry: Registry) -> None:
        runs = [
            run(1),
            run(2, "fail", "auth_rejected"),
            run(3, "fail", "auth_rejected", "web2"),
            run(4, "fail", "connect_timeout"),
        ]
        assert record(registry, runs[0]) == ["alerts"]
        assert record(registry, *runs[1:3]) == ["alerts"]
        assert health(registry)["alerts"] == Health(
            *("fail", "auth_rejected", runs[1].at, runs[2].at, runs[0].at, 2, "", "web2"), tuple(runs[:3])
        )
        record(registry, runs[3])
        found = health(registry)["alerts"]
        assert (found.state, found.since, found.failures_in_a_row) == (("fail", "connect_timeout"), runs[3].at, 3)
        assert record(registry, run(5, "warn")) == ["alerts"]
        assert record(registry, run(6, "warn")) == []
        found = health(registry)["alerts"]
        assert (found.since, found.last_ok_at, found.failures_in_a_row) == (run(5).at, run(6).at, 0)

    def test_batch_is_one_transaction_and_leaves_out_what_is_not_stored(self, registry: Registry) -> None:
        with registry.writing() as writer:
            tests = [RecordedTest(name, "", 0, run()) for name in ("alerts", "gone", "open")]
            assert record_tests(writer, *tests) == ["alerts", "open"]
        assert sorted(health(registry)) == ["alerts", "open"]
        with registry.reading() as reader:
            assert list(reader.health(["open", "unknown"])) == ["open"]

    @pytest.mark.parametrize("what", ["changed", "renamed", "made anew", "takes the name"])
    def test_what_is_not_stored_as_it_was_tested_is_left_out(self, registry: Registry, what: str) -> None:
        tested = everything(registry).connectors["alerts"]
        test = RecordedTest("alerts", tested.identity, tested.revision, run(1, "fail", "auth_rejected"))
        if what == "changed":
            declare(registry, {"name": "alerts", "description": "fixed"})
        elif what == "made anew":
            change(registry, Request(absent=("alerts",)))
            declare(registry, entry("alerts", "swordfish"))
        else:
            declare(registry, {"name": "alerts"}, new_name="alarms")
            if what == "takes the name":
                declare(registry, entry("alerts", "swordfish"))
        with registry.writing() as writer:
            assert writer.record_tests([test]) == []
        assert health(registry) == {}

    def test_damaged_connector_has_health_too(self, registry: Registry, backend: Backend) -> None:
        backend.edit("UPDATE connector SET settings = ? WHERE name = 'alerts'", '{"smtp": 5}')
        assert record(registry, run(1, "fail", "config")) == ["alerts"]
        assert health(registry)["alerts"].verdict == "config"

    def test_only_the_last_tests_are_kept(self, registry: Registry) -> None:
        runs = [run(number) for number in range(MOST_RUNS + 5)]
        record(registry, *runs[:-2])
        record(registry, *runs[-2:])
        record(registry, run(), connector="open")
        found = health(registry)
        assert found["alerts"].runs == tuple(runs[-MOST_RUNS:])
        assert found["open"].runs == (run(),)

    def test_what_expires_is_kept_over_a_failure_that_shows_no_certificate(self, registry: Registry) -> None:
        ends = "2031-01-01T00:00:00Z"
        with registry.writing() as writer:
            tests = [RecordedTest("alerts", "", 0, run(1), ends), RecordedTest("alerts", "", 0, run(2, "fail", "x"))]
            record_tests(writer, *tests)
        assert health(registry)["alerts"].expires == ends
        record(registry, run(3))
        assert health(registry)["alerts"].expires == ""

    def test_health_follows_a_rename_and_ends_with_the_connector(self, registry: Registry, backend: Backend) -> None:
        record(registry, run())
        declare(registry, {"name": "alerts"}, new_name="alarms")
        assert list(health(registry)) == ["alarms"]
        change(registry, Request(absent=("alarms",)))
        assert [backend.query(f"SELECT * FROM {table}") for table in ("health", "test_run")] == [[], []]

    def test_copy_has_the_tests(self, registry: Registry, backend: Backend) -> None:
        record(registry, run(1), run(2, "fail", "auth_rejected"))
        with registry.reading() as reader:
            content = reader.content()
            records = reader.records(content)
        copy = backend.another().open()
        with copy.writing() as writer:
            writer.fill(content, records)
        assert health(copy) == health(registry)

    def test_recording_is_no_revision(self, registry: Registry) -> None:
        before = everything(registry)
        record(registry, run())
        write(registry)
        assert everything(registry) == before
