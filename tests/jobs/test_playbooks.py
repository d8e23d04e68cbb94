# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks do with hosts that share a registry, roles that are delegated, and applications."""

from __future__ import annotations

import pytest
from integration.playing import Stage
from integration.tree import ALICE, Tree
from peers.mail import MailServer


@pytest.fixture
def tree(stage: Stage, mail_server: MailServer) -> Tree:
    return Tree(stage, mail_server)


# Nobody answers there, so that what is not delegated fails.
OUT_OF_REACH = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


@pytest.mark.matrix
def test_hosts_that_share_a_registry_test_it_once(tree: Tree) -> None:
    tree.hosts(test=["test1"], production=["prod1", "prod2"])
    tree.variables("production", **OUT_OF_REACH)
    shared = {
        "mailroom_delegate_to": "test1",
        "mailroom_registry": str(tree.registries / "shared.db"),
        "mailroom_apps": [],
    }
    played = tree.play("apply", "--limit", "production", **shared, mailroom_verify="login", mailroom_init_mail="true")
    assert played.code == 0, played.said
    assert sum(played.changed.values()) == len(["declared", "sent"])
    verified = tree.play("verify", "--limit", "production", **shared)
    assert verified.said.count("2 tested: 2 ok, 0 warn, 0 fail") == 1


@pytest.mark.parametrize("role", ["connectors", pytest.param("environment", marks=pytest.mark.matrix)])
def test_a_play_may_delegate_the_role_itself(tree: Tree, role: str) -> None:
    tree.variables("production", **OUT_OF_REACH)
    delegated = {"role": f"mailroom.core.{role}", "delegate_to": "test1"}
    variables = {"mailroom_verify": "login", "mailroom_init_mail": True}
    played = tree.stage.play(
        [{"hosts": "production", "roles": [delegated], "vars": variables}], "--inventory", tree.folder
    )
    assert played.returncode == 0, played.stdout
    assert ("2 tested: 2 ok, 0 warn, 0 fail" in played.stdout) == (role == "environment")
    assert (tree.registries / "prod1.db").exists()


@pytest.mark.matrix
def test_applications_are_written_and_compared(tree: Tree) -> None:
    rc = tree.stage.folder / "msmtprc"
    apps = [{"app": "msmtp", "path": str(rc), "connector": "alerts", "service": "no_such_service"}]
    only = {"mailroom_hosts": "test1", "mailroom_apps": apps}
    reloading = tree.play("apply", **only)
    assert reloading.code == 2, reloading.said
    assert "Could not find the requested service no_such_service" in reloading.said
    assert f'user "{ALICE.address}"' in rc.read_text()
    again = tree.play("apply", **only)
    assert again.code == 0, again.said
    assert again.changed == {"test1": 0}
    written = rc.read_text()
    rc.write_text(written.replace("127.0.0.1", "127.0.0.2"))
    drift = tree.play("drift", **only)
    assert drift.code == 2, drift.said
    assert f"- msmtp {rc}: has other settings" in drift.said.replace("\\n", "\n")
    assert "no_such_service" not in drift.said
    assert rc.read_text() != written
