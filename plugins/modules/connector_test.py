#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: connector_test
short_description: Test mail connectors against their servers
version_added: 0.1.0
description:
  - Tests any number of connectors at once, phase by phase, against the real servers, and says what is wrong and
    what to do.
  - Names and addresses are looked up, connections made, the encryption and the certificate checked, the user
    signed in, and the mailbox opened for reading or sender and recipient named, as deep as O(depth) says. No
    mail is sent.
  - Servers for SMTP and IMAP, and mailboxes in Microsoft Graph, are tested. Where C(auth) is V(oauth2), and for
    Graph, a token is fetched first, as O(declaration.oauth2) says; it is kept in memory only, and never stored,
    logged or returned.
  - Each credential is tried once. There is no second attempt with another mechanism after a refusal, and
    connectors that sign in as the same user do so one after another, since accounts get locked.
  - A password only crosses an unencrypted connection where C(security) V(none) is written, and then with a
    warning.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - imapclient, where a connector with an C(imap) block signs in
  - msal, where C(oauth2) signs in at Microsoft; 1.35 or newer where it does so with a certificate
  - cryptography, where secrets from the registry are needed, and where C(oauth2) signs in with a certificate or a
    C(service_account); with it, certificates that are refused are described in full
options:
  connectors:
    description:
      - The connectors to test, by name. Left out, and without O(declaration), all that are enabled.
    type: list
    elements: str
  depth:
    description:
      - V(connect) ends when the server has said, encrypted where it is to be, what it can do. For Graph, it ends
        when the encrypted connection is there.
      - V(login) signs in and opens the mailbox for reading only. For Graph, it fetches a token and looks at the
        mailbox; where the application is not permitted to look, that phase is skipped, which is no failure.
      - V(envelope) names sender and recipient to the sending server and takes them back. For Graph, it sends
        nothing and goes no further than V(login), and a warning says that only sending proves that the
        application may send.
    type: str
    choices:
      - connect
      - login
      - envelope
    default: login
  to:
    description:
      - The recipient to name at depth V(envelope). Left out, each connector's C(test_address).
      - The sender is C(errors_to), else C(from_address), else the user who signs in. Where C(relay) is set, a
        sender in a foreign domain is tried as well, to C(test_address) only.
    type: str
  timeout:
    description:
      - Seconds that a step, such as connecting or a reply, may take.
    type: float
    default: 10
  deadline:
    description:
      - Seconds that a connector may take in all.
    type: float
    default: 60
  concurrency:
    description:
      - How many connectors are tested at once. Servers of a provider are never asked by more than ten at once.
    type: int
    default: 32
  min_days_valid:
    description:
      - A certificate that ends within this many days is a warning.
    type: int
    default: 14
  fail:
    description:
      - Whether the task fails where a connector does. The results are returned either way.
    type: bool
    default: true
extends_documentation_fragment:
  - mailroom.core._attributes
  - mailroom.core._attributes.reads
  - mailroom.core._fields.inline
  - mailroom.core._registry
seealso:
  - ref: ansible_collections.mailroom.core.docsite.signing_in
    description: Every way to sign in, what to register at the provider, and what goes wrong most often.
  - ref: ansible_collections.mailroom.core.docsite.verdicts
    description: What each verdict means, and what to do.
  - module: mailroom.core.connector
  - module: mailroom.core.connector_info
"""

EXAMPLES = r"""
- name: Test every connector of this host
  mailroom.core.connector_test:

- name: Test two connectors as far as the envelope, and go on if one fails
  mailroom.core.connector_test:
    connectors:
      - alerts
      - support
    depth: envelope
    fail: false
  register: tests

- name: Show what to do
  ansible.builtin.debug:
    msg: "{{ tests.results | rejectattr('status', 'equalto', 'ok') | map(attribute='remedy') }}"

- name: Try settings before declaring them
  mailroom.core.connector_test:
    declaration:
      smtp:
        host: smtp.example.com
        username: alerts@example.com
        password: "{{ alerts_password }}"

- name: Try an application's secret and its access to a mailbox in Microsoft Graph
  mailroom.core.connector_test:
    declaration:
      graph:
        mailbox: alerts@example.com
      oauth2:
        tenant_id: 8f3c2a10-5d7e-4b69-9c41-2e0d6a7b1f35
        client_id: 1d4e6b2f-90ac-4f7b-8a53-c6d1e7f20b94
        client_secret: "{{ alerts_client_secret }}"
"""

RETURN = r"""
results:
  description:
    - What was found out of each connector, in the order asked.
    - C(status) is V(ok), V(warn) or V(fail); C(verdict) says why, C(certainty) how sure that is, and C(remedy)
      what to do.
  returned: always
  type: list
  elements: dict
  sample:
    - connector: alerts
      status: fail
      verdict: tls_name_mismatch
      certainty: certain
      remedy: "The certificate is issued for: mail.example.com. Set host to one of these, or have a certificate issued
        for smtp.example.com."
      warnings: []
      depth: login
      elapsed_ms: 212
      endpoints:
        - protocol: smtp
          host: smtp.example.com
          port: 465
          address: 192.0.2.7
          phases:
            - phase: config
              status: ok
              ms: 0.1
            - phase: dns
              status: ok
              ms: 1.2
            - phase: tcp
              status: ok
              ms: 8.4
            - phase: tls
              status: fail
              ms: 31.0
              text: Hostname mismatch
          tls:
            version: TLSv1.3
            names:
              - mail.example.com
            days_left: 61
          capabilities: {}
summary:
  description: How many connectors have which status.
  returned: always
  type: dict
  sample:
    ok: 11
    warn: 2
    fail: 1
"""

from ansible_collections.mailroom.core.plugins.module_utils._module.connector_test import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
