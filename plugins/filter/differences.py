# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: differences
short_description: Format a diff of connectors in lines
version_added: 0.1.0
description:
  - Takes the RV(mailroom.core.connectors#module:diff) of M(mailroom.core.connectors), and returns one line for each
    connector that is created or deleted, and for each field that differs.
  - A secret shows as C((stored)), C((changed)) or C((set)), never as its value.
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input
options:
  _input:
    description: The diff.
    type: dict
    required: true
  details:
    description: Whether to show each field of new connectors as well.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what was changed
  ansible.builtin.debug:
    msg: "{{ result.diff | mailroom.core.differences }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample:
    - "connector alerts: is new"
    - "connector support: imap.mailbox: INBOX -> Requests"
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mailroom.core.plugins.plugin_utils._differences import differences


def lines(diff: Any, details: bool = False) -> list[str]:
    if not isinstance(diff, Mapping) or not {"before", "after"} <= set(diff):
        raise AnsibleFilterError("mailroom.core.differences: the input must be the diff of mailroom.core.connectors")
    return differences(diff["before"], diff["after"], details=details)


class FilterModule:
    """The filter differences."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"differences": lines}
