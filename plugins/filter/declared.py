# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: declared
short_description: Merge layers of variables into a list of connectors
version_added: 0.1.0
description:
  - Merges dictionaries of connectors by their names, deeply and in the order given, and returns the list that
    M(mailroom.core.connectors) takes.
  - A later layer overrides earlier ones. V(null) in it removes a connector, a block or a field of earlier ones.
  - Empty strings, such as blank answers to a survey, are ignored.
  - A list is replaced as a whole, and so is O(ignore:oauth2.service_account).
author:
  - mailroom.core contributors (!UNKNOWN)
positional: _input
options:
  _input:
    description: The layers by the names that errors use for them.
    type: dict
    required: true
  partial:
    description:
      - Whether the layers only hold changes to connectors that are declared elsewhere. Otherwise it is an error when
        nothing but secrets is given for a connector.
    type: bool
    default: false
  problems:
    description:
      - Whether to return the problems of the layers, a sentence for each, instead of the connectors.
      - Otherwise a problem is an error.
    type: bool
    default: false
seealso:
  - module: mailroom.core.connectors
"""

EXAMPLES = r"""
- name: Declare the connectors of two layers
  mailroom.core.connectors:
    connectors: "{{ layers | mailroom.core.declared }}"
  vars:
    layers:
      shape:
        alerts:
          provider: mailgun
          from_address: alerts@example.com
          smtp:
            username: alerts@example.com
      secrets:
        alerts:
          smtp:
            password: "{{ vault_alerts_password }}"
"""

RETURN = r"""
_value:
  description: The connectors, each with its name, in the order in which they were first named; or the problems.
  type: list
  elements: raw
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.mailroom.core.plugins.module_utils._connector.layers import merge_layers
from ansible_collections.mailroom.core.plugins.module_utils._errors import DeclarationError


def declared(layers: Any, partial: bool = False, problems: bool = False) -> list[dict[str, Any]] | list[str]:
    if not isinstance(layers, Mapping):
        raise AnsibleFilterError("mailroom.core.declared: the input must be a dictionary of layers by their names")
    try:
        connectors = merge_layers(layers, partial=partial)
    except DeclarationError as error:
        if problems:
            texts = [str(problem) for problem in error.problems]
            return [text if text.endswith("?") else f"{text}." for text in texts]
        raise AnsibleFilterError(str(error)) from None
    return [] if problems else connectors


class FilterModule:
    """The filter declared."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"declared": declared}
