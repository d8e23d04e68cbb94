#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: connector_info
short_description: Look up mail connectors
version_added: 0.1.0
description:
  - "In short: O(name) looks up one connector, O(purpose) and O(tenant) the one that is to be used. Without any of
    these, all are returned."
  - Returns one connector, the one that serves a purpose, or all of them. Secrets are listed by name, never shown.
  - If the registry's key is available, a secret that was moved or edited outside the collection counts as not stored,
    with a warning.
  - A registry that does not exist yet holds no connectors, with a warning.
author:
  - mailroom.core contributors (!UNKNOWN)
options:
  name:
    description:
      - The connector to look up. If it does not exist, the list is empty.
    type: str
  purpose:
    description:
      - The purpose to resolve to a connector. This is the connector bound to it for O(tenant), else the one bound to
        it for all tenants, else the default.
      - If the default is returned and the purpose is bound for no tenant at all, a warning names the purpose that was
        probably meant.
      - The task fails if there is no such connector, or if it is not available to O(tenant).
    type: str
  tenant:
    description:
      - The tenant for which O(purpose) is resolved.
    type: str
  history:
    description:
      - Whether to return the revisions of each connector.
      - With O(name), a connector that was deleted is found too, as long as no other has its name.
    type: bool
    default: false
extends_documentation_fragment:
  - mailroom.core._attributes
  - mailroom.core._attributes.reads
  - mailroom.core._registry
seealso:
  - module: mailroom.core.connector
  - module: mailroom.core.connector_purpose
"""

EXAMPLES = r"""
- name: Look up all connectors
  mailroom.core.connector_info:
  register: mail

- name: Find the connector that sends alerts for a tenant
  mailroom.core.connector_info:
    purpose: alerts
    tenant: acme
  register: alerts

- name: See who changed a connector, when and how
  mailroom.core.connector_info:
    name: prod_alerts
    history: true
  register: changes
"""

RETURN = r"""
connectors:
  description:
    - The connectors found, sorted by name.
    - "The fields of the connector, derived ones included, and what the registry holds about it: C(type) (V(smtp),
      V(imap) or V(graph)), C(is_default), C(purposes), C(secrets) (the sorted names of those stored),
      C(revision), C(created_at), C(created_by), C(updated_at), C(updated_by) and C(init_mail) (when and to whom
      it was sent, and whether it is due)."
    - "C(applications) are those that were given the connector by M(mailroom.core.connector_config) or
      M(mailroom.core.connector_api), each with C(app), C(host), C(place) (the file, or the URL and what is addressed
      there), C(purpose) and C(tenant) (V(null) where it was chosen by its name), C(written_at), C(written_by) and
      C(current)."
    - C(current) is V(false) where something else would be written now, since a field or secret that is written there
      has changed, or the purpose stands for another connector. It is V(null) where that cannot be told without the
      registry's key. Whether somebody changed the file itself does not show in it, nor that another release of the
      collection would write it differently.
    - "C(health) says how the connector fared in the tests that M(mailroom.core.connector_test) has recorded: C(status)
      and C(verdict) of the last one, C(since) (the first test in a row with both), C(checked_at), C(last_ok_at) (the
      last one that did not fail), C(failures_in_a_row), C(expires) (the end of the first certificate or client secret
      that ends), C(host) (where it was tested), and C(runs), the last 100 tests, the oldest first, each with C(at),
      C(host), C(status), C(verdict) and C(ms). It is V(null) if no test was recorded."
    - With O(purpose), C(resolved_by) says how it was found, V(tenant_purpose) (bound for O(tenant)), V(purpose) (bound
      for all tenants) or V(default).
    - With O(history=true) each has C(history), the list of its revisions with C(revision), C(at), C(by),
      C(before) and C(after), the oldest first.
    - "Of a connector that was deleted there is only C(name), C(deleted) (V(true)) and C(history), the last entry of
      which says by whom and when. Several that had the name one after another have an entry each."
  returned: success
  type: list
  elements: dict
  sample:
    - name: prod_alerts
      type: smtp
      display_name: Alerts of production
      enabled: true
      from_address: alerts@example.com
      smtp:
        host: smtp.example.com
        port: 587
        security: starttls
        auth: password
        username: alerts@example.com
        validate_certs: true
      secrets:
        - smtp.password
      is_default: true
      purposes:
        - alerts
      revision: 3
      created_at: "2026-11-20T08:00:00Z"
      created_by: deploy
      updated_at: "2026-11-20T09:30:00Z"
      updated_by: deploy
      init_mail:
        sent_at: null
        sent_to: null
        due: true
      applications:
        - app: msmtp
          host: web1.example.com
          place: /etc/msmtprc
          purpose: alerts
          tenant: null
          written_at: "2026-11-20T10:00:00Z"
          written_by: deploy
          current: true
      health:
        status: fail
        verdict: auth_rejected
        since: "2026-11-27T03:00:00Z"
        checked_at: "2026-11-28T03:00:00Z"
        last_ok_at: "2026-11-26T03:00:00Z"
        failures_in_a_row: 2
        expires: "2027-01-19T08:00:00Z"
        host: mail01.example.com
        runs:
          - at: "2026-11-28T03:00:00Z"
            host: mail01.example.com
            status: fail
            verdict: auth_rejected
            ms: 212
orphaned_applications:
  description:
    - The applications that still have the settings of a connector that is deleted, like those in RV(connectors), and
      with C(connector), its name. With O(name), those of a connector of this name. With O(purpose), none.
    - Write another connector there, remove what was written with C(state=absent), or have it forgotten.
  returned: where there are any
  type: list
  elements: dict
  sample:
    - connector: old_alerts
      app: msmtp
      host: web3.example.com
      place: /etc/msmtprc
      purpose: null
      tenant: null
      written_at: "2026-01-20T10:00:00Z"
      written_by: deploy
      current: false
"""

from ansible_collections.mailroom.core.plugins.module_utils._module.connector_info import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
