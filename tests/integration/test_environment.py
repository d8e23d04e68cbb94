# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks of the collection against Postfix and Dovecot: two environments from one inventory tree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from integration.playing import Stage
from integration.tree import ALICE, WRONG, Played, Tree
from peers.mail import MailServer

# With the newest ansible-core, test_shared_registry.py applies, tests and compares, and the jobs of AWX rotate.
pytestmark = [pytest.mark.oldest, pytest.mark.matrix]

COMPOSED = {"applications", "connectors", "environment", "init_mail", "registry", "verify"}
"""The roles that `apply` plays here; `apis` is in test_apis.py."""
PLAYED = {"connector_config", "connector_info", "connectors", "init_mail"}
"""The modules that `apply` plays here, besides the one that the action plugin of connectors chooses."""
OF_ANSIBLE = {"command", "copy", "stat"}
"""What writes the metrics."""
BLANK = dict.fromkeys(
    [
        *("mailroom_verify", "mailroom_init_mail", "mailroom_actor", "mailroom_registry_key", "mailroom_hosts"),
        *("mailroom_update_password", "mailroom_only", "mailroom_deliver_via", "mailroom_junit"),
        *("mailroom_delegate_to", "mailroom_report", "mailroom_metrics", "mailroom_record"),
    ],
    "",
)


def test_two_environments_are_declared_compared_tested_and_rotated(stage: Stage, mail_server: MailServer) -> None:
    tree = Tree(stage, mail_server)
    first, again = declare(tree)
    compare_after_a_manual_change(tree)
    rotate(tree)
    assert set(re.findall(r"^TASK \[mailroom\.core\.(\w+) : ", first.said, re.MULTILINE)) == COMPOSED
    played = set(re.findall(r"AnsiballZ_(\w+)\.py", first.said + again.said)) - OF_ANSIBLE
    assert played == PLAYED | {"_connectors_verify"}


def declare(tree: Tree) -> tuple[Played, Played]:
    """Check mode says what would be done, the first run does it, and the next changes nothing."""
    checking = ("--limit", "prod1", "--check", "--diff")
    looked = tree.play("apply", *checking, mailroom_verify="envelope", mailroom_init_mail=True)
    assert looked.code == 0, looked.said
    assert looked.changed == {"prod1": 1}
    assert looked.said.count('"connector alerts: is new"') == 1
    assert "connector support: imap.host: " in looked.said
    assert "connector support: imap.password: (set)" in looked.said
    assert not tree.registries.exists()

    metrics = tree.stage.folder / "metrics"
    metrics.mkdir()
    first = tree.play(
        *("apply", "--diff", "-vvv"),
        mailroom_verify="login",
        mailroom_init_mail=True,
        mailroom_metrics=f"{metrics}/{{{{ inventory_hostname }}}}.prom",
    )
    assert first.code == 0, first.said
    written = (metrics / "prod1.prom").read_text(encoding="utf-8")
    assert f'mailroom_application_current{{app="msmtp",place="{tree.rc}",connector="alerts"}} 1\n' in written
    (metrics / "test1.prom").unlink()
    assert first.changed == {"prod1": 3, "test1": 2}, "declared, sent, and on prod1 an application configured"
    assert first.said.count('"2 tested: 2 ok, 0 warn, 0 fail"') == 1
    assert first.said.count('"1 tested: 1 ok, 0 warn, 0 fail"') == 1
    assert f'user "{ALICE.address}"' in tree.rc.read_text(encoding="utf-8")

    again = tree.play("apply", "--limit", "prod1", "--diff", "-vvv", mailroom_secure_logging=False, **BLANK)
    assert again.code == 0, again.said
    assert again.changed == {"prod1": 0}

    test, production = tree.connectors("test1"), tree.connectors("prod1")
    assert list(test) == ["alerts"]
    assert list(production) == ["alerts", "support"]
    assert test["alerts"]["description"] == "Of test"
    assert production["alerts"]["description"] is None
    assert production["support"]["purposes"] == ["requests"]
    assert production["alerts"]["is_default"]
    # Each was tested once, before it was stored.
    runs = [[(run["host"], run["verdict"]) for run in each["health"]["runs"]] for each in production.values()]
    assert runs == [[("prod1", "ok")]] * 2
    assert production["alerts"]["secrets"] == ["smtp.password"]
    return first, again


def compare_after_a_manual_change(tree: Tree) -> None:
    """Drift names what differs, the test names what does not work, and neither changes anything."""
    by_hand = [
        {"name": "alerts", "smtp": {"ehlo_name": "by-hand.example.com"}},
        {"name": "support", "description": "By hand", "imap": {"password": WRONG}},
        {"name": "by_hand", "enabled": False, "smtp": {"host": "mail.example.com"}},
    ]
    elsewhere = tree.configure("prod1", app="env", connector="alerts", host="gone1")
    tree.change("prod1", by_hand)
    before = (tree.registries / "prod1.db").read_bytes()
    later = {"later": {"smtp": {"host": "mail.example.com"}}}
    drift = tree.play("drift", "--limit", "prod1", mailroom_connectors_environment=later)
    assert drift.code == 2, drift.said
    assert drift.changed == {"prod1": 0}
    assert "TASK [mailroom.core.connectors : Compare the registry with the declaration]" in drift.said
    assert "Apply the declaration" not in drift.said
    assert "connector support: description: By hand -> Reads requests" in drift.said
    assert "connector by_hand: is deleted" in drift.said
    assert "connector later: is new" in drift.said
    # What the playbook compares is named as it differs, what else is out of date as it is recorded.
    assert f"msmtp {tree.rc}: has other settings" in drift.said
    assert f"msmtp {tree.rc} on " not in drift.said
    assert f"env {elsewhere} on gone1: has other settings than it would be given now" in drift.said
    assert (tree.registries / "prod1.db").read_bytes() == before

    junit, report, metrics = (tree.stage.folder / name for name in ("junit", "report", "metrics"))
    tested = tree.play(
        "verify",
        "--limit",
        "prod1",
        mailroom_junit=junit.name,
        mailroom_report=str(report),
        mailroom_metrics=f"{metrics}/{{{{ inventory_hostname }}}}.prom",
    )
    assert tested.code == 2, tested.said
    assert "1 of 2 connectors failed the test: support." in tested.said
    assert "support: auth_rejected" in tested.said
    cases = {case.get("name"): case.find("failure") for case in ET.parse(junit / "prod1.xml").iter("testcase")}
    assert cases["alerts"] is None
    assert cases["support"] is not None
    assert cases["support"].get("type") == "auth_rejected"
    stored = tree.connectors("prod1")
    kept = {name: (stored[name]["health"]["verdict"], stored[name]["health"]["host"]) for name in ("alerts", "support")}
    assert kept == {"alerts": ("ok", "prod1"), "support": ("auth_rejected", "prod1")}
    look_at_reports(report, metrics)


def look_at_reports(report: Path, metrics: Path) -> None:
    """They are written although a test has failed; test_reports.py looks at those on several hosts."""
    results = json.loads((report / "results.json").read_text(encoding="utf-8"))
    assert {(each["host"], each["connector"]): each["verdict"] for each in results["results"]} == {
        ("prod1", "alerts"): "ok",
        ("prod1", "support"): "auth_rejected",
    }
    environments = {each["name"]: each["environments"] for each in results["hosts"]}
    assert environments == {"prod1": ["production"]}
    for name in ("index.html", "report.md"):
        assert "1 of 2 connectors fails" in (report / name).read_text(encoding="utf-8")
    assert sorted(path.name for path in (report / "junit").iterdir()) == ["prod1.xml"]
    assert sorted(path.name for path in metrics.iterdir()) == ["prod1.prom"]
    assert {path.stat().st_mode & 0o777 for path in metrics.iterdir()} == {0o644}
    for path in [*report.rglob("*.*"), *metrics.iterdir()]:
        assert ALICE.password not in path.read_text(encoding="utf-8")
    written = (metrics / "prod1.prom").read_text(encoding="utf-8")
    assert 'mailroom_connector_up{connector="alerts",protocol="smtp"} 1\n' in written
    assert 'mailroom_connector_up{connector="support",protocol="imap"} 0\n' in written


def rotate(tree: Tree) -> None:
    """A secret is replaced only if all of the new ones work."""

    def new(playbooks: str, **passwords: str) -> Played:
        blocks = {"alerts": "smtp", "support": "imap"}
        secrets = {name: {blocks[name]: {"password": password}} for name, password in passwords.items()}
        given = {"mailroom_connectors_secrets": secrets, "mailroom_only": "support, "}
        return tree.play(playbooks, "--limit", "prod1", **given)

    before = (tree.registries / "prod1.db").read_bytes()
    refused = new("rotate", alerts=WRONG, support=ALICE.password)
    assert refused.code == 2, refused.said
    assert "alerts: auth_rejected" in refused.said
    assert "so nothing was changed" in refused.said
    assert (tree.registries / "prod1.db").read_bytes() == before

    rotated = new("rotate verify", alerts=ALICE.password, support=ALICE.password)
    assert rotated.code == 0, rotated.said
    assert rotated.changed == {"prod1": 1}
    for outdated in (f"msmtp {tree.rc} on prod1", "on gone1"):
        assert f"{outdated}: has other settings than it would be given now, of connector alerts" in rotated.said
    assert '"1 tested: 1 ok, 0 warn, 0 fail"' in rotated.said
