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
    signed in, and the mailbox opened for reading or sender and recipient named, as deep as O(depth) says. Mail is
    sent with O(depth=send) and O(depth=deliver) only.
  - Servers for SMTP and IMAP, and mailboxes in Microsoft Graph, are tested. Where C(auth) is V(oauth2), and for
    Graph, a token is fetched first, as O(declaration.oauth2) says; it is kept in memory only, and never stored,
    logged or returned.
  - Each credential is tried once. There is no second attempt with another mechanism after a refusal, and
    connectors that sign in as the same user do so one after another, since accounts get locked.
  - A credential that was refused is not sent again in the same task, whatever the connector, the protocol or the
    spelling of the server's name. It counts as refused, too, where the server closes the connection or falls silent
    after the password was sent, as many do. Only where the reply's code says that nobody looked at the password, or
    that the trouble is temporary (SMTP C(4xx), IMAP C([UNAVAILABLE])), the next connector tries it. The result
    says where it was refused.
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
      - V(send) sends a test mail, whose body names host, port, type, security and user. A connector that only
        receives mail goes no further than V(login).
      - V(deliver) sends it as well, finds that very mail in the connector's own mailbox or in that of O(deliver_via),
        and removes it from there, and nothing else. The mailbox is opened first; where that fails, nothing is sent.
      - In check mode the depth is V(envelope) at most. Results say so with the warning C(check_mode). The same holds
        for the option C(verify) of M(mailroom.core.connector) and M(mailroom.core.connectors), and for the roles;
        M(mailroom.core.init_mail) asks no server in check mode.
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
        which is the user who signs in where that is an address, and C(from_address) else.
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
      - The connector in whose mailbox mail is looked for with O(depth=deliver), by name. Left out, each connector's
        own.
      - It needs C(imap) or C(graph), and its secrets are opened as well. Its server is the last in C(endpoints), with
        its name as C(connector).
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
      - They are fewer where the process may not open as many files as that takes, about six for each connector.
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
  alternatives:
    description:
      - Whether the other usual ports of a host are tried where no encrypted connection comes about (refused, timed out,
        one side speaks TLS and the other plain text, no STARTTLS). These are 465 (tls), 587 (starttls) and 25
        (starttls) for SMTP, and 993 (tls) and 143 (starttls) for IMAP.
      - They are tried side by side and without signing in, through the same proxy and with the same check of
        certificates, each host once in a task. All together take O(timeout) at most, within O(deadline).
      - The remedy names what answers. It is never used by itself.
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
msg:
  description:
    - The table of verdicts, whether or not the task fails. It has a row for each connector, the worst first, and below
      it what to do about those that are not well, once for all that it concerns. No line is longer than 88 characters.
    - It never holds the details, which are in RV(results). The filter P(mailroom.core.verdict_table#filter) makes the
      same table of them.
    - Where the options are wrong, or the registry cannot be read, it says that.
  returned: always
  type: str
  sample: |-
    connector  status  verdict            where                           ms
    alerts     fail    tls_name_mismatch  smtp smtp.example.com 465, tls  212
    support    ok      ok                 smtp smtp.example.org 587       1874
    2 tested: 1 ok, 0 warn, 1 fail
    alerts: tls_name_mismatch (certain), field smtp.host. The certificate is issued for:
        mail.example.com. Set host to one of these, or have a certificate issued for
        smtp.example.com.
results:
  description:
    - What was found out of each connector, in the order asked.
    - C(status) is V(ok), V(warn) or V(fail); C(verdict) says why, C(certainty) how sure that is, and C(remedy)
      what to do. V(host_not_ready) is the verdict on the host rather than the connector, where a library or a key that
      the task needs is missing or wrong there.
    - C(field) is the declared field to look at first, such as C(smtp.password), or the option of the task, such as
      C(to) or C(deliver_via); V(null) where there is none. Where C(smtp) signs in as C(imap) does
      (C(same_credentials)), it is the field of C(imap).
    - C(deliver_via) names the connector whose mailbox is read, where that is another one. Where it cannot be used,
      it is in C(remedy), too, and C(field) is V(deliver_via).
    - C(alternatives) lists what answers instead, as O(alternatives) says, each with C(protocol), C(port) and
      C(security). It is empty where nothing was tried or nothing answered.
    - C(message), of the server that sends, is V(null) where no mail was sent. It has C(message_id), C(queue_id)
      (V(null) where the server does not tell), and, where the mail was found, C(delivered_ms) (how long that took from
      when the server had accepted it), C(authentication) (the results of C(spf), C(dkim) and C(dmarc), where the
      receiving server tells them) and C(hops) (how many servers it has passed).
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
      remedy: "The certificate is issued for: mail.example.com. Set host to one of these, or have a certificate issued
        for smtp.example.com."
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
