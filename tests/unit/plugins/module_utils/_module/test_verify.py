# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is committed is what was tested, whatever others do meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.mailroom.core.plugins.module_utils._check.interface import Bounds
from ansible_collections.mailroom.core.plugins.module_utils._check.job import Job
from ansible_collections.mailroom.core.plugins.module_utils._check.result import Result
from ansible_collections.mailroom.core.plugins.module_utils._connector.plan import Plan
from ansible_collections.mailroom.core.plugins.module_utils._connector.planning import make_plan
from ansible_collections.mailroom.core.plugins.module_utils._module import change, verify
from ansible_collections.mailroom.core.plugins.module_utils._verdict.observation import Observation

from .conftest import Play

ALERTS = {"name": "alerts", "smtp": {"host": "smtp.example.com"}}


class StandIn:
    """Stands in for the tests: notes what is tested, and lets others change the registry meanwhile."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.on_session_open: list[Callable[[], Any]] = []
        self.refused: set[str] = set()

    def run(self, jobs: Sequence[Job], bounds: Bounds, _concurrency: int) -> list[Result]:
        self.asked.append({job.name: job.connector.smtp.host for job in jobs})
        for act in self.on_session_open[:1]:
            self.on_session_open = self.on_session_open[1:]
            act()
        refused = Observation("config", text="not this one")
        return [Result(job.name, bounds.depth, observation=refused if self._fails(job) else None) for job in jobs]

    def _fails(self, job: Job) -> bool:
        return job.connector.smtp.host in self.refused


@pytest.fixture
def tests(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()
    monkeypatch.setattr(verify, "run_tests", made.run)
    monkeypatch.setattr(verify, "start_watchdog", lambda: None)
    return made


def hosts(play: Play) -> dict[str, str]:
    return {each["name"]: each["smtp"]["host"] for each in play("connector_info")["connectors"]}


def test_what_did_not_change_meanwhile_is_tested_once(play: Play, tests: StandIn) -> None:
    tests.on_session_open = [lambda: play("connector", name="other", smtp={"host": "other.example.com"})]
    made = play("connector", **ALERTS, verify="connect")
    assert made["result"]["status"] == "ok"
    assert tests.asked == [{"alerts": "smtp.example.com"}]
    assert hosts(play).keys() == {"alerts", "other"}


def test_what_changed_meanwhile_is_planned_and_tested_again(play: Play, tests: StandIn) -> None:
    play("connector", **ALERTS)
    tests.on_session_open = [lambda: play("connector", name="alerts", smtp={"host": "new.example.com"})]
    port = play("connector", name="alerts", smtp={"port": 2525}, verify="connect")
    assert port["result"]["status"] == "ok"
    assert tests.asked == [{"alerts": "smtp.example.com"}, {"alerts": "new.example.com"}]
    assert hosts(play) == {"alerts": "new.example.com"}
    assert port["connector"]["smtp"]["port"] == 2525


def test_what_was_created_meanwhile_is_changed(play: Play, tests: StandIn) -> None:
    tests.on_session_open = [lambda: play("connector", **ALERTS, description="by another task")]
    created = play("connector", **ALERTS, verify="connect")["connector"]
    assert (created["revision"], created["description"]) == (1, "by another task")


def test_new_connector_is_planned_once(play: Play, tests: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[Plan] = []

    def make(*given: Any) -> Plan:
        planned.append(make_plan(*given))
        return planned[-1]

    monkeypatch.setattr(change, "make_plan", make)
    assert play("connector", **ALERTS, verify="connect")["changed"]
    assert (len(planned), len(tests.asked)) == (1, 1)


def test_what_does_not_connect_otherwise_is_not_tested_again(play: Play, tests: StandIn) -> None:
    play("connector", **ALERTS)
    tests.on_session_open = [lambda: play("connector", name="alerts", description="new words")]
    assert play("connector", name="alerts", smtp={"port": 2525}, verify="connect")["changed"]
    assert len(tests.asked) == 1


def test_verification_gives_up_where_others_keep_changing_the_registry(play: Play, tests: StandIn) -> None:
    play("connector", **ALERTS)
    numbers = iter(range(100))
    tests.on_session_open = [
        lambda: play("connector", name="alerts", smtp={"host": f"h{next(numbers)}.example.com"})
    ] * 20
    failed = play("connector", name="alerts", smtp={"port": 2525}, verify="connect")
    assert failed["msg"] == "These connectors were changed by others while they were tested: run the task again."
    assert len(tests.asked) == 5


def test_what_fails_the_second_test_is_not_committed(play: Play, tests: StandIn) -> None:
    play("connector", **ALERTS)
    tests.refused = {"new.example.com"}
    tests.on_session_open = [lambda: play("connector", name="alerts", smtp={"host": "new.example.com"})]
    failed = play("connector", name="alerts", smtp={"port": 2525}, verify="connect")
    assert failed["failed"]
    assert "alerts: config_invalid" in failed["msg"]
    (now,) = play("connector_info")["connectors"]
    assert (now["smtp"]["host"], now["smtp"]["port"]) == ("new.example.com", 587)


def test_what_others_have_done_already_changes_nothing(play: Play, tests: StandIn) -> None:
    tests.on_session_open = [lambda: play("connector", **ALERTS)]
    made = play("connector", **ALERTS, verify="connect")
    assert (made["changed"], made["result"]) == (False, None)
    assert len(tests.asked) == 1


def test_a_registry_is_not_made_for_what_fails(play: Play, tests: StandIn, registry_path: Path) -> None:
    tests.refused = {"smtp.example.com"}
    assert play("connectors", connectors=[ALERTS], verify="connect")["failed"]
    assert not registry_path.exists()


def test_only_those_that_changed_meanwhile_are_tested_again(play: Play, tests: StandIn) -> None:
    both = [ALERTS, {"name": "other", "smtp": {"host": "other.example.com"}}]
    play("connectors", connectors=both)
    tests.on_session_open = [lambda: play("connector", name="other", smtp={"host": "third.example.com"})]
    ports = [{"name": each["name"], "smtp": {"port": 2525}} for each in both]
    done = play("connectors", connectors=ports, merge=True, verify="connect")
    assert tests.asked == [
        {"alerts": "smtp.example.com", "other": "other.example.com"},
        {"other": "third.example.com"},
    ]
    assert [each["connector"] for each in done["results"]] == ["alerts", "other"]


def health(play: Play) -> dict[str, Any]:
    return {each["name"]: each["health"] for each in play("connector_info")["connectors"]}


def test_test_of_a_change_is_recorded_once_where_that_is_asked_for(play: Play, tests: StandIn) -> None:
    recorded = {"verify": "connect", "record": True, "host": "mail01"}
    play("connectors", connectors=[ALERTS], verify="connect", record=True, check=True)
    play("connectors", connectors=[ALERTS], verify="connect")
    assert health(play) == {"alerts": None}
    tests.on_session_open = [lambda: play("connector", name="alerts", description="by another task")]
    moved = [{"name": "alerts", "smtp": {"port": 2525}}, {"name": "new", "smtp": {"host": "new.example.com"}}]
    assert play("connectors", connectors=moved, merge=True, **recorded)["changed"]
    found = health(play)
    assert {name: [(run["host"], run["status"]) for run in each["runs"]] for name, each in found.items()} == {
        "alerts": [("mail01", "ok")],
        "new": [("mail01", "ok")],
    }
    # What does not change is not tested, and what fails its test is not stored.
    assert not play("connectors", connectors=moved, merge=True, **recorded)["changed"]
    tests.refused = {"elsewhere.example.com"}
    assert play("connector", name="new", smtp={"host": "elsewhere.example.com"}, **recorded)["failed"]
    assert health(play) == found


def test_host_for_the_record_that_cannot_be_a_name_is_refused(play: Play, tests: StandIn) -> None:
    answer = play("connector", **ALERTS, verify="connect", record=True, host="a\nb")
    assert answer["msg"].startswith("host: ")
    assert tests.asked == []
