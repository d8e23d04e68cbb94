# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: report_summary
short_description: Summarize the results of tests
version_added: 0.2.0
description:
  - Takes the results of M(mailroom.core.connector_test) from one or more hosts, and returns how many connectors work,
    which fail, and for which that is news.
author:
  - mailroom.core contributors (!UNKNOWN)
extends_documentation_fragment:
  - mailroom.core._outcomes
positional: _input
"""

EXAMPLES = r"""
- name: Test the connectors
  mailroom.core.connector_test:
    fail: false
  register: tested

- name: Show the summary
  ansible.builtin.debug:
    msg: "{{ {inventory_hostname: {'results': tested.results}} | mailroom.core.report_summary }}"
"""

RETURN = r"""
_value:
  description: The summary. Lists hold 50 entries at most.
  type: dict
  sample:
    ok: 2
    warn: 0
    fail: 1
    answer: 1 of 3 connectors fails
    hosts: 1
    untested_hosts: []
    failed:
      - {connector: alerts, host: mail01, verdict: auth_rejected}
    changed: [alerts]
    has_changed: true
    generated_at: "2026-11-28T03:00:00Z"
  contains:
    ok:
      description: The number of connectors that work.
      type: int
    warn:
      description: The number of those that work and need attention.
      type: int
    fail:
      description: The number of those that do not work.
      type: int
    answer:
      description: Whether anything is broken, in one sentence.
      type: str
    hosts:
      description: The number of hosts.
      type: int
    untested_hosts:
      description: The hosts without results.
      type: list
      elements: str
    failed:
      description: The connectors that fail, each with host and verdict.
      type: list
      elements: dict
    changed:
      description: >-
        The connectors that work or fail since this run, and did not before. Needs the health that the registry keeps. A
        connector that goes back and forth is listed again only after it has stayed as it is for three runs.
      type: list
      elements: str
    has_changed:
      description: Whether there are such connectors.
      type: bool
    generated_at:
      description: The time.
      type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._report.summary import summary
from ansible_collections.mailroom.core.plugins.plugin_utils._results import read_report


def report_summary(outcomes: Any) -> dict[str, Any]:
    return summary(read_report("report_summary", outcomes))


class FilterModule:
    """The filter report_summary."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"report_summary": report_summary}
