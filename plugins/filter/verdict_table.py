# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: verdict_table
short_description: Show the results of tests as a table
version_added: 0.1.0
description:
  - Takes the RV(mailroom.core.connector_test#module:results) of M(mailroom.core.connector_test), and returns the
    lines of a table with a row for each connector, failures first, and below it the remedies. A remedy that several
    connectors share is listed once.
  - No line is longer than 88 characters, so that it fits into 100 columns as Ansible shows a list.
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input
options:
  _input:
    description: The results.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the results
  ansible.builtin.debug:
    msg: "{{ tested.results | mailroom.core.verdict_table }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample:
    - "connector  status  verdict      where                       ms"
    - "alerts     ok      ok           smtp smtp.example.com 587  212"
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._report.table import table
from ansible_collections.mailroom.core.plugins.plugin_utils._results import read_results


def verdict_table(results: Any) -> list[str]:
    return table(read_results("verdict_table", results))


class FilterModule:
    """The filter verdict_table."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"verdict_table": verdict_table}
