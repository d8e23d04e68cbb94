# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: junit
short_description: Write the results of tests as JUnit XML
version_added: 0.1.0
description:
  - Takes the RV(mailroom.core.connector_test#module:results) of M(mailroom.core.connector_test), and returns a JUnit
    test suite with a test case for each connector, as pipelines read it.
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input
options:
  _input:
    description: The results.
    type: list
    elements: dict
    required: true
  host:
    description: The host that was tested from. It names the suite.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Save the results
  ansible.builtin.copy:
    content: "{{ tested.results | mailroom.core.junit(inventory_hostname) }}"
    dest: "results/{{ inventory_hostname }}.xml"
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The XML.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.mailroom.core.plugins.module_utils._report.junit import junit
from ansible_collections.mailroom.core.plugins.plugin_utils._results import read_results


def suite(results: Any, host: str) -> str:
    return junit(read_results("junit", results), host)


class FilterModule:
    """The filter junit."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"junit": suite}
