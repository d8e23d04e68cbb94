# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: connector
short_description: Look up mail connectors in the registry of the controller
version_added: 0.2.0
description:
  - Returns connectors as M(mailroom.core.connector_info) does, for templates and for modules of other collections.
  - The registry is the one of the controller. It is read there, also where the task runs on another host. With a
    registry in PostgreSQL, that is the one that the hosts use as well.
  - A name that does not exist, a missing registry, and with O(secrets=true) a missing key are errors.
  - Options and variables that are empty count as left out.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - cryptography, with O(secrets=true)
options:
  _terms:
    description: The names of the connectors. Either these or O(purpose).
    type: list
    elements: str
  purpose:
    description: The purpose whose connector is returned, resolved as in M(mailroom.core.connector_info).
    type: str
  tenant:
    description: The tenant for which O(purpose) is resolved.
    type: str
  secrets:
    description:
      - Whether secrets are returned as well, each in its field, such as C(smtp.password).
      - Whoever gets the result can read them. Set C(no_log) on each task that uses it, and write it only to files with
        mode C(0600).
    type: bool
    default: false
  registry:
    description: Where connectors are kept, as in M(mailroom.core.connector_info).
    type: str
    default: /var/lib/mailroom/registry.db
    env:
      - name: MAILROOM_REGISTRY
    vars:
      - name: mailroom_registry
  registry_password:
    description: The password for a registry in PostgreSQL.
    type: str
    env:
      - name: MAILROOM_REGISTRY_PASSWORD
    vars:
      - name: mailroom_registry_password
  registry_key:
    description: The keys that open secrets, one or more Fernet keys separated by commas or newlines.
    type: str
    env:
      - name: MAILROOM_REGISTRY_KEY
    vars:
      - name: mailroom_registry_key
  registry_key_file:
    description: The file that holds the keys. It defaults to O(registry) with C(.key) appended.
    type: str
    env:
      - name: MAILROOM_REGISTRY_KEY_FILE
seealso:
  - module: mailroom.core.connector_info
  - ref: ansible_collections.mailroom.core.docsite.sending
    description: How to use connectors in tasks with modules of other collections.
"""

EXAMPLES = r"""
- name: Write a settings file of one's own
  ansible.builtin.copy:
    content: |
      server = {{ connector.smtp.host }}:{{ connector.smtp.port }}
      user = {{ connector.smtp.username }}
      password = {{ connector.smtp.password | to_json }}
    dest: /etc/reporter.conf
    mode: "0600"
  no_log: true
  vars:
    connector: "{{ lookup('mailroom.core.connector', purpose='reports', secrets=true) }}"

- name: Show the servers of two connectors
  ansible.builtin.debug:
    msg: "{{ query('mailroom.core.connector', 'alerts', 'approvals') | map(attribute='smtp.host') }}"
"""

RETURN = r"""
_list:
  description:
    - A connector for each name, or the one for O(purpose), as in RV(mailroom.core.connector_info#module:connectors).
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.mailroom.core.plugins.module_utils._connector.suggest import did_you_mean
from ansible_collections.mailroom.core.plugins.module_utils._errors import MailroomError
from ansible_collections.mailroom.core.plugins.plugin_utils._connectors import (
    REGISTRY_OPTIONS,
    problem,
    read_connector,
)

_VARIABLES = ("mailroom_registry", "mailroom_registry_key", "mailroom_registry_password")
_OPTIONS = ("purpose", "tenant", "secrets", *REGISTRY_OPTIONS)


class LookupModule(LookupBase):
    """The lookup connector."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        names = [each for term in terms for each in (term if isinstance(term, list) else [term])]
        try:
            if not all(isinstance(name, str) for name in names):
                raise problem("_terms", "must be names of connectors")
            for option in kwargs:
                if option not in _OPTIONS:
                    raise problem(option, f"there is no such option{did_you_mean(option, _OPTIONS)}")
            # Ansible does not template the variables from which a lookup takes its options.
            given = {name: variables[name] for name in _VARIABLES if variables and name in variables}
            # Empty ones, which are the defaults of roles, leave it to the environment, as in modules.
            said = _without_empty(self._templar.template(given))
            self.set_options(var_options=said, direct=_without_empty(kwargs))
            purpose, tenant = self.get_option("purpose"), self.get_option("tenant")
            if bool(names) == bool(purpose):
                raise problem("purpose", "must be given where no connector is named, and only there")
            if tenant and not purpose:
                raise problem("tenant", "is of use with purpose only")
            shared = {option: self.get_option(option) for option in REGISTRY_OPTIONS}
            wanted = [{"name": name} for name in names] or [{"purpose": purpose, "tenant": tenant}]
            secrets = self.get_option("secrets")
            found = [read_connector({**shared, **each}, Display().warning, secrets=secrets) for each in wanted]
        except MailroomError as error:
            raise AnsibleLookupError(str(error)) from None
        return [wrap_var(each) for each in found]


def _without_empty(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value not in (None, "")}
