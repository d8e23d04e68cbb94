# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task with verify is carried out by a module that can test, whatever else is said of the task."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from integration.playing import TARGET_PYTHON, Stage
from peers import net
from peers.smtp import SmtpScript

PASSWORD = "correct-horse-battery-1"
PLAIN = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}


@pytest.fixture
def works() -> Iterator[dict[str, Any]]:
    """A connector that passes the test."""
    with SmtpScript().server() as server:
        yield {"name": "works", "smtp": {"host": "127.0.0.1", "port": server.port, "security": "none"}}


@pytest.fixture
def refused() -> Iterator[dict[str, Any]]:
    """A connector to a port on which nothing listens."""
    with net.Refused() as closed:
        yield {"name": "refused", "smtp": {"host": "127.0.0.1", "port": closed.port, "security": "none"}}


def play(stage: Stage, tasks: list[dict[str, Any]], *arguments: object, **of_play: Any) -> str:
    """Plays tasks that share a registry, and says what Ansible showed."""
    defaults = {"group/mailroom.core.mailroom": {"registry": str(stage.folder / "registry.db"), "actor": "tester"}}
    shared = {"module_defaults": {**defaults, **of_play.pop("module_defaults", {})}}
    played = stage.play([{**shared, **of_play, "tasks": tasks}], *arguments)
    assert played.returncode == 0, played.stdout
    return played.stdout


def one(connector: dict[str, Any], verify: Any = "connect", **of_task: Any) -> dict[str, Any]:
    return {"mailroom.core.connector": {**connector, "verify": verify}, "register": "done", **of_task}


def many(connector: dict[str, Any], **of_task: Any) -> dict[str, Any]:
    options = {"connectors": [connector], "verify": "connect"}
    return {"mailroom.core.connectors": options, "register": "done", **of_task}


def check(*that: str) -> dict[str, Any]:
    return {"ansible.builtin.assert": {"that": [*that]}}


TESTED = check("done is changed", "done.result.verdict == 'ok'", "done.connector.created_by == 'tester'")
FAILED = check("done is failed", "done is not changed", "done.result.verdict == 'connect_refused'")
UNTESTED = check("done is changed", "'result' not in done", "done.connector.created_by == 'tester'")
HELD_NOTHING = [
    {"mailroom.core.connector_info": {}, "register": "held"},
    check("held.connectors == []"),
]


def test_passing_is_committed_and_failing_is_not(stage: Stage, works: Any, refused: Any) -> None:
    tasks = [
        one(refused, ignore_errors=True),
        FAILED,
        many(refused, ignore_errors=True),
        check("done is failed", "done.results[0].verdict == 'connect_refused'"),
        *HELD_NOTHING,
        one(works),
        TESTED,
        many({**works, "name": "another"}),
        check("done.created == ['another']", "done.results | map(attribute='verdict') == ['ok']"),
    ]
    play(stage, tasks)


def test_defaults_reach_the_module_that_tests(stage: Stage, works: Any, refused: Any) -> None:
    defaults = {"mailroom.core.connector": {"verify": "connect"}, "mailroom.core.connectors": {"verify": "connect"}}
    tasks = [
        {"mailroom.core.connector": works, "register": "done"},
        TESTED,
        {"mailroom.core.connectors": {"connectors": [refused]}, "register": "done", "ignore_errors": True},
        check("done is failed", "done.results[0].verdict == 'connect_refused'"),
        one({**refused, "name": "untested"}, "none"),
        UNTESTED,
    ]
    play(stage, tasks, module_defaults=defaults)


def test_without_a_depth_nothing_is_tested(stage: Stage, refused: Any) -> None:
    tasks = []
    for number, verify in enumerate(["none", None, "{{ omit }}", "{{ nothing }}"]):
        tasks += [one({**refused, "name": f"untested{number}"}, verify), UNTESTED]
    play(stage, tasks, vars={"nothing": "none"})


def test_a_template_says_how_deep(stage: Stage, works: Any, refused: Any) -> None:
    tasks = [one(works, "{{ depth }}"), TESTED, one(refused, "{{ depth }}", ignore_errors=True), FAILED]
    play(stage, tasks, vars={"depth": "connect"})


def test_a_depth_that_does_not_exist_is_refused(stage: Stage, works: Any) -> None:
    sentence = check("done is failed", "'verify: must be one of none, connect, login, send' in done.msg")
    play(stage, [one(works, "deep", ignore_errors=True), sentence, one(works, "", ignore_errors=True), sentence])


def test_a_loop_may_test_some(stage: Stage, works: Any, refused: Any) -> None:
    loop = [{"connector": works, "verify": "connect"}, {"connector": refused, "verify": "none"}]
    options = {"name": "{{ item.connector.name }}", "smtp": "{{ item.connector.smtp }}", "verify": "{{ item.verify }}"}
    tasks = [
        {"mailroom.core.connector": options, "loop": loop, "register": "done"},
        check("done.results[0].result.verdict == 'ok'", "'result' not in done.results[1]"),
    ]
    play(stage, tasks)


def test_a_short_name_and_a_role_included(stage: Stage, works: Any, refused: Any) -> None:
    short = {"connector": {**works, "verify": "connect"}, "register": "done"}
    role = {
        "ansible.builtin.include_role": {"name": "mailroom.core.connectors"},
        "vars": {
            "mailroom_registry": str(stage.folder / "registry.db"),
            "mailroom_connectors": {"refused": {"smtp": refused["smtp"]}},
            "mailroom_verify": "connect",
        },
    }
    rescued = {"block": [role], "rescue": [check("'connect_refused' in ansible_failed_result | string")]}
    play(stage, [short, TESTED, rescued], collections=["mailroom.core"])


def test_check_mode_tests_and_writes_nothing(stage: Stage, works: Any, refused: Any) -> None:
    tasks = [one(works), TESTED, one(refused, ignore_errors=True), FAILED]
    shown = play(stage, tasks, "--check", "--diff")
    assert '+    "smtp": {' in shown
    play(stage, HELD_NOTHING)


@pytest.mark.parametrize("poll", [0, 1])
def test_a_task_may_be_asynchronous(stage: Stage, works: Any, refused: Any, poll: int) -> None:
    waits = {
        "ansible.builtin.async_status": {"jid": "{{ done.ansible_job_id }}"},
        "register": "done",
        "until": "done is finished",
        "retries": 600,
        "delay": 0.2,
        "ignore_errors": True,
    }
    waiting = [] if poll else [waits]
    tasks = [
        one(works, **{"async": 600, "poll": poll}),
        *waiting,
        check("done is changed", "done.result.verdict == 'ok'"),
        one(refused, **{"async": 600, "poll": poll}, ignore_errors=True),
        *waiting,
        check("done is failed", "done.result.verdict == 'connect_refused'"),
        one({**refused, "name": "untested"}, "none", **{"async": 600, "poll": poll}),
        *waiting,
        check("done is changed", "'result' not in done"),
    ]
    # Where it would otherwise be, in the home folder, has two meanings where HOME is not that of the user.
    play(stage, tasks, vars={"ansible_async_dir": str(stage.folder / "async")})


def test_another_host_may_carry_it_out(stage: Stage, works: Any) -> None:
    variables = {**PLAIN, "ansible_remote_tmp": str(stage.folder / "other_tmp")}
    stage.write("inventory.json", {"all": {"hosts": {"testhost": PLAIN, "other": variables}}})
    shown = play(stage, [one(works, delegate_to="other"), TESTED], "-vvv")
    assert "<other>" in shown


def test_environment_and_privileges_reach_the_module_that_tests(stage: Stage, works: Any) -> None:
    become = {"become": True, "become_method": "ansible.builtin.su"}
    tasks = [
        one(
            works,
            environment={"MAILROOM_REGISTRY": str(stage.folder / "named.db"), "MAILROOM_ACTOR": "named"},
            **become,
        ),
        check("done.connector.created_by == 'named'", "done.result.verdict == 'ok'"),
    ]
    played = stage.play([{"tasks": tasks}])
    assert played.returncode == 0, played.stdout
    assert (stage.folder / "named.db").exists()


def test_no_secret_is_shown(stage: Stage, refused: Any) -> None:
    signing_in = {"auth": "password", "username": "ann", "password": PASSWORD}
    connector = {**refused, "smtp": {**refused["smtp"], **signing_in}}
    shown = play(stage, [one(connector, "login", ignore_errors=True), FAILED], "-vvv", "--diff")
    assert "_connector_verify.py" in shown
    assert PASSWORD not in shown
    hidden = play(stage, [one(connector, "login", ignore_errors=True, no_log=True), FAILED], "-vvv")
    assert "the output has been hidden" in hidden
    assert PASSWORD not in hidden


def test_an_ad_hoc_command_tests(stage: Stage, works: Any, refused: Any) -> None:
    registry = {"registry": str(stage.folder / "registry.db"), "verify": "connect"}
    for connector, code, verdict in ((works, 0, "ok"), (refused, 2, "connect_refused")):
        options = json.dumps({**registry, **connector})
        ran = stage.run("adhoc", "testhost", "-m", "mailroom.core.connector", "-a", options)
        assert ran.returncode == code, ran.stdout
        assert f'"verdict": "{verdict}"' in ran.stdout


def test_a_module_without_its_action_plugin_refuses_to_test(stage: Stage, works: Any) -> None:
    """Such as one that another action plugin runs."""
    folder = stage.folder / "plugins"
    folder.mkdir()
    (folder / "bare.py").write_text(
        "from ansible.plugins.action import ActionBase\n\n\n"
        "class ActionModule(ActionBase):\n"
        "    def run(self, tmp=None, task_vars=None):\n"
        "        return self._execute_module('mailroom.core.connector', self._task.args, task_vars=task_vars)\n"
    )
    sentence = "verify: must be none where the module is run without its action plugin"
    options = {**works, "registry": str(stage.folder / "registry.db"), "verify": "connect"}
    tasks = [{"bare": options, "register": "done", "ignore_errors": True}, check(f"'{sentence}' in done.msg")]
    played = stage.play([{"tasks": tasks}], ANSIBLE_ACTION_PLUGINS=str(folder))
    assert played.returncode == 0, played.stdout
