# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics and the example of monitoring, as Prometheus and node_exporter's text-file collector read them."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import outcomes
import places
import pytest
from peers import net

from ansible_collections.mailroom.core.plugins.module_utils._report.metrics import metrics
from ansible_collections.mailroom.core.plugins.module_utils._report.model import parse_report

MONITORING = places.ROOT / "examples" / "monitoring"
NAMES = {
    *("mailroom_connector_up", "mailroom_connector_verdict", "mailroom_connector_phase_seconds"),
    *("mailroom_certificate_expiry_timestamp_seconds", "mailroom_secret_expiry_timestamp_seconds"),
    *("mailroom_last_test_timestamp_seconds", "mailroom_application_current"),
}
LONGEST = 300
TEXT = metrics(parse_report(outcomes.iso(outcomes.NOW), outcomes.outcomes(1, 200, seed=2)))


def promtool(*arguments: object, text: str = "") -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_promtool_finds_nothing_wrong_with_the_metrics() -> None:
    assert {line.split()[2] for line in TEXT.splitlines() if line.startswith("# TYPE ")} == NAMES
    assert promtool("check", "metrics", text=TEXT) == ""


def test_alerts_fire_when_they_should() -> None:
    promtool("check", "rules", MONITORING / "mailroom.rules.yml")
    promtool("test", "rules", MONITORING / "mailroom.test.yml")
    rules = (MONITORING / "mailroom.rules.yml").read_text(encoding="utf-8")
    tests = (MONITORING / "mailroom.test.yml").read_text(encoding="utf-8")
    alerts = set(re.findall(r"- alert: (\w+)", rules))
    assert alerts == set(re.findall(r"alertname: (\w+)", tests))


@contextlib.contextmanager
def running(log: Path, port: int, *command: object) -> Iterator[None]:
    """A program, as soon as it listens on its port."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=log.parent
        )
    try:
        if not net.wait_until_open(port, LONGEST):
            raise net.PeerFailed(log.read_text(encoding="utf-8", errors="replace"))
        yield
    finally:
        process.terminate()
        process.wait()


class Prometheus:
    """A Prometheus that scrapes a node_exporter."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"
        self._url = f"{self._address}/api/v1"

    def is_ready(self) -> bool:
        """It listens before that, and refuses all that it is asked."""
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(f"{self._address}/-/ready"):
            return True
        return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self._url}/query?{urllib.parse.urlencode({'query': expression})}") as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def rules(self) -> list[str]:
        with urllib.request.urlopen(f"{self._url}/rules") as answer:
            return [rule["name"] for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """With the metrics scraped once."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "textfile").mkdir()
    (folder / "textfile" / "mailroom.prom").write_text(TEXT, encoding="utf-8")
    ports = net.PortBlock()
    exporter, port = ports.take(), ports.take()
    scraped = {"job_name": "node", "scrape_interval": "1s", "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]}
    content = {"scrape_configs": [scraped], "rule_files": [str(MONITORING / "mailroom.rules.yml")]}
    (folder / "prometheus.yml").write_text(json.dumps(content), encoding="utf-8")
    of_exporter = ["--collector.disable-defaults", "--collector.textfile"]
    of_exporter += [
        f"--collector.textfile.directory={folder / 'textfile'}",
        f"--web.listen-address=127.0.0.1:{exporter}",
    ]
    of_server = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    of_server += [f"--web.listen-address=127.0.0.1:{port}"]
    try:
        with (
            running(folder / "exporter.log", exporter, "prometheus-node-exporter", *of_exporter),
            running(folder / "prometheus.log", port, "prometheus", *of_server),
        ):
            found = Prometheus(port)
            end = time.monotonic() + LONGEST
            while not (found.is_ready() and found.query("mailroom_last_test_timestamp_seconds")):
                if time.monotonic() > end:
                    raise net.PeerFailed((folder / "prometheus.log").read_text(encoding="utf-8"))
                time.sleep(0.1)
            yield found
    finally:
        ports.release()


def test_scraped_metrics_are_those_that_were_written(prometheus: Prometheus) -> None:
    assert prometheus.query("node_textfile_scrape_error")[0]["value"][1] == "0"
    for name in NAMES:
        scraped = set()
        for each in prometheus.query(name):
            labels = {key: text for key, text in each["metric"].items() if key not in ("__name__", "instance", "job")}
            scraped.add((tuple(sorted(labels.items())), float(each["value"][1])))
        written = {
            (tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels))), float(value))
            for labels, value in re.findall(rf"^{name}(\{{.*\}})? (\S+)$", TEXT, re.MULTILINE)
        }
        assert scraped == written
        assert written


def test_rules_are_loaded(prometheus: Prometheus) -> None:
    assert "MailConnectorFails" in prometheus.rules()


def test_each_panel_of_the_dashboard_has_data(prometheus: Prometheus) -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 5
    for panel in panels:
        for target in panel["targets"]:
            expression = re.sub(r"\$(instance|connector)", ".*", target["expr"])
            assert prometheus.query(expression), panel["title"]
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) - {"__all"} == variables
