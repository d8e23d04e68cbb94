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
  - "In short: O(connectors) names what is tested (default: all that are enabled), O(depth) how far, O(to) who gets test
    mail, O(timeout) how long a network step may take, and O(fail) whether the task fails with a connector."
  - Tests any number of connectors in parallel, phase by phase, against the real servers, and reports what is wrong and
    what to do.
  - Resolves names, connects, checks the encryption and the certificate, signs in, and opens the mailbox for reading or
    names sender and recipient, as far as O(depth) says. Mail is sent with O(depth=send) and O(depth=deliver) only.
  - Tests SMTP and IMAP servers, and mailboxes in Microsoft Graph. For Graph, and where C(auth) is V(oauth2), a token is
    requested first, with O(declaration.oauth2). It is kept in memory only, and never stored, logged or returned.
  - Each credential is tried once. After a refusal no other mechanism is tried, and connectors that sign in as the same
    user do so one after another, because accounts get locked.
  - A refused credential is not sent again in the same task, whatever the connector, the protocol or the spelling of the
    server's name. It also counts as refused where the server closes the connection or stops answering after the
    password was sent. Where the reply's code says that the password was not checked, or that the failure is temporary
    (SMTP C(4xx), IMAP C([UNAVAILABLE])), the next connector tries it. The result says where it was refused.
  - A password is sent without encryption only where C(security) V(none) is declared, and then with a warning.
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
      - V(connect) ends when the server has listed its capabilities, over TLS unless C(security) is V(none). For Graph,
        it ends when the TLS connection is open.
      - V(login) signs in and opens the mailbox for reading only. For Graph, it requests a token and reads the mailbox;
        if the application has no permission to read, that phase is skipped, which is not a failure.
      - V(envelope) names sender and recipient to the sending server and resets the transaction. For Graph, it ends
        like V(login), with the warning that the permission to send is not proven.
      - V(send) sends a test mail, whose body names host, port, type, security and user. For a connector that only
        receives mail it ends like V(login).
      - V(deliver) also finds this mail in the connector's own mailbox or in that of O(deliver_via), and removes it
        from there. The mailbox is opened before anything is sent; if that fails, nothing is sent.
      - In check mode the depth is V(envelope) at most, with the warning C(check_mode). The same holds for the option
        C(verify) of M(mailroom.core.connector) and M(mailroom.core.connectors), and for the roles;
        M(mailroom.core.init_mail) contacts no server in check mode.
    type: str
    choices:
      - connect
      - login
      - envelope
      - send
      - deliver
    default: login
  to:
    description:
      - The recipient at the depths V(envelope), V(send) and V(deliver). Left out, each connector's C(test_address),
        which defaults to the user who signs in where that is an address, else to C(from_address).
      - With O(depth=deliver), mail for it has to arrive in the mailbox that is read.
      - The sender is C(errors_to), else C(from_address), else the user who signs in. Where C(relay) is set, a
        sender in a foreign domain is tried as well, to C(test_address) only.
      - Mail goes to that address alone, unless O(include_copies=true).
    type: str
  include_copies:
    description:
      - Whether the test mail goes to the connector's C(cc) and C(bcc) as well.
    type: bool
    default: false
  deliver_via:
    description:
      - The name of the connector whose mailbox is searched with O(depth=deliver). Left out, each connector's own.
      - It needs C(imap) or C(graph), and its secrets are opened as well. Its server is the last of C(endpoints), with
        its name as C(connector).
    type: str
  timeout:
    description:
      - Seconds that one step may take, such as connecting or a reply.
    type: float
    default: 10
  deadline:
    description:
      - Seconds that one connector may take in total.
    type: float
    default: 60
  concurrency:
    description:
      - How many connectors are tested in parallel. At most ten of them use the servers of one provider at a time.
      - Fewer run where the process may not open enough files, about six for each connector.
    type: int
    default: 32
  min_days_valid:
    description:
      - A certificate that expires within this many days is a warning.
    type: int
    default: 14
  fail:
    description:
      - Whether the task fails if a connector fails. The results are returned either way.
    type: bool
    default: true
  alternatives:
    description:
      - Whether the other usual ports of a host are tried if no encrypted connection can be made (refused, timed out,
        one side speaks TLS and the other plain text, no STARTTLS). These are 465 (tls), 587 (starttls) and 25
        (starttls) for SMTP, and 993 (tls) and 143 (starttls) for IMAP.
      - They are tried in parallel and without signing in, through the same proxy and with the same certificate checks,
        each host once in a task. Together they take O(timeout) at most, within O(deadline).
      - The remedy names the ports that answer. They are never used automatically.
    type: bool
    default: true
  record:
    description:
      - Whether the registry keeps the outcome, in one transaction after all tests. M(mailroom.core.connector_info)
        returns it as C(health). This does not count as a change.
      - A registry that cannot be written to is a warning. In check mode nothing is recorded, and never a connector
        that is disabled. It cannot be combined with O(declaration).
      - The registry keeps the last 100 tests of each connector. Its state is V(status) and V(verdict) of the last one;
        nothing is smoothed. To hear of a failure only once it lasts, look at C(failures_in_a_row).
      - In PostgreSQL each test that finds another state than the one before is announced on the channel C(mailroom),
        with C(connector), C(status) and C(verdict).
      - The role P(mailroom.core.verify#role) records unless C(mailroom_record) says otherwise.
    type: bool
    default: false
    version_added: 0.2.0
extends_documentation_fragment:
  - mailroom.core._attributes
  - mailroom.core._attributes.reads
  - mailroom.core._fields.inline
  - mailroom.core._registry
  - mailroom.core._registry.host
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

- name: Show the remedies
  ansible.builtin.debug:
    msg: "{{ tests.results | rejectattr('status', 'equalto', 'ok') | map(attribute='remedy') }}"

- name: Test settings before declaring them
  mailroom.core.connector_test:
    declaration:
      smtp:
        host: smtp.example.com
        username: alerts@example.com
        password: "{{ alerts_password }}"

- name: Send a test mail to an address
  mailroom.core.connector_test:
    connectors:
      - alerts
    depth: send
    to: postmaster@example.com

- name: Send mail, and find it in the mailbox of another connector
  mailroom.core.connector_test:
    connectors:
      - alerts
      - campaigns
    depth: deliver
    deliver_via: support
    to: support@example.com
    deadline: 180

- name: Test an application's secret and its access to a mailbox in Microsoft Graph
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
msg:
  description:
    - The table of verdicts, whether or not the task fails. It has a row for each connector, the worst first, and below
      them what to do, with equal remedies named once. No line is longer than 88 characters.
    - The details are in RV(results). The filter P(mailroom.core.verdict_table#filter) renders them as the same table.
    - If the options are wrong or the registry cannot be read, it holds that error.
  returned: always
  type: str
  sample: |-
    connector  status  verdict            where                           ms
    alerts     fail    tls_name_mismatch  smtp smtp.example.com 465, tls  212
    support    ok      ok                 smtp smtp.example.org 587       1874
    2 tested: 1 ok, 0 warn, 1 fail
    alerts: tls_name_mismatch (certain), field smtp.host. The certificate is issued for
        other names (mail.example.com): set host to one of them, or have a certificate
        issued for smtp.example.com.
results:
  description:
    - The result of each connector, in the order of the task.
    - C(status) is V(ok), V(warn) or V(fail); C(verdict) says why, C(certainty) how sure that is, and C(remedy)
      what to do. V(host_not_ready) is about the host rather than the connector. A library or a key that the task needs
      is missing or wrong there.
    - C(field) is the declared field to look at first, such as C(smtp.password), or the option of the task, such as
      C(to) or C(deliver_via); V(null) where there is none. Where C(smtp) signs in as C(imap) does
      (C(same_credentials)), it is the field of C(imap).
    - C(deliver_via) names the connector whose mailbox is read, if that is another one. If that mailbox cannot be used,
      C(remedy) names it too, and C(field) is V(deliver_via).
    - C(alternatives) lists the other ports that answer (see O(alternatives)), each with C(protocol), C(port) and
      C(security). It is empty if none was tried or none answered.
    - C(message), of the sending server, is V(null) if no mail was sent. It has C(message_id), C(queue_id) (V(null) if
      the reply holds none), and, if the mail was found, C(delivered_ms) (the time from acceptance to delivery),
      C(authentication) (the results of C(spf), C(dkim) and C(dmarc), if the receiving server records them) and C(hops)
      (the number of servers on the way).
    - With C(-vvv), C(traceback) says where a bug of this collection happened (C(verdict=internal_error)). Secrets are
      hidden in it.
  returned: always
  type: list
  elements: dict
  sample:
    - connector: alerts
      status: fail
      verdict: tls_name_mismatch
      field: smtp.host
      certainty: certain
      remedy: "The certificate is issued for other names (mail.example.com): set host to one of them, or have a
        certificate issued for smtp.example.com."
      warnings: []
      alternatives: []
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
          message: null
    - connector: support
      status: ok
      verdict: ok
      field: null
      certainty: certain
      remedy: ""
      warnings: []
      alternatives: []
      depth: deliver
      elapsed_ms: 1874
      endpoints:
        - protocol: smtp
          host: smtp.example.org
          port: 587
          address: 192.0.2.9
          phases:
            - phase: message
              status: ok
              ms: 41.3
              code: 250
              enhanced: 2.0.0
              text: "2.0.0 Ok: queued as 4dL7Gk2Xz9z4w"
            - phase: delivery
              status: ok
              ms: 1312.0
          tls:
            version: TLSv1.3
            days_left: 80
          capabilities: {}
          message:
            message_id: "<test.9a1f3c5e7b8d20446688aaccee0123456789abcd@example.org>"
            queue_id: 4dL7Gk2Xz9z4w
            delivered_ms: 1312
            authentication:
              spf: pass
              dkim: pass
              dmarc: pass
            hops: 2
summary:
  description: The number of connectors by status.
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
