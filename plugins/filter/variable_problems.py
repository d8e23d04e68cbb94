# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: variable_problems
short_description: Validate variables of the roles
version_added: 0.1.0
description:
  - Takes variables whose names begin with C(mailroom_), and returns a sentence for each unknown one, with the most
    similar known name, and for each that has an invalid value.
  - Names that begin with C(mailroom_x_) are for variables of the user. An empty value is always allowed, as it counts
    as left out.
  - Sentences never contain values, which may be secrets.
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input
options:
  _input:
    description: The values of the variables by their names.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Check the variables of a play
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('\n') }}"
  vars:
    names: "{{ query('ansible.builtin.varnames', '^mailroom_') }}"
    values: "{{ query('ansible.builtin.vars', *names, default='') }}"
    problems: "{{ dict(names | zip(values)) | mailroom.core.variable_problems }}"
"""

RETURN = r"""
_value:
  description: The sentences.
  type: list
  elements: str
  sample:
    - "mailroom_conectors: there is no such variable; did you mean mailroom_connectors?"
    - "mailroom_purge: must be true or false."
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mailroom.core.plugins.plugin_utils._variables import validate_variables


def variable_problems(variables: Any) -> list[str]:
    if not isinstance(variables, Mapping):
        raise AnsibleFilterError(
            "mailroom.core.variable_problems: the input must be a dictionary of variables by their names"
        )
    return validate_variables(variables)


class FilterModule:
    """The filter variable_problems."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"variable_problems": variable_problems}
