# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports on a play in which one host cannot be tested, and on a change that fails its test."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

import pytest
from integration.playing import TARGET_PYTHON, Stage
from peers.smtp import SmtpScript
from servers.playing import run

# In `make test` those that are marked oldest are played, with the oldest ansible-core.
pytestmark = pytest.mark.matrix

SAID = "{{ 7 * 7 }} {% raw %} <b>"


class Hosts:
    """Three hosts, of which one has no registry that can be read."""

    def __init__(self, stage: Stage, ports: dict[str, int]) -> None:
        self.stage = stage
        self.report = stage.folder / "report"
        self.summary = stage.folder / "summary.md"
        self.summary.write_text("Before.\n", encoding="utf-8")
        local = {"ansible_connection": "local", "ansible_python_interpreter": TARGET_PYTHON}
        self.hosts: dict[str, dict[str, Any]] = {
            name: {
                "mailroom_registry": str(stage.folder / ("summary.md/lost.db" if name == "lost" else f"{name}.db")),
                "mailroom_connectors": {
                    "alerts": {"smtp": {"host": "127.0.0.1", "port": ports.get(name, 1), "security": "none"}}
                },
            }
            for name in ("works", "refuses", "lost")
        }
        stage.write("inventory.json", {"all": {"vars": local, "hosts": self.hosts}})

    def declare(self, *names: str) -> None:
        """Stores the connectors of hosts in their registries."""
        for host in map(self.hosts.__getitem__, names):
            connectors = [{"name": name, **each} for name, each in host["mailroom_connectors"].items()]
            assert run("connectors", {"registry": host["mailroom_registry"], "connectors": connectors})["changed"]

    def play(self, playbook: str, *arguments: str, **variables: Any) -> tuple[int, str]:
        given = self.stage.write("extra.json", {"mailroom_report": self.report.name, "awx_job_id": 1, **variables})
        done = self.stage.run(
            *("playbook", f"mailroom.core.{playbook}", "--extra-vars", f"@{given}", *arguments),
            ANSIBLE_SHOW_CUSTOM_STATS="true",
            GITHUB_STEP_SUMMARY=str(self.summary),
        )
        return done.returncode, done.stdout

    def read(self, name: str) -> str:
        return (self.report / name).read_text(encoding="utf-8")

    def results(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read("results.json"))
        return found


def custom_stats(said: str) -> dict[str, Any]:
    """What is handed to later jobs, as it is shown at the end."""
    shown = said.partition("CUSTOM STATS: ")[2].partition("RUN: ")[2]
    found: dict[str, Any] = json.JSONDecoder().raw_decode(shown.lstrip())[0]
    return found


@pytest.mark.oldest
def test_report_covers_hosts_that_fail(stage: Stage) -> None:
    refusing = SmtpScript(at={"greeting": lambda talk: talk.send(f"554 5.7.1 {SAID}\r\n")})
    with SmtpScript().server() as works, refusing.server() as refuses:
        hosts = Hosts(stage, {"works": works.port, "refuses": refuses.port})
        hosts.declare("works", "refuses")
        code, said = hosts.play("verify", mailroom_verify="connect")
    assert code == 2, said
    results = hosts.results()
    assert results["summary"]["answer"] == "1 of 2 connectors fails, and 1 host could not be tested"
    assert results["summary"]["untested_hosts"] == ["lost"]
    assert results["summary"]["changed"] == ["alerts"]
    (failed,) = [each for each in results["results"] if each["status"] == "fail"]
    assert failed["host"] == "refuses"
    assert [run["verdict"] for run in failed["health"]["runs"]] == [failed["verdict"]]
    assert SAID in json.dumps(failed["endpoints"])
    page = hosts.read("index.html")
    assert "1 of 2 connectors fails, and 1 host could not be tested" in page
    assert "{{ 7 * 7 }} {% raw %} &lt;b&gt;" in page
    assert sorted(path.name for path in (hosts.report / "junit").iterdir()) == ["refuses.xml", "works.xml"]
    before, begin, rest = hosts.summary.read_text(encoding="utf-8").partition("<!-- BEGIN mailroom.core -->\n")
    assert before == "Before.\n"
    assert begin
    assert rest.removesuffix("\n<!-- END mailroom.core -->\n") == hosts.read("report.md").rstrip("\n")
    stats = custom_stats(said)
    assert stats == {"mailroom_x_summary": results["summary"], "mailroom_x_report": hosts.read("report.md")}


def test_each_batch_of_hosts_replaces_what_is_handed_over(stage: Stage) -> None:
    with SmtpScript().server() as works:
        hosts = Hosts(stage, {"works": works.port, "refuses": works.port})
        hosts.declare("works", "refuses")
        code, said = hosts.play("verify", "--limit", "works,refuses", mailroom_serial=1)
    assert code == 0, said
    assert custom_stats(said)["mailroom_x_report"] == hosts.read("report.md")


def test_change_that_fails_its_test_is_reported(stage: Stage) -> None:
    with SmtpScript().server() as works:
        hosts = Hosts(stage, {"works": works.port})
        # Where it passes, a later step fails.
        apps = [{"app": "msmtp", "path": f"{hosts.summary}/msmtprc", "connector": "alerts"}]
        code, said = hosts.play("apply", "--limit", "works,refuses", mailroom_verify="connect", mailroom_apps=apps)
    assert code == 2, said
    assert re.search(r"^works +: .* failed=1 ", said, re.MULTILINE), said
    found = {each["host"]: each["verdict"] for each in hosts.results()["results"]}
    assert found == {"works": "ok", "refuses": "connect_refused"}


def test_check_mode_writes_no_report_and_hands_over_the_summary(stage: Stage) -> None:
    metrics, junit = stage.folder / "mailroom.prom", stage.folder / "junit"
    with SmtpScript().server() as works:
        hosts = Hosts(stage, {"works": works.port})
        hosts.declare("works")
        shutil.rmtree(hosts.report, ignore_errors=True)
        hosts.summary.write_text("Before.\n", encoding="utf-8")
        files = {"mailroom_metrics": str(metrics), "mailroom_junit": str(junit)}
        code, said = hosts.play("verify", "--check", "--limit", "works", **files)
    assert code == 0, said
    assert [path for path in (hosts.report, metrics, junit) if path.exists()] == []
    assert hosts.summary.read_text(encoding="utf-8") == "Before.\n"
    assert custom_stats(said)["mailroom_x_summary"]["ok"] == 1
