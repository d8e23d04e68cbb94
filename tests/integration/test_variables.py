# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No playbook and no role ends well with a misspelt variable, on no host, or with nothing to do."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.playing import TARGET_PYTHON, Stage
from peers.smtp import SmtpScript
from servers.playing import run

from ansible_collections.mailroom.core.plugins.plugin_utils._variables import NAMES, VARIABLES

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
PLAYBOOKS = ("apply", "verify", "drift", "rotate")
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
SOMETHING = {"alerts": {"smtp": {"host": "127.0.0.1", "port": 1}, "from_address": "alerts@example.com"}}


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


# Hosts on which nothing is well, by the playbook that says so and what it says; each has variables of its own.
WRONG_VALUES: dict[str, Any] = {
    **{name: ["x"] for name in VARIABLES if name != "mailroom_hosts"},  # which is read by the play itself
    **{name: {"a": 1} for name, kind in VARIABLES.items() if kind is NAMES},
    "mailroom_apps": {"app": "postfix"},
    "mailroom_apis": {"app": "zabbix"},
    "mailroom_purposes": "alerts",
    "mailroom_batch": 0,
    "mailroom_serial": "some",
}
MISSPELT = {"mailroom_conectors": {}}
UNKNOWN = "mailroom_conectors: there is no such variable; did you mean mailroom_connectors?"
OFF = {"mailroom_connectors": {"alerts": {**SOMETHING["alerts"], "enabled": False}}}
NOTHING: dict[str, Any] = {"mailroom_connectors": {}}
ONLY_READS = {
    "mailroom_connectors": {"support": {"imap": {"host": "127.0.0.1", "port": 1}}},
    "mailroom_init_mail": True,
}
MEANT = {"mailroom_allow_empty": True}
SECRET = "not-to-be-shown-1"
STRAY = {"alrts": {"smtp": {"password": SECRET}}}
REFUSED: dict[str, dict[str, tuple[dict[str, Any], str]]] = {
    "apply": {
        "every_variable": (WRONG_VALUES, f"mailroom_apis: {VARIABLES['mailroom_apis'].allowed}."),
        "misspelt": (MISSPELT, UNKNOWN),
        "entry": (
            {"mailroom_connectors_environment": {"alerts": ["smtp"]}},
            "mailroom_connectors_environment: alerts: must be a dictionary, or null to remove the connector",
        ),
        "stray": (
            {"mailroom_connectors_secrets": STRAY},
            "connector alrts: only secrets are given for it; did you mean alerts?",
        ),
        "nothing_declared": (NOTHING, "No connector is declared for nothing_declared"),
        "nothing_sends": (ONLY_READS, "No Init Mail was sent from nothing_sends"),
        "all_disabled": ({**OFF, "mailroom_verify": "login"}, "its registry holds no enabled connector"),
    },
    "verify": {
        "misspelt_verify": (MISSPELT, UNKNOWN),
        "nothing_stored": (NOTHING, "Nothing was tested on nothing_stored"),
        "disabled": (OFF, "its registry holds no enabled connector"),
        "never_applied": ({}, "never_applied and not in its registry: alerts."),
        "half_applied": (
            {"declared_later": {"billing": SOMETHING["alerts"]}},
            "Declared for half_applied and not in its registry: billing. Run mailroom.core.apply first.",
        ),
        "only": ({"mailroom_only": "nobody"}, "not in the registry of only: nobody."),
    },
    "drift": {
        "misspelt_drift": (MISSPELT, UNKNOWN),
        "nothing_to_compare": (NOTHING, "No connector is declared for nothing_to_compare"),
    },
    "rotate": {
        "misspelt_rotate": (MISSPELT, UNKNOWN),
        "no_secrets": ({}, "mailroom_connectors_secrets must hold the new secrets"),
        "unknown_connector": (
            {"rotated": STRAY},
            "not in the registry of unknown_connector: alrts (did you mean alerts?). Nothing was changed.",
        ),
    },
}
ACCEPTED: dict[str, dict[str, dict[str, Any]]] = {
    "apply": {"nothing_declared_is_meant": {**NOTHING, **MEANT}, "nothing_sends_is_meant": {**ONLY_READS, **MEANT}},
    "verify": {"nothing_stored_is_meant": {**NOTHING, **MEANT}, "disabled_is_meant": {**OFF, **MEANT}},
    "drift": {"nothing_to_compare_is_meant": {**NOTHING, **MEANT}},
}
STORED_BEFORE = ("disabled", "disabled_is_meant", "half_applied", "only", "unknown_connector")


class Refusals:
    """What came of all these hosts, in one start of ansible-playbook that plays one playbook after the other."""

    def __init__(self, inventory: Inventory) -> None:
        hosts = {name: variables for of_one in REFUSED.values() for name, (variables, _told) in of_one.items()}
        hosts |= {name: variables for of_one in ACCEPTED.values() for name, variables in of_one.items()}
        inventory.hosts(hosts)
        for name in STORED_BEFORE:
            declared = hosts[name].get("mailroom_connectors", SOMETHING)
            connectors = [{"name": connector, **fields} for connector, fields in declared.items()]
            stored = run("connectors", {"registry": f"{inventory.registries}/{name}.db", "connectors": connectors})
            assert stored["changed"]
        book = [self._import(playbook) for playbook in PLAYBOOKS]
        self.code, self.said = inventory.play(str(inventory.stage.write("all.json", book)))
        self.told = errors(self.said)
        self.failed = {name for name, count in outcomes(self.said, "failed").items() if count}
        self.registries = {path.stem for path in inventory.registries.glob("*.db")}

    @staticmethod
    def _import(playbook: str) -> dict[str, Any]:
        chosen = [*REFUSED[playbook], *ACCEPTED.get(playbook, {})]
        variables: dict[str, Any] = {"mailroom_hosts": chosen}
        if playbook == "verify":
            variables["mailroom_connectors_environment"] = "{{ declared_later | default({}) }}"
        if playbook == "rotate":
            variables["mailroom_connectors_secrets"] = "{{ rotated | default({}) }}"
        return {"ansible.builtin.import_playbook": f"mailroom.core.{playbook}", "vars": variables}


@pytest.fixture(scope="module")
def refusals() -> Refusals:
    with tempfile.TemporaryDirectory(prefix="mailroom-", dir="/tmp") as folder:
        return Refusals(Inventory(Stage(Path(folder))))


def test_wrong_variables_are_told_in_one_sentence(refusals: Refusals) -> None:
    expected = {host: told for of_one in REFUSED.values() for host, (_variables, told) in of_one.items()}
    untold = {
        host: refusals.told.get(host) for host, told in expected.items() if told not in refusals.told.get(host, "")
    }
    assert not untold


def test_each_variable_has_a_sentence(refusals: Refusals) -> None:
    told = refusals.told["every_variable"].split(r"\n")
    assert sorted(told) == sorted(f"{name}: {VARIABLES[name].allowed}." for name in WRONG_VALUES)


def test_nothing_to_do_is_accepted_where_that_is_meant(refusals: Refusals) -> None:
    assert refusals.code == 2
    assert refusals.failed == {host for of_one in REFUSED.values() for host in of_one}, refusals.said


def test_refused_hosts_have_no_registry_and_no_secret_shows(refusals: Refusals) -> None:
    refused = {*REFUSED["apply"], "misspelt_verify", "misspelt_drift", "misspelt_rotate"} - {
        "nothing_sends",
        "all_disabled",
    }
    assert not refused & refusals.registries
    for words in ("argument_spec", "_Ansible", SECRET):
        assert words not in refusals.said


def test_misspelt_extra_variable_fails(inventory: Inventory) -> None:
    code, said = inventory.play("mailroom.core.verify", mailroom_conectors={}, mailroom_x_mine=1)
    assert code == 2, said
    assert UNKNOWN in said
    assert "mailroom_x_mine" not in said
    assert not inventory.registries.exists()


def test_misspelt_variable_fails_in_every_role_however_it_is_used(inventory: Inventory) -> None:
    """A play for each role, and for each way to use the one that all depend on, which looks at the variables.

    Each is on a host of its own, and on one more, since Ansible ends when all hosts of a play fail.
    """
    # The roles for one application are made alike.
    entries = [(role, "main") for role in ROLES if role not in ("alertmanager", "grafana", "postfix_relay")]
    entries += [("registry", "prepare"), ("connectors", "rotate"), ("environment", "drift")]
    plays: dict[str, dict[str, Any]] = {}
    for role, entry in entries:
        wrong = {"vars": {"mailroom_registri": "/nowhere"}, "when": "inventory_hostname != 'bystander'"}
        used = {"name": f"mailroom.core.{role}", "tasks_from": entry}
        for way in ("import_role", "include_role") if role == "registry" else ("include_role",):
            plays[f"{role}-{entry}-{way}"] = {"tasks": [{f"ansible.builtin.{way}": used, **wrong}]}
        if role == "registry" and entry == "main":
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
    # A variable is registered on the hosts too that skip the task.
    used = {"ansible.builtin.import_role": {"name": "mailroom.core.registry"}}
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.debug": {}, "register": names["mine"]},
        used,
        {"ansible.builtin.debug": {}, "register": names["theirs"], "when": "inventory_hostname == 'nobody'"},
        {**used, "when": "inventory_hostname == 'theirs'"},
    ]
    played = inventory.stage.play([{"hosts": "all", "tasks": tasks}])
    assert outcomes(played.stdout, "failed") == {"mine": 0, "theirs": 1}, played.stdout
    assert errors(played.stdout)["theirs"] == (
        "mailroom_result: there is no such variable."
        r"\nNames of your own variables must not begin with mailroom_, except with mailroom_x_."
    )
    assert "mailroom_x_result" not in played.stdout


def test_every_playbook_chooses_its_hosts_alike() -> None:
    """So the tests below try it with one of them."""
    plays = [yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8"))[0] for name in PLAYBOOKS]
    assert len({(play["hosts"], play["serial"]) for play in plays}) == 1


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("name", "value"), [("serial", "0%"), ("hosts", {"a": 1}), ("allow_empty", "maybe")])
def test_variable_of_the_play_itself_is_told_in_one_sentence(inventory: Inventory, name: str, value: Any) -> None:
    variable = f"mailroom_{name}"
    code, said = inventory.play("mailroom.core.verify", **{variable: value})
    assert code in (1, 4), said
    assert f"{variable}: {VARIABLES[variable].allowed}." in " ".join(said.split())
    assert "Traceback" not in said
    assert "TASK" not in said


def test_without_a_host_it_fails_unless_that_is_meant(inventory: Inventory) -> None:
    limited: tuple[Any, ...] = ("--limit", "test1")
    empty: tuple[Any, ...] = ("--inventory", inventory.stage.write("empty.json", {"all": {}}))
    for arguments, variables in ((limited, {"mailroom_hosts": "production"}), (empty, {})):
        code, said = inventory.play("mailroom.core.verify", *arguments, **variables)
        assert code in (1, 4), said
        assert "No host in the inventory matches" in said
    assert inventory.play("mailroom.core.verify", *empty, mailroom_allow_empty=True)[0] == 0


@pytest.mark.sampled(2)
@pytest.mark.parametrize("option", ["--syntax-check", "--list-hosts"])
def test_without_running_no_host_is_needed(inventory: Inventory, option: str) -> None:
    empty = inventory.stage.write("empty.json", {"all": {}})
    code, said = inventory.play("mailroom.core.apply", "--inventory", empty, option)
    assert code == 0, said


@pytest.mark.parametrize("playbooks", [PLAYBOOKS[:1], pytest.param(PLAYBOOKS, marks=pytest.mark.matrix)], ids=str)
def test_hosts_run_side_by_side(inventory: Inventory, playbooks: tuple[str, ...]) -> None:
    """Each host has connectors of its own, and another host to delegate to: each task is played on all at once."""
    rc = inventory.stage.folder / "rc"
    rc.mkdir()
    book = [{"ansible.builtin.import_playbook": f"mailroom.core.{name}"} for name in playbooks]
    with SmtpScript(users={"alerts": "x"}).server() as server:
        at = {"host": "127.0.0.1", "port": server.port, "security": "none", "username": "alerts"}
        hosts = {
            f"host{number}": {
                "mailroom_connectors": {f"own_{number}_{each}": {"smtp": at} for each in range(2)},
                "mailroom_connectors_secrets": {
                    f"own_{number}_{each}": {"smtp": {"password": "x"}} for each in range(2)
                },
                "mailroom_delegate_to": f"host{number}",
                "mailroom_batch": 1,
                "mailroom_apps": [{"app": "msmtp", "path": f"{rc}/{number}", "connector": f"own_{number}_0"}],
            }
            for number in range(2)
        }
        inventory.hosts(hosts)
        code, said = inventory.play(str(inventory.stage.write("all.json", book)))
    assert code == 0, said
    sections = re.split(r"^(?:TASK|RUNNING HANDLER) \[", said.partition("PLAY RECAP")[0], flags=re.MULTILINE)[1:]
    played = [(text.partition("]")[0], set(re.findall(r"\bhost\d\b", text))) for text in sections]
    # Ansible looks at the condition of a meta task on one host after the other, and does nothing else there.
    meta = "mailroom.core.applications : Reload the applications now"
    alone = {(name, *on) for name, on in played if len(on) == 1 and name != meta}
    assert any(len(on) == len(hosts) for _name, on in played)
    # What runs once, for all hosts, is played on the first of them.
    assert {host for _name, host in alone} <= {"host0"}


def test_serial_counts(inventory: Inventory) -> None:
    """Ansible ends a play when a whole batch of hosts has failed, and so asks no other host."""
    inventory.hosts({f"host{number}": MISSPELT for number in range(4)})
    said = inventory.play("mailroom.core.apply", mailroom_serial="50%")[1]
    assert len(outcomes(said, "failed")) == 2, said
