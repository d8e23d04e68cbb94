# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# This file is private to the collection mailroom.core and may change at any time.

"""What has failed in a run of ansible-playbook, and the mail that says so."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._connector.redaction import Redaction
from ansible_collections.mailroom.core.plugins.module_utils._connector.secret import Secret
from ansible_collections.mailroom.core.plugins.module_utils._message.body import Content
from ansible_collections.mailroom.core.plugins.module_utils._module import mail
from ansible_collections.mailroom.core.plugins.plugin_utils._connectors import PluginTask

LONGEST_MESSAGE = 300
MOST_HOSTS = 50
_LONGEST_NAME = 200
_COUNTS = {"failures": "failed", "unreachable": "unreachable", "ok": "ok", "changed": "changed"}
_AWX_HOST = re.compile(r"https?://[!-~]{1,200}\Z")
_AWX_JOB = re.compile(r"[0-9]{1,18}\Z")


@dataclass(frozen=True)
class Failure:
    """A task that has failed on a host, or could not reach it."""

    host: str
    task: str
    message: str = ""


@dataclass(frozen=True)
class Summary:
    """A run that has failed."""

    playbook: str
    hosts: Mapping[str, Mapping[str, int]]
    """The counts of each host, as the recap has them."""
    failures: Sequence[Failure]

    @property
    def failed_hosts(self) -> list[str]:
        return sorted(host for host, counts in self.hosts.items() if counts["failures"] or counts["unreachable"])

    def content(self, redact: Callable[[str], str]) -> Content:
        """The mail; what it tells of the run passes `redact`, since it may hold what the mail is sent with."""

        def shown(text: str, longest: int = _LONGEST_NAME) -> str:
            return redact(" ".join(text.split()))[:longest]

        failed = self.failed_hosts
        rows = [("Playbook", shown(self.playbook)), ("Failed", f"{len(failed)} of {len(self.hosts)} hosts")]
        rows += [("Controller", socket.gethostname()), ("AWX job", awx_job())]
        for host in failed[:MOST_HOSTS]:
            counts = self.hosts[host]
            rows.append(
                (shown(host), ", ".join(f"{counts[name]} {word}" for name, word in _COUNTS.items() if counts[name]))
            )
            for each in self.failures:
                if each.host == host:
                    message = shown(each.message, LONGEST_MESSAGE)
                    rows.append(("Task", f"{shown(each.task)}: {message}" if message else shown(each.task)))
        if len(failed) > MOST_HOSTS:
            rows.append(("More hosts", str(len(failed) - MOST_HOSTS)))
        shown_rows = [(label, text) for label, text in rows if text]
        return Content(shown(self.subject, 2 * _LONGEST_NAME), "A playbook of Ansible has failed.", shown_rows)

    @property
    def subject(self) -> str:
        failed = self.failed_hosts
        where = failed[0] if len(failed) == 1 else f"{len(failed)} hosts"
        return f"{self.playbook[:_LONGEST_NAME]} failed on {where[:_LONGEST_NAME]}"


def awx_job() -> str:
    """The address of this job in AWX, if it runs there."""
    base, job = os.environ.get("AWX_HOST", ""), os.environ.get("JOB_ID", "")
    return f"{base.rstrip('/')}/#/jobs/playbook/{job}" if _AWX_HOST.match(base) and _AWX_JOB.match(job) else ""


def send_summary(summary: Summary, params: Mapping[str, Any], warn: Callable[[str], None]) -> None:
    """Send the mail about a run; raises a MailroomError where that fails."""
    options = {name: option.get("default") for name, option in mail.argument_spec().options.items()}
    task = PluginTask(options, {**options, **params}, warn)
    job = mail.find_job(task)
    given = [Secret(params[name]) for name in ("registry_key", "registry_password") if params.get(name)]
    content = summary.content(Redaction([*job.all_secrets(), *given]))
    task.params.update(subject=content.title, body=content.text(), html=content.html())
    mail.send_messages(task, mail.read_messages(task), job)
