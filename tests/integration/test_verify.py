# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task with verify is carried out by a module that can test, whatever else is said of the task.

All plays are played by one start of ansible-playbook; each test looks at what came of its own.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.playing import Book, Stage
from peers import net
from peers.smtp import SmtpScript

PASSWORD = "correct-horse-battery-1"
Tasks = list[dict[str, Any]]
Connector = dict[str, Any]


def one(connector: Connector, verify: Any = "connect", **of_task: Any) -> dict[str, Any]:
    return {"mailroom.core.connector": {**connector, "verify": verify}, "register": "done", **of_task}


def many(connector: Connector, **of_task: Any) -> dict[str, Any]:
    options = {"connectors": [connector], "verify": "connect"}
    return {"mailroom.core.connectors": options, "register": "done", **of_task}


def check(*that: str) -> dict[str, Any]:
    return {"ansible.builtin.assert": {"that": [*that]}}


TESTED = check("done is changed", "done.result.verdict == 'ok'", "done.connector.created_by == 'tester'")
FAILED = check("done is failed", "done is not changed", "done.result.verdict == 'connect_refused'")
UNTESTED = check("done is changed", "'result' not in done", "done.connector.created_by == 'tester'")
HELD_NOTHING = [{"mailroom.core.connector_info": {}, "register": "held"}, check("held.connectors == []")]


class Plays:
    """The plays of all tests, with a connector that passes and one to a port where nobody listens."""

    def __init__(self, book: Book, works: Connector, refused: Connector) -> None:
        self.book = book
        self.works = works
        self.refused = refused
        self.folder = book.stage.folder

    def add(self, name: str, tasks: Tasks, **of_play: Any) -> None:
        """Adds tasks that share a registry of their own."""
        shared = {"registry": str(self.folder / f"{name}.db"), "actor": "tester"}
        defaults = {"group/mailroom.core.mailroom": shared, **of_play.pop("module_defaults", {})}
        self.book.add(name, tasks, module_defaults=defaults, **of_play)

    def add_all(self) -> None:
        works, refused = self.works, self.refused
        self.add(
            "commits",
            [
                one(refused, ignore_errors=True),
                FAILED,
                many(refused, ignore_errors=True),
                check("done is failed", "done.results[0].verdict == 'connect_refused'"),
                *HELD_NOTHING,
                one(works),
                TESTED,
                many({**works, "name": "another"}),
                check("done.created == ['another']", "done.results | map(attribute='verdict') == ['ok']"),
            ],
        )
        verify = {"verify": "connect"}
        self.add(
            "defaults",
            [
                {"mailroom.core.connector": works, "register": "done"},
                TESTED,
                {"mailroom.core.connectors": {"connectors": [refused]}, "register": "done", "ignore_errors": True},
                check("done is failed", "done.results[0].verdict == 'connect_refused'"),
                one({**refused, "name": "untested"}, "none"),
                UNTESTED,
            ],
            module_defaults={"mailroom.core.connector": verify, "mailroom.core.connectors": verify},
        )
        untested = ((f"untested{number}", depth) for number, depth in enumerate([None, "{{ omit }}"]))
        self.add(
            "no_depth",
            [task for name, depth in untested for task in (one({**refused, "name": name}, depth), UNTESTED)],
        )
        self.add(
            "template",
            [one(refused, "{{ depth }}", ignore_errors=True), FAILED],
            vars={"depth": "connect"},
        )
        sentence = check("done is failed", "'verify: must be one of none, connect, login, send' in done.msg")
        self.add("unknown_depth", [one(works, "deep", ignore_errors=True), sentence])
        loop = [{"connector": works, "verify": "connect"}, {"connector": refused, "verify": "none"}]
        options = {name: f"{{{{ item.connector.{name} }}}}" for name in ("name", "smtp")}
        self.add(
            "loop",
            [
                {
                    "mailroom.core.connector": {**options, "verify": "{{ item.verify }}"},
                    "loop": loop,
                    "register": "done",
                },
                check("done.results[0].result.verdict == 'ok'", "'result' not in done.results[1]"),
            ],
        )
        self.add(
            "short_name",
            [{"connector": {**works, **verify}, "register": "done"}, TESTED],
            collections=["mailroom.core"],
        )
        self.add(
            "check_mode", [one(works), TESTED, one(refused, ignore_errors=True), FAILED, *HELD_NOTHING], check_mode=True
        )
        jobs = {"ansible_async_dir": str(self.folder / "async")}
        waits = {
            "ansible.builtin.async_status": {"jid": "{{ done.ansible_job_id }}"},
            "register": "done",
            "until": "done is finished",
            "retries": 600,
            "delay": 0.2,
        }
        passed = check("done is changed", "done.result.verdict == 'ok'")
        self.add("poll_0", [one(works, **{"async": 600}, poll=0), waits, passed], vars=jobs)
        failed = check("done is failed", "done.result.verdict == 'connect_refused'")
        self.add("poll_1", [one(refused, **{"async": 600}, poll=1, ignore_errors=True), failed], vars=jobs)
        self.book.host("other", ansible_remote_tmp=str(self.folder / "other_tmp"))
        self.add("delegated", [one(works, delegate_to="other"), TESTED])
        environment = {"MAILROOM_REGISTRY": str(self.folder / "named.db"), "MAILROOM_ACTOR": "named"}
        become = {"become": True, "become_method": "ansible.builtin.su"}
        self.book.add(
            "surroundings",
            [
                one(works, environment=environment, **become),
                check("done.connector.created_by == 'named'", "done.result.verdict == 'ok'"),
            ],
        )
        secret = {**refused, "smtp": {**refused["smtp"], "auth": "password", "username": "ann", "password": PASSWORD}}
        self.add("secret", [one(secret, "login", ignore_errors=True), FAILED])
        self.add("no_log", [one(secret, "login", ignore_errors=True, no_log=True), FAILED])
        sentence = check("'verify: must be none where the module is run without its action plugin' in done.msg")
        self.add("bare", [{"bare": {**works, **verify}, "register": "done", "ignore_errors": True}, sentence])


BARE = """\
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return self._execute_module('mailroom.core.connector', self._task.args, task_vars=task_vars)
"""
PLAYS = {
    "commits": "passing is committed and failing is not",
    "defaults": "defaults reach the module that tests",
    "no_depth": "without a depth nothing is tested",
    "template": "a template says how deep",
    "unknown_depth": "a depth that does not exist is refused",
    "loop": "a loop may test some",
    "short_name": "the short name of the module tests",
    "check_mode": "check mode tests and writes nothing",
    "poll_0": "a task that is not waited for tests",
    "poll_1": "a task that is waited for tests",
    "delegated": "another host may carry it out",
    "surroundings": "environment and privileges reach the module that tests",
    "secret": "a task with a secret tests",
    "no_log": "a task without a log tests",
    "bare": "a module without its action plugin refuses to test",
}


@pytest.fixture(scope="module")
def played() -> Iterator[dict[str, str]]:
    """What each play said."""
    at = {"host": "127.0.0.1", "security": "none"}
    with (
        tempfile.TemporaryDirectory(prefix="mailroom-", dir="/tmp") as folder,
        SmtpScript().server() as server,
        net.Refused() as closed,
    ):
        works = {"name": "works", "smtp": {**at, "port": server.port}}
        refused = {"name": "refused", "smtp": {**at, "port": closed.port}}
        plays = Plays(Book(Stage(Path(folder))), works, refused)
        plays.add_all()
        plugins = Path(folder, "plugins")
        plugins.mkdir()
        (plugins / "bare.py").write_text(BARE, encoding="utf-8")
        yield plays.book.play("-vvv", "--diff", ANSIBLE_ACTION_PLUGINS=str(plugins))


@pytest.mark.parametrize("name", [pytest.param(name, id=what.replace(" ", "_")) for name, what in PLAYS.items()])
def test_task_with_verify(played: dict[str, str], name: str) -> None:
    assert not played[name].startswith("FAILED"), played[name]


def test_each_play_is_looked_at(played: dict[str, str]) -> None:
    assert set(played) == set(PLAYS)


def test_diff_is_shown_in_check_mode(played: dict[str, str]) -> None:
    assert '+    "smtp": {' in played["check_mode"]


def test_delegated_task_runs_where_it_is_delegated_to(played: dict[str, str]) -> None:
    assert "<other>" in played["delegated"]


def test_secret_is_not_shown(played: dict[str, str]) -> None:
    assert "_connector_verify.py" in played["secret"]
    assert "the output has been hidden" in played["no_log"]
    assert not [name for name, said in played.items() if PASSWORD in said]


def test_ad_hoc_command_tests(stage: Stage) -> None:
    with net.Refused() as closed:
        smtp = {"host": "127.0.0.1", "port": closed.port, "security": "none"}
        options = {"registry": str(stage.folder / "registry.db"), "name": "refused", "smtp": smtp, "verify": "connect"}
        ran = stage.run("adhoc", "testhost", "-m", "mailroom.core.connector", "-a", json.dumps(options))
    assert ran.returncode == 2, ran.stdout
    assert '"verdict": "connect_refused"' in ran.stdout
