# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: without_blanks
short_description: Leave out blank values
version_added: 0.2.0
description:
  - Returns a dictionary without the values that are null or an empty text, as a survey returns them for a blank answer,
    and without those of the dictionaries in it, so that the defaults of a module hold.
  - An empty C(prefix) is kept. With it, the module M(mailroom.core.connector_config) begins names of variables with
    nothing.
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input
options:
  _input:
    description: A dictionary, such as an entry of C(mailroom_apps).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write a connector into an application
  mailroom.core.connector_config:
    applications: "{{ mailroom_apps | map('mailroom.core.without_blanks') }}"
"""

RETURN = r"""
_value:
  description: The dictionary without blank values.
  type: dict
  sample:
    app: fetchmail
    path: /etc/fetchmailrc
    options: {local_user: support}
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mailroom.core.plugins.plugin_utils import _variables


def without_blanks(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise AnsibleFilterError("mailroom.core.without_blanks: the input must be a dictionary")
    return _variables.without_blanks(entry)


class FilterModule:
    """The filter without_blanks."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"without_blanks": without_blanks}
