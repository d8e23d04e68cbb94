# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: comparable_applications
short_description: Leave out applications whose connector is still to be created
version_added: 0.2.0
description:
  - Returns the entries of C(mailroom_apps) or C(mailroom_apis) whose connector is in the registry already, so that
    their settings can be compared.
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input, changed, found
options:
  _input:
    description: The applications, each with C(connector), or C(purpose) and C(tenant), or neither.
    type: list
    elements: dict
    required: true
  changed:
    description: The result of M(mailroom.core.connectors) in check mode.
    type: dict
    required: true
  found:
    description: The result of M(mailroom.core.connector_info).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Compare the connectors with what is declared
  mailroom.core.connectors:
    connectors: "{{ declared }}"
  check_mode: true
  register: changed

- name: Look up which connectors there are
  mailroom.core.connector_info:
  register: found

- name: Compare the settings of the applications
  mailroom.core.connector_config:
    applications: "{{ applications | mailroom.core.comparable_applications(changed, found) }}"
  check_mode: true
"""

RETURN = r"""
_value:
  description: The applications that can be compared, in the order given.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mailroom.core.plugins.plugin_utils import _applications


def comparable_applications(entries: Any, changed: Any, found: Any) -> list[Mapping[str, Any]]:
    is_changed = isinstance(changed, Mapping) and {"created", "default", "diff"} <= changed.keys()
    is_found = isinstance(found, Mapping) and "connectors" in found
    if not isinstance(entries, (list, tuple)) or not is_changed or not is_found:
        raise AnsibleFilterError(
            "mailroom.core.comparable_applications: the input must be a list of applications, with the results of"
            " mailroom.core.connectors and mailroom.core.connector_info"
        )
    return _applications.comparable_applications(entries, changed, found)


class FilterModule:
    """The filter comparable_applications."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"comparable_applications": comparable_applications}
