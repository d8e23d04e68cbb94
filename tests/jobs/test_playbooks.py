# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles and playbooks do with servers that fail, blank answers, shared registries and wrong variables."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from cryptography.fernet import Fernet
from integration.playing import Stage
from integration.tree import ALICE, WRONG, Tree
from peers.mail import MailServer


@pytest.fixture
def tree(stage: Stage, mail_server: MailServer) -> Tree:
    return Tree(stage, mail_server)


def test_what_does_not_work_any_more_is_found_by_verify(tree: Tree) -> None:
    assert tree.play("apply").code == 0
    junit = tree.stage.folder / "junit"
    well = tree.play("verify", mailroom_batch=1, mailroom_junit=str(junit))
    assert well.code == 0, well.said
    assert '"1 of 2 connectors are tested"' in well.said
    assert well.changed == {"prod1": 0, "test1": 0}
    tree.change("prod1", name="support", imap={"password": WRONG})
    ill = tree.play("verify", mailroom_junit=str(junit))
    assert ill.code == 2, ill.said
    assert "1 of 2 connectors failed the test: support." in ill.said
    assert "support: auth_rejected" in ill.said
    cases = {case.get("name"): case.find("failure") for case in ET.parse(junit / "prod1.xml").iter("testcase")}
    assert cases["alerts"] is None
    assert cases["support"] is not None
    assert cases["support"].get("type") == "auth_rejected"
    only = tree.play("verify", "--limit", "prod1", mailroom_only="alerts, ")
    assert only.code == 0, only.said


def test_a_new_first_key_is_drift_until_it_is_applied(tree: Tree) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    keys = {"mailroom_hosts": "test1", "mailroom_registry_key": f"{new},{old}"}
    assert tree.play("apply", mailroom_hosts="test1", mailroom_registry_key=old).code == 0
    drift = tree.play("drift", **keys)
    assert drift.code == 2, drift.said
    assert "the registry key: is changed" in drift.said
    assert tree.play("apply", **keys).changed == {"test1": 1}
    assert tree.play("drift", **keys).code == 0


def test_blank_answers_of_a_survey_say_nothing(tree: Tree) -> None:
    blank = dict.fromkeys(
        [
            *("mailroom_default", "mailroom_purge", "mailroom_verify", "mailroom_init_mail", "mailroom_actor"),
            *("mailroom_registry_key", "mailroom_update_password", "mailroom_hosts", "mailroom_secure_logging"),
            *("mailroom_only", "mailroom_deliver_via", "mailroom_junit", "mailroom_delegate_to"),
        ],
        "",
    )
    played = tree.play("apply", **blank, awx_user_name="operator")
    assert played.code == 0, played.said
    alerts = tree.connectors("prod1")["alerts"]
    assert alerts["created_by"] == "operator"
    assert not alerts["is_default"]
    assert tree.play("verify", **blank).code == 0
    assert tree.play("drift", **blank).code == 0


# Nobody answers there, so that what is not delegated fails.
OUT_OF_REACH = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


def test_hosts_that_share_a_registry_test_it_once(tree: Tree) -> None:
    tree.hosts(test=["test1"], production=["prod1", "prod2"])
    tree.variables("production", **OUT_OF_REACH)
    shared = {"mailroom_delegate_to": "test1", "mailroom_registry": str(tree.registries / "shared.db")}
    played = tree.play("apply", "--limit", "production", **shared, mailroom_verify="login", mailroom_init_mail="true")
    assert played.code == 0, played.said
    assert sum(played.changed.values()) == len(["declared", "sent"])
    verified = tree.play("verify", "--limit", "production", **shared)
    assert verified.said.count("2 tested: 2 ok, 0 warn, 0 fail") == 1
    for playbook in ("drift", "rotate"):
        played = tree.play(playbook, "--limit", "production", **shared)
        assert played.code == 0, played.said
        assert set(played.changed.values()) == {0}


def test_a_play_may_delegate_the_role_itself(tree: Tree) -> None:
    tree.variables("production", **OUT_OF_REACH)
    role = {"role": "mailroom.core.environment", "delegate_to": "test1"}
    play = {"hosts": "production", "roles": [role], "vars": {"mailroom_verify": "login", "mailroom_init_mail": True}}
    played = tree.stage.play([play], "--inventory", tree.folder)
    assert played.returncode == 0, played.stdout
    assert "2 tested: 2 ok, 0 warn, 0 fail" in played.stdout
    assert list(tree.connectors("prod1")) == ["alerts", "support"]


def test_applications_are_written_and_compared(tree: Tree) -> None:
    rc = tree.stage.folder / "msmtprc"
    apps = [{"app": "msmtp", "path": str(rc), "connector": "alerts", "service": "no_such_service"}]
    only = {"mailroom_hosts": "test1", "mailroom_apps": apps}
    looked = tree.play("apply", "--check", **only)
    assert looked.code == 0, looked.said
    reloading = tree.play("apply", **only)
    assert reloading.code == 2, reloading.said
    assert "Could not find the requested service no_such_service" in reloading.said
    assert f'user "{ALICE.address}"' in rc.read_text()
    again = tree.play("apply", **only)
    assert again.code == 0, again.said
    assert again.changed == {"test1": 0}
    assert tree.play("drift", **only).code == 0

    written = rc.read_text()
    rc.write_text(written.replace("127.0.0.1", "127.0.0.2"))
    drift = tree.play("drift", **only)
    assert drift.code == 2, drift.said
    assert f"- msmtp {rc}: has other settings" in drift.said.replace("\\n", "\n")
    assert "no_such_service" not in drift.said
    assert rc.read_text() != written


def test_one_host_after_the_other(tree: Tree) -> None:
    played = tree.play("apply", mailroom_serial=1, mailroom_verify="connect")
    assert played.code == 0, played.said
    assert played.said.count("PLAY [") == len(["test1", "prod1"])


WRONG_VARIABLES: dict[str, tuple[str, dict[str, Any], str]] = {
    "entry": (
        "apply",
        {"mailroom_connectors_environment": {"alerts": ["smtp"]}},
        "mailroom_connectors_environment: alerts: must be a dictionary, or null to remove the connector",
    ),
    "stray": (
        "apply",
        {"mailroom_connectors_secrets": {"alrts": {"smtp": {"password": WRONG}}}},
        "connector alrts: only secrets are given for it; did you mean alerts?",
    ),
    "depth": ("apply", {"mailroom_verify": "deeply"}, "mailroom_verify: must be one of: none, connect, login"),
    "app": (
        "apply",
        {"mailroom_apps": [{"app": "pine", "path": "/x"}]},
        "mailroom_apps[0]: app: must be one of: alertmanager, msmtp, postfix.",
    ),
    "only": (
        "verify",
        {"mailroom_only": "nobody"},
        "mailroom_only names connectors that are not in the registry of test1: nobody.",
    ),
    "batch": ("verify", {"mailroom_batch": 0}, "mailroom_batch: must be a whole number above 0."),
    "rotate": (
        "rotate",
        {"mailroom_connectors_secrets": {}},
        "mailroom_connectors_secrets must hold the new secrets, by the connectors' names; nothing was changed.",
    ),
}


@pytest.mark.parametrize(("playbook", "variables", "told"), WRONG_VARIABLES.values(), ids=list(WRONG_VARIABLES))
def test_what_is_wrong_with_the_variables_is_told(
    tree: Tree, playbook: str, variables: dict[str, Any], told: str
) -> None:
    played = tree.play(playbook, "--limit", "test1", **variables)
    assert played.code == 2, played.said
    assert told in played.said
    assert not tree.registries.exists()
