# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: hosts
short_description: Fail if a pattern matches no host
version_added: 0.1.0
description:
  - Returns a pattern of hosts for the keyword C(hosts) of a play, unless no host matches it. Ansible itself would end
    such a play without an error, although nothing was done.
  - The limit that C(--limit) sets is taken into account. Where nothing runs, as with C(--syntax-check) and
    C(--list-tasks), no host is needed.
  - The playbooks of the collection use it.
author:
  - mailroom.core contributors (!UNKNOWN)
options:
  _terms:
    description: The pattern, or several.
    type: list
    elements: str
    required: true
  serial:
    description: The value of the keyword C(serial) of the play, which is checked as well.
    type: raw
    default: 100%
  allow_empty:
    description: Whether a play on no host is allowed.
    type: bool
    default: false
seealso:
  - plugin: ansible.builtin.inventory_hostnames
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Test the mail connectors of production
  hosts: "{{ lookup('mailroom.core.hosts', 'production') }}"
  gather_facts: false
  roles:
    - role: mailroom.core.verify
"""

RETURN = r"""
_list:
  description: The pattern, unchanged.
  type: list
  elements: str
"""

from typing import Any

from ansible import context
from ansible.errors import AnsibleLookupError
from ansible.inventory.manager import InventoryManager
from ansible.plugins.loader import filter_loader
from ansible.plugins.lookup import LookupBase

from ansible_collections.mailroom.core.plugins.plugin_utils._variables import validate_variables

# With these options ansible-playbook runs nothing.
_ONLY_READ = ("syntax", "listhosts", "listtasks", "listtags")


class LookupModule(LookupBase):
    """The lookup hosts."""

    def run(self, terms: list[Any], variables: dict[str, Any], **kwargs: Any) -> list[str]:
        pattern = [each for term in terms for each in (term if isinstance(term, list) else [term])]
        given = {"mailroom_hosts": pattern, **{f"mailroom_{name}": value for name, value in kwargs.items()}}
        problems = validate_variables(given)
        if problems:
            raise AnsibleLookupError("\n".join(problems))
        self.set_options(var_options=variables, direct=kwargs)
        is_needed = not self.get_option("allow_empty") and not any(context.CLIARGS.get(name) for name in _ONLY_READ)
        if is_needed and not self._matching(pattern, variables):
            raise AnsibleLookupError(
                f"No host in the inventory matches {', '.join(pattern)} and the limit."
                " Set mailroom_hosts to the hosts that are meant, or mailroom_allow_empty: true."
            )
        # All filters of the collection are loaded with one of them: here once, instead of in each process that Ansible
        # forks for a host and a task.
        filter_loader.get("mailroom.core.variable_problems")
        return pattern

    def _matching(self, pattern: list[str], variables: dict[str, Any]) -> list[Any]:
        """The hosts of the inventory that a pattern and the limit match."""
        inventory = InventoryManager(self._loader, parse=False)
        for group, hosts in variables["groups"].items():
            inventory.add_group(group)
            for host in hosts:
                inventory.add_host(host, group=group)
        inventory.subset(variables.get("ansible_limit"))
        matching: list[Any] = inventory.get_hosts(pattern)
        return matching
