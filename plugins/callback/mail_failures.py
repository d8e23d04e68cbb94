# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: mail_failures
type: notification
short_description: Mail a summary when a playbook fails
version_added: 0.2.0
description:
  - "In short: enable it with C(callbacks_enabled), and set O(to)."
  - Sends one mail when hosts have failed or were unreachable at the end of a run of C(ansible-playbook). It names the
    playbook, the hosts with their counts, and the tasks that failed. In AWX it links to the job.
  - Failures that were rescued or ignored do not count, and neither do those of check mode, in which nothing is sent.
  - The connector comes from the registry of the controller.
  - It never fails the run. Where the mail cannot be sent, that is a warning. After O(deadline) it waits no longer.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - enable in configuration
  - msal, where C(oauth2) signs in at Microsoft
  - cryptography, where the connector has secrets
options:
  to:
    description: The recipients.
    type: list
    elements: str
    env:
      - name: MAILROOM_FAILURES_TO
    ini:
      - section: callback_mailroom_mail_failures
        key: to
  purpose:
    description: The purpose whose connector sends. Without it and O(connector), the default connector does.
    type: str
    env:
      - name: MAILROOM_FAILURES_PURPOSE
    ini:
      - section: callback_mailroom_mail_failures
        key: purpose
  connector:
    description: The connector that sends.
    type: str
    env:
      - name: MAILROOM_FAILURES_CONNECTOR
    ini:
      - section: callback_mailroom_mail_failures
        key: connector
  messages:
    description:
      - Whether the messages of the tasks that failed are in the mail, 300 characters of each.
      - Those of tasks with C(no_log) never are. The secrets of the connector are redacted; other secrets that a task
        shows are not known here.
    type: bool
    default: false
    env:
      - name: MAILROOM_FAILURES_MESSAGES
    ini:
      - section: callback_mailroom_mail_failures
        key: messages
  deadline:
    description: Seconds that sending may take, at the end of a run that has failed, 0.1 to 86400.
    type: float
    default: 30
    env:
      - name: MAILROOM_FAILURES_DEADLINE
    ini:
      - section: callback_mailroom_mail_failures
        key: deadline
  registry:
    description: Where connectors are kept, as in M(mailroom.core.connector_info).
    type: str
    default: /var/lib/mailroom/registry.db
    env:
      - name: MAILROOM_REGISTRY
    ini:
      - section: callback_mailroom_mail_failures
        key: registry
  registry_password:
    description: The password for a registry in PostgreSQL. C(ansible.cfg) cannot hold it.
    type: str
    env:
      - name: MAILROOM_REGISTRY_PASSWORD
  registry_key:
    description:
      - The keys that open secrets, one or more Fernet keys separated by commas or newlines. C(ansible.cfg) cannot hold
        them; name a file in O(registry_key_file) there.
    type: str
    env:
      - name: MAILROOM_REGISTRY_KEY
  registry_key_file:
    description: The file that holds the keys. It defaults to O(registry) with C(.key) appended.
    type: str
    env:
      - name: MAILROOM_REGISTRY_KEY_FILE
    ini:
      - section: callback_mailroom_mail_failures
        key: registry_key_file
seealso:
  - module: mailroom.core.mail
  - ref: ansible_collections.mailroom.core.docsite.sending
    description: How to enable it, on a controller and in AWX.
"""

import threading
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

_OPTIONS = ("to", "purpose", "connector", "registry", "registry_password", "registry_key", "registry_key_file")
_NAME = "mailroom.core.mail_failures"
_SECTION = "callback_mailroom_mail_failures"
_MOST_FAILURES = 50
_LONGEST_KEPT = 4000
_SHORTEST_DEADLINE = 0.1
_LONGEST_DEADLINE = 86400


class CallbackModule(CallbackBase):
    """The callback mail_failures."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = _NAME
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._playbook = ""
        self._failed: list[tuple[str, str, str]] = []
        self._is_done = bool(context.CLIARGS.get("check"))

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._playbook = str(getattr(playbook, "_file_name", "")).rpartition("/")[2]

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors and not _is_rescued(_part(result, "task")):
            self._keep(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        if not _part(result, "task").ignore_unreachable:
            self._keep(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if self._is_done or not (stats.failures or stats.dark):
            return
        self._is_done = True
        warnings: list[str] = []
        try:
            deadline = float(self.get_option("deadline"))
            if _SHORTEST_DEADLINE <= deadline <= _LONGEST_DEADLINE:
                # A thread can be left behind where the mail server, a name server or the registry does not answer.
                sending = threading.Thread(target=self._send, args=(stats, deadline, warnings), daemon=True, name=_NAME)
                sending.start()
                sending.join(deadline)
                if sending.is_alive():
                    warnings.append(f"the mail was not sent within {deadline:g} s")
            else:
                warnings.append(f"deadline: must be a number from {_SHORTEST_DEADLINE} to {_LONGEST_DEADLINE}")
        except Exception as error:  # noqa: BLE001  a run must not fail because of its mail
            warnings.append(_bug(error))
        for warning in warnings[:]:
            self._display.warning(f"{_NAME}: {warning}")

    def _keep(self, result: Any) -> None:
        """Record a failed task, up to _MOST_FAILURES."""
        task, content = _part(result, "task"), _part(result, "result")
        if self._is_done or len(self._failed) >= _MOST_FAILURES:
            return
        # Ansible censors the results of tasks with no_log.
        is_shown = self.get_option("messages") and "censored" not in content and task.no_log is not True
        message = content.get("msg") if is_shown else ""
        message = message[:_LONGEST_KEPT] if isinstance(message, str) else ""
        self._failed.append((_part(result, "host").get_name(), task.get_name(), message))

    def _send(self, stats: Any, deadline: float, warnings: list[str]) -> None:
        """Send the mail; what goes wrong is added to the warnings."""
        try:
            # Only a run that has failed waits for these to be imported.
            from ansible_collections.mailroom.core.plugins.module_utils._errors import MailroomError
            from ansible_collections.mailroom.core.plugins.plugin_utils import _failures
        except Exception as error:  # noqa: BLE001
            warnings.append(_bug(error))
            return
        try:
            params = {name: self.get_option(name) or None for name in _OPTIONS}
            params["to"] = [each for each in params["to"] or () if each.strip()]
            if not params["to"]:
                raise MailroomError(f"to: is required: set MAILROOM_FAILURES_TO, or to in section {_SECTION}")
            if params["purpose"] and params["connector"]:
                raise MailroomError("purpose: must not be given with connector")
            hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
            failures = [_failures.Failure(*each) for each in self._failed]
            summary = _failures.Summary(self._playbook or "A playbook", hosts, failures)
            limits = {"timeout": min(10.0, deadline), "deadline": deadline}
            _failures.send_summary(summary, {**params, **limits}, warnings.append)
        except MailroomError as error:
            warnings.append(" ".join(str(error).split()))
        except Exception as error:  # noqa: BLE001
            warnings.append(_bug(error))


def _part(result: Any, name: str) -> Any:
    """The host, task or result of a result, which ansible-core 2.18 keeps under private names."""
    return getattr(result, name) if hasattr(result, name) else getattr(result, f"_{name}")


def _is_rescued(task: Any) -> bool:
    """Whether the task stands in a block that has a rescue section, and not in that or in its always section."""
    child, parent = task, getattr(task, "_parent", None)
    while parent is not None:
        rescue, always = getattr(parent, "rescue", None) or [], getattr(parent, "always", None) or []
        if rescue and not any(each._uuid == child._uuid for each in (*rescue, *always)):  # noqa: SLF001
            return True
        child, parent = parent, getattr(parent, "_parent", None)
    return False


def _bug(error: Exception) -> str:
    return f"the mail was not sent, because of a bug in mailroom.core ({type(error).__name__})"
