# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: metrics
short_description: Render the results of tests as metrics for Prometheus
version_added: 0.2.0
description:
  - Takes the results of M(mailroom.core.connector_test) from a host, and returns gauges in Prometheus's text format, as
    the text-file collector of node_exporter reads them.
  - The role P(mailroom.core.verify#role) writes them with its variable C(mailroom_metrics).
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

- name: Write the metrics
  ansible.builtin.copy:
    content: "{{ {inventory_hostname: {'results': tested.results}} | mailroom.core.metrics }}"
    dest: /var/lib/prometheus/node-exporter/mailroom.prom
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The metrics.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._report.metrics import metrics
from ansible_collections.mailroom.core.plugins.plugin_utils._results import read_report


def render(outcomes: Any) -> str:
    return metrics(read_report("metrics", outcomes))


class FilterModule:
    """The filter metrics."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"metrics": render}
