# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: unknown_names
short_description: List names that are not known
version_added: 0.1.0
description:
  - Returns the names that are not among the known ones, each with the most similar known name, if there is one.
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input, known
options:
  _input:
    description: The names.
    type: list
    elements: str
    required: true
  known:
    description: The names that are known.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Look up which connectors there are
  mailroom.core.connector_info:
  register: found

- name: Check that alerts is one of them
  ansible.builtin.assert:
    that: unknown | length == 0
    fail_msg: "There is no such connector: {{ unknown | join(', ') }}."
  vars:
    unknown: "{{ ['alerts'] | mailroom.core.unknown_names(found.connectors | map(attribute='name')) }}"
"""

RETURN = r"""
_value:
  description: The names that are not known, in the order given.
  type: list
  elements: str
  sample:
    - "alrts (did you mean alerts?)"
"""

from collections.abc import Callable, Iterable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mailroom.core.plugins.module_utils._connector.suggest import nearest, printable_word


def unknown_names(names: Any, known: Any) -> list[str]:
    for each in (names, known):
        if isinstance(each, (str, bytes)) or not isinstance(each, Iterable):
            raise AnsibleFilterError(
                "mailroom.core.unknown_names: the input must be a list of names, and known as well"
            )
    wanted, there = [str(name) for name in names], [str(name) for name in known]
    return [_describe(name, nearest(name, there)) for name in dict.fromkeys(wanted) if name not in there]


def _describe(name: str, near: str) -> str:
    return f"{printable_word(name)} (did you mean {near}?)" if near else printable_word(name)


class FilterModule:
    """The filter unknown_names."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"unknown_names": unknown_names}
