# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: outdated_applications
short_description: List applications that do not have what they would be given now
version_added: 0.2.0
description:
  - Takes the result of M(mailroom.core.connector_info), and returns one line for each application that is not current,
    and for each that has the settings of a connector that is deleted.
  - Where it is not known, as without the key of the registry, there is no line.
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input
options:
  _input:
    description: The result of M(mailroom.core.connector_info).
    type: dict
    required: true
  hosts:
    description: The hosts whose applications are listed. If it is left out, those of all are.
    type: list
    elements: str
  other_than:
    description: Hosts whose applications are not listed.
    type: list
    elements: str
    default: []
  compared:
    description: Applications that are not listed, each with C(app) and C(path), as in C(mailroom_apps).
    type: list
    elements: dict
    default: []
  compared_on:
    description: The host of those in O(compared).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: See who uses what
  mailroom.core.connector_info:
  register: found

- name: Show what has to be written again
  ansible.builtin.debug:
    msg: "{{ found | mailroom.core.outdated_applications }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample:
    - >-
      msmtp /etc/msmtprc on web1: has other settings than it would be given now, of connector alerts (written
      2026-11-20T10:00:00Z by deploy)
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mailroom.core.plugins.plugin_utils._applications import outdated_applications


def lines(found: Any, hosts: Any = None, other_than: Any = (), compared: Any = (), compared_on: str = "") -> list[str]:
    if not isinstance(found, Mapping) or not isinstance(found.get("connectors"), (list, tuple)):
        raise AnsibleFilterError(
            "mailroom.core.outdated_applications: the input must be the result of mailroom.core.connector_info"
        )
    return outdated_applications(found, hosts=hosts, other_than=other_than, compared=compared, compared_on=compared_on)


class FilterModule:
    """The filter outdated_applications."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"outdated_applications": lines}
