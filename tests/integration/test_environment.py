# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the collection against Postfix and Dovecot: two environments from one inventory tree."""

from __future__ import annotations

import pytest
from integration.playing import Stage
from integration.tree import Tree
from peers.mail import MailServer


@pytest.fixture
def tree(stage: Stage, mail_server: MailServer) -> Tree:
    return Tree(stage, mail_server)


def test_two_environments_from_one_tree(tree: Tree) -> None:
    looked = tree.play("apply", "--check", "--diff")
    assert looked.code == 0, looked.said
    assert looked.changed == {"prod1": 1, "test1": 1}
    assert looked.said.count('"connector alerts: is new"') == 2
    assert "connector support: imap.host: " in looked.said
    assert "connector support: imap.password: (set)" in looked.said
    assert not tree.registries.exists()

    first = tree.play("apply", "--diff", "-vvv", mailroom_verify="login")
    assert first.code == 0, first.said
    assert first.changed == {"prod1": 1, "test1": 1}
    assert first.said.count('"2 tested: 2 ok, 0 warn, 0 fail"') == 1
    assert first.said.count('"1 tested: 1 ok, 0 warn, 0 fail"') == 1

    again = tree.play("apply", "--diff", "-vvv", mailroom_verify="login", mailroom_secure_logging=False)
    assert again.code == 0, again.said
    assert again.changed == {"prod1": 0, "test1": 0}

    test, production = tree.connectors("test1"), tree.connectors("prod1")
    assert list(test) == ["alerts"]
    assert list(production) == ["alerts", "support"]
    assert test["alerts"]["description"] == "Of test"
    assert production["alerts"]["description"] is None
    assert production["support"]["purposes"] == ["requests"]
    assert production["alerts"]["is_default"]
    assert production["alerts"]["secrets"] == ["smtp.password"]


def test_drift_after_a_manual_change(tree: Tree) -> None:
    assert tree.play("apply").code == 0
    none = tree.play("drift")
    assert none.code == 0, none.said
    tree.change("prod1", name="support", imap={"mailbox": "Elsewhere"})
    tree.change("prod1", name="by_hand", smtp={"host": "mail.example.com"})
    before = (tree.registries / "prod1.db").read_bytes()
    drift = tree.play("drift")
    assert drift.code == 2, drift.said
    assert drift.changed == {"prod1": 0, "test1": 0}
    assert "TASK [mailroom.core.connectors : Compare the registry with the declaration]" in drift.said
    assert "Bring the registry" not in drift.said
    assert "connector support: imap.mailbox: Elsewhere -> (none)" in drift.said
    assert "connector by_hand: is deleted" in drift.said
    assert (tree.registries / "prod1.db").read_bytes() == before
    assert tree.play("apply").code == 0
    assert tree.play("drift").code == 0
