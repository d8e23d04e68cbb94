# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No playbook and no role ends well with a misspelt variable, on no host, or with nothing to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from integration.playing import TARGET_PYTHON, Stage

from ansible_collections.mailroom.core.plugins.plugin_utils._variables import VARIABLES

pytestmark = pytest.mark.exhaustive

ROLES = sorted(path.name for path in (Path(__file__).resolve().parents[2] / "roles").iterdir())
PLAYBOOKS = ("apply", "verify", "drift", "rotate")
PREFIX = "mailroom_"
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
SOMETHING = {"alerts": {"smtp": {"host": "127.0.0.1", "port": 1}, "from_address": "alerts@example.com"}}


def misspelt(name: str) -> str:
    """A name in which two letters have changed places."""
    word = name.removeprefix(PREFIX)
    place = next(place for place in range(1, len(word) - 1) if word[place] != word[place + 1])
    return f"{PREFIX}{word[:place]}{word[place + 1]}{word[place]}{word[place + 2 :]}"


class Inventory:
    """Two environments, whose hosts each keep a registry of their own."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.registries = stage.folder / "registries"
        self.shared: dict[str, Any] = {
            **LOCAL,
            "mailroom_registry": f"{self.registries}/{{{{ inventory_hostname }}}}.db",
            "mailroom_connectors": SOMETHING,
        }
        self.hosts({"test1": {}, "prod1": {}})

    def hosts(self, hosts: dict[str, dict[str, Any]]) -> None:
        """Hosts with variables of their own, half of them in each environment."""
        names = list(hosts)
        halves = {"test": names[::2], "production": names[1::2]}
        groups = {group: {"hosts": {name: hosts[name] for name in half}} for group, half in halves.items()}
        self.stage.write("inventory.json", {"all": {"vars": self.shared, "children": groups}})

    def play(self, playbook: str, *arguments: object, **variables: Any) -> tuple[int, str]:
        given = self.stage.write("extra.json", variables)
        done = self.stage.run("playbook", playbook, "--forks", "20", "--extra-vars", f"@{given}", *arguments)
        return done.returncode, done.stdout


@pytest.fixture
def inventory(stage: Stage) -> Inventory:
    return Inventory(stage)


def outcomes(said: str, count: str) -> dict[str, int]:
    """What the recap counts, by host."""
    return {host: int(number) for host, number in re.findall(rf"^(\S+) +: .*\b{count}=(\d+)", said, re.MULTILINE)}


def errors(said: str) -> dict[str, str]:
    """What each host that failed said last."""
    return dict(re.findall(r"^fatal: \[([\w-]+)[^\n]*?\].*?\"msg\": \"(.*?)\"}$", said, re.MULTILINE))


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_misspelt_variable_fails_in_every_playbook(inventory: Inventory, playbook: str) -> None:
    inventory.hosts({misspelt(name): {misspelt(name): ""} for name in VARIABLES})
    code, said = inventory.play(f"mailroom.core.{playbook}")
    assert code == 2, said
    told = errors(said)
    for name in VARIABLES:
        wrong = misspelt(name)
        assert told[wrong].startswith(f"{wrong}: there is no such variable; did you mean {name}?"), name
    assert set(outcomes(said, "failed").values()) == {1}
    assert not inventory.registries.exists()


def test_misspelt_extra_variable_fails(inventory: Inventory) -> None:
    code, said = inventory.play("mailroom.core.verify", mailroom_conectors={}, mailroom_x_mine=1)
    assert code == 2, said
    assert "mailroom_conectors: there is no such variable; did you mean mailroom_connectors?" in said
    assert "mailroom_x_mine" not in said
    assert not inventory.registries.exists()


def test_misspelt_variable_fails_in_every_role_however_it_is_used(inventory: Inventory) -> None:
    """A play for each way: on a host of its own, and on one more, since Ansible ends when all hosts of a play fail."""
    entries = [(role, "main") for role in ROLES]
    entries += [("registry", "prepare"), ("connectors", "rotate"), ("environment", "drift")]
    plays: dict[str, dict[str, Any]] = {}
    for role, entry in entries:
        wrong = {"vars": {"mailroom_registri": "/nowhere"}, "when": "inventory_hostname != 'bystander'"}
        used = {"name": f"mailroom.core.{role}", "tasks_from": entry}
        for way in ("import_role", "include_role"):
            plays[f"{role}-{entry}-{way}"] = {"tasks": [{f"ansible.builtin.{way}": used, **wrong}]}
        if entry == "main":
            plays[f"{role}-roles"] = {"roles": [{"role": f"mailroom.core.{role}", **wrong}]}
    inventory.hosts({host: {} for host in ("bystander", *plays)})
    book = [{"hosts": f"bystander,{host}", "gather_facts": False, **play} for host, play in plays.items()]
    code, said = inventory.play(str(inventory.stage.write("all.json", book)))
    assert code == 2, said
    told = errors(said)
    assert set(told) == set(plays)
    assert {text.partition("?")[0] for text in told.values()} == {
        "mailroom_registri: there is no such variable; did you mean mailroom_registry"
    }
    assert not inventory.registries.exists()


def test_registered_variable_needs_a_prefix_of_its_own(inventory: Inventory) -> None:
    names = {"mine": "mailroom_x_result", "theirs": "mailroom_result"}
    inventory.hosts({host: {} for host in names})
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.debug": {}, "register": name, "when": f"inventory_hostname == '{host}'"}
        for host, name in names.items()
    ]
    # A variable is registered on the hosts too that skip the task.
    tasks[1:1] = [{"ansible.builtin.import_role": {"name": "mailroom.core.connectors"}}]
    tasks += [{"ansible.builtin.import_role": {"name": "mailroom.core.connectors"}}]
    played = inventory.stage.play([{"hosts": "all", "tasks": tasks}])
    assert outcomes(played.stdout, "failed") == {"mine": 1, "theirs": 1}, played.stdout
    assert errors(played.stdout)["theirs"] == (
        "mailroom_result: there is no such variable."
        r"\nNames of your own variables must not begin with mailroom_, except with mailroom_x_."
    )
    assert "mailroom_x_result" not in played.stdout


WRONG_VALUES: dict[str, Any] = {
    **{name: ["x"] for name in VARIABLES},
    **{name: {"a": 1} for name in ("mailroom_hosts", "mailroom_only", "mailroom_packages")},
    "mailroom_apps": {"app": "postfix"},
    "mailroom_purposes": "alerts",
    "mailroom_batch": 0,
    "mailroom_serial": "some",
}


def test_value_of_a_wrong_kind_is_told_in_one_sentence(inventory: Inventory) -> None:
    inventory.hosts({name: {name: value} for name, value in WRONG_VALUES.items()})
    code, said = inventory.play("mailroom.core.apply")
    assert code == 2, said
    assert errors(said) == {name: f"{name}: {kind.allowed}." for name, kind in VARIABLES.items()}
    assert "argument_spec" not in said
    assert "_Ansible" not in said


@pytest.mark.parametrize(
    ("name", "value"), [("serial", "some"), ("serial", "0%"), ("hosts", {"a": 1}), ("allow_empty", "maybe")]
)
def test_variable_of_the_play_itself_is_told_in_one_sentence(inventory: Inventory, name: str, value: Any) -> None:
    variable = f"mailroom_{name}"
    code, said = inventory.play("mailroom.core.verify", **{variable: value})
    assert code in (1, 4), said
    assert f"{variable}: {VARIABLES[variable].allowed}." in " ".join(said.split())
    assert "Traceback" not in said
    assert "TASK" not in said


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_on_no_host_no_playbook_ends_well(inventory: Inventory, playbook: str) -> None:
    code, said = inventory.play(f"mailroom.core.{playbook}", mailroom_hosts="nobody")
    assert code in (1, 4), said
    assert "No host in the inventory matches" in said


def test_limit_and_inventory_that_leave_no_host_fail_unless_that_is_meant(inventory: Inventory) -> None:
    limited: tuple[Any, ...] = ("--limit", "test1")
    empty: tuple[Any, ...] = ("--inventory", inventory.stage.write("empty.json", {"all": {}}))
    for arguments, variables in ((limited, {"mailroom_hosts": "production"}), (empty, {})):
        code, said = inventory.play("mailroom.core.verify", *arguments, **variables)
        assert code in (1, 4), said
        assert "No host in the inventory matches" in said
    assert inventory.play("mailroom.core.verify", *empty, mailroom_allow_empty=True)[0] == 0


def test_without_running_no_host_is_needed(inventory: Inventory) -> None:
    empty = inventory.stage.write("empty.json", {"all": {}})
    for option in ("--syntax-check", "--list-hosts", "--list-tasks"):
        code, said = inventory.play("mailroom.core.apply", "--inventory", empty, option)
        assert code == 0, said


@pytest.mark.parametrize("playbook", ["apply", "drift", "verify"])
def test_nothing_declared_and_nothing_stored_fails_unless_it_is_meant(inventory: Inventory, playbook: str) -> None:
    inventory.shared["mailroom_connectors"] = {}
    inventory.hosts({"test1": {}, "prod1": {"mailroom_allow_empty": True}})
    code, said = inventory.play(f"mailroom.core.{playbook}")
    assert code == 2, said
    assert outcomes(said, "failed") == {"test1": 1, "prod1": 0}
    what = "Nothing was tested on test1" if playbook == "verify" else "No connector is declared for test1"
    assert errors(said)["test1"].startswith(what)


def test_declared_connector_that_is_in_no_registry_fails_verify(inventory: Inventory) -> None:
    assert inventory.play("mailroom.core.apply", "--limit", "prod1")[0] == 0
    inventory.hosts({"test1": {}, "prod1": {"mailroom_connectors_environment": {"billing": SOMETHING["alerts"]}}})
    code, said = inventory.play("mailroom.core.verify")
    assert code == 2, said
    told = errors(said)
    assert told["prod1"] == "Declared for prod1 and not in its registry: billing. Run mailroom.core.apply first."
    assert told["test1"].startswith("Declared for test1 and not in its registry: alerts.")


def test_disabled_connectors_alone_fail_verify_unless_it_is_meant(inventory: Inventory) -> None:
    off = {"mailroom_connectors_environment": {"alerts": {"enabled": False}}}
    inventory.hosts({"test1": off, "prod1": {**off, "mailroom_allow_empty": True}})
    assert inventory.play("mailroom.core.apply")[0] == 0
    said = inventory.play("mailroom.core.verify")[1]
    assert outcomes(said, "failed") == {"test1": 1, "prod1": 0}, said
    assert "its registry holds no enabled connector" in errors(said)["test1"]
    assert inventory.play("mailroom.core.apply", mailroom_verify="login", mailroom_hosts="test1")[0] == 2


def test_init_mail_from_no_connector_fails_unless_it_is_meant(inventory: Inventory) -> None:
    reads = {"support": {"imap": {"host": "127.0.0.1", "port": 1}}}
    inventory.shared["mailroom_connectors"] = reads
    inventory.hosts({"test1": {}, "prod1": {"mailroom_allow_empty": True}})
    code, said = inventory.play("mailroom.core.apply", mailroom_init_mail=True)
    assert code == 2, said
    assert outcomes(said, "failed") == {"test1": 1, "prod1": 0}
    assert "No Init Mail was sent from test1" in errors(said)["test1"]


def test_check_mode_on_a_fresh_host_is_fine(inventory: Inventory) -> None:
    code, said = inventory.play(
        "mailroom.core.apply",
        "--check",
        "--diff",
        mailroom_verify="envelope",
        mailroom_init_mail=True,
        mailroom_connectors={"alerts": {**SOMETHING["alerts"], "enabled": False}},
    )
    assert code == 0, said
    assert "connector alerts: smtp.host: 127.0.0.1" in said
    assert not inventory.registries.exists()


def test_rotation_of_an_unknown_connector_suggests_one(inventory: Inventory) -> None:
    assert inventory.play("mailroom.core.apply")[0] == 0
    code, said = inventory.play(
        "mailroom.core.rotate", mailroom_connectors_secrets={"alrts": {"smtp": {"password": "not-to-be-shown-1"}}}
    )
    assert code == 2, said
    assert errors(said)["prod1"] == (
        "mailroom_connectors_secrets names connectors that are not in the registry of prod1: alrts"
        " (did you mean alerts?)."
        " Nothing was changed."
    )
    assert "not-to-be-shown-1" not in said


MANY = 6


def banners(said: str) -> int:
    return len(re.findall(r"^(?:TASK|RUNNING HANDLER) \[", said, re.MULTILINE))


def test_hosts_run_side_by_side(inventory: Inventory) -> None:
    """Each host has connectors of its own, and another host to delegate to."""
    rc = inventory.stage.folder / "rc"
    rc.mkdir()
    server = {**SOMETHING["alerts"]["smtp"], "username": "alerts"}
    hosts = {
        f"host{number}": {
            "mailroom_connectors_environment": {f"own_{number}_{each}": {"smtp": server} for each in range(3)},
            "mailroom_connectors_secrets": {f"own_{number}_{each}": {"smtp": {"password": "x"}} for each in range(3)},
            "mailroom_delegate_to": f"host{number}",
            "mailroom_batch": 2,
            "mailroom_apps": [{"app": "msmtp", "path": f"{rc}/{number}", "connector": f"own_{number}_0"}],
        }
        for number in range(MANY)
    }
    counts: dict[int, dict[str, int]] = {}
    for many in (1, MANY):
        inventory.hosts(dict(list(hosts.items())[:many]))
        said = {each: inventory.play(f"mailroom.core.{each}", mailroom_verify="none")[1] for each in PLAYBOOKS}
        assert {len(outcomes(text, "ok")) for text in said.values()} == {many}
        counts[many] = {playbook: banners(text) for playbook, text in said.items()}
    assert counts[MANY] == counts[1]


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_serial_counts(inventory: Inventory, playbook: str) -> None:
    """Ansible ends a play when a whole batch of hosts has failed, and so asks no other host."""
    inventory.hosts({f"host{number}": {"mailroom_conectors": {}} for number in range(4)})
    said = inventory.play(f"mailroom.core.{playbook}", mailroom_serial="50%")[1]
    assert len(outcomes(said, "failed")) == 2, said
