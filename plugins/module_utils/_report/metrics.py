# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""The results of one host as metrics, in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .model import Report, Result, own_endpoints
from .text import parse_time

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Metric:
    """A gauge and its samples; of samples with equal labels the last one holds."""

    name: str
    about: str
    samples: dict[Labels, float] = field(default_factory=dict)

    def add(self, value: float, **labels: str) -> None:
        self.samples[tuple(labels.items())] = value

    def add_time(self, text: str, **labels: str) -> None:
        """Add a point in time, if the text is one."""
        at = parse_time(text)
        if at:
            self.add(at.timestamp(), **labels)

    def value(self, *, default: float, **labels: str) -> float:
        return self.samples.get(tuple(labels.items()), default)

    def lines(self) -> Iterator[str]:
        if self.samples:
            yield f"# HELP {self.name} {self.about}"
            yield f"# TYPE {self.name} gauge"
        for labels, value in sorted(self.samples.items()):
            pairs = ",".join(f'{name}="{_escape(text)}"' for name, text in labels)
            yield f"{self.name}{{{pairs}}} {value:.12g}" if labels else f"{self.name} {value:.12g}"


def metrics(report: Report) -> str:
    """What was tested, as gauges; without results there is only the time of the test."""
    up = Metric("mailroom_connector_up", "Whether the connector works: 1 for ok and warn.")
    verdict = Metric("mailroom_connector_verdict", "1 for the verdict of the last test.")
    phases = Metric("mailroom_connector_phase_seconds", "Duration of a phase of the last test.")
    certificate = Metric("mailroom_certificate_expiry_timestamp_seconds", "When the server's certificate ends.")
    secret = Metric("mailroom_secret_expiry_timestamp_seconds", "When the client secret ends, as declared.")
    application = Metric("mailroom_application_current", "Whether the application has what would be written now.")
    tested = Metric("mailroom_last_test_timestamp_seconds", "When connectors were last tested.")
    if any(host.tested_from for host in report.hosts):
        tested.add_time(report.generated_at)
    for result in report.results:
        name = result.connector
        verdict.add(1, connector=name, verdict=result.verdict)
        for protocol, works in _works(result).items():
            up.add(float(works), connector=name, protocol=protocol)
        for endpoint in own_endpoints(result):
            about = {"connector": name, "protocol": endpoint.protocol}
            for phase in endpoint.phases:
                if phase.status != "skipped":
                    # A phase may come twice: EHLO is said again after STARTTLS.
                    seconds = phases.value(default=0, **about, phase=phase.phase) + phase.ms / 1000
                    phases.add(seconds, **about, phase=phase.phase)
            if endpoint.tls:
                certificate.add_time(endpoint.tls.not_after, **about)
        secret.add_time(result.secret_expires, connector=name)
        for each in result.applications:
            if each.current is not None:
                about = {"app": each.app, "place": each.place, "connector": name}
                # The same place on several hosts: one that is not current counts.
                application.add(min(application.value(default=1, **about), float(each.current)), **about)
    each_metric = (up, verdict, phases, certificate, secret, tested, application)
    return "".join(f"{line}\n" for metric in each_metric for line in metric.lines())


def _works(result: Result) -> dict[str, bool]:
    """Whether each protocol of a connector works: where the cause is in none of its servers, none of them does."""
    works = {endpoint.protocol: endpoint.failed_phase is None for endpoint in own_endpoints(result)}
    protocols = [*works, *(each for each in result.protocols if each not in works)] or [""]
    if result.status == "fail" and all(works.values()):
        return dict.fromkeys(protocols, False)
    return works or dict.fromkeys(protocols, result.status != "fail")


def _escape(text: str) -> str:
    """A label's value; control characters and what UTF-8 cannot carry would end or spoil the line."""
    text = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return text.replace("\\", "\\\\").replace('"', '\\"')
