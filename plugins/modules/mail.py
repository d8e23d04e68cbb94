#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mail
short_description: Send mail through a connector
version_added: 0.2.0
description:
  - "In short: O(to), O(subject) and O(body), and O(purpose) or O(connector) where the mail is not to go through the
    default connector."
  - Sends mail over SMTP or Microsoft Graph, as the connector is declared, with its encryption, certificate checks,
    proxy and sign-in. C(from_address), C(from_name), C(reply_to), C(errors_to), C(cc), C(bcc), C(headers) and
    C(signature) of the connector apply.
  - A recipient that is refused is a failure, which names it and says who got the mail. The other recipients do get
    it.
  - Each message is tried once. Where the connection breaks after a whole message was sent and before the server has
    answered, the message may have been accepted. It is then in RV(unconfirmed), and it is not sent again.
  - With O(messages), many messages go over one connection, with PIPELINING where the server offers it. A message that
    is refused does not stop the others. Where the server ends the connection between two messages, the others go over
    another one.
  - Attached files are read while they are sent, so that the size of a file does not count in memory. Over Microsoft
    Graph, what is too large for one request is uploaded in parts.
  - Where the server announces how much it accepts (C(SIZE)), a larger message is refused before any of it is sent.
  - Text is sent as UTF-8 in an encoding that passes through every server. An address that has characters other than
    ASCII before the C(@) needs a server with SMTPUTF8.
  - In check mode no server is contacted. The result says what would be sent. A file that does not exist is a warning
    then, because an earlier task of the play may make it.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - msal, where C(oauth2) signs in at Microsoft; 1.35 or newer where it does so with a certificate
  - cryptography, where the connector has secrets
options:
  connector:
    description:
      - The connector that sends. Without it, O(purpose) and O(declaration), the default connector does.
    type: str
  purpose:
    description:
      - The purpose whose connector sends. Where no connector is bound to it, the default connector does.
    type: str
  tenant:
    description:
      - The tenant for which O(purpose) is resolved.
    type: str
  to:
    description:
      - The recipients, as addresses, or as V(Alerts <alerts@example.com>). Required, unless O(cc) or O(bcc) names
        somebody. With both, at most 1000.
    type: list
    elements: str
  cc:
    description:
      - Recipients of a copy.
    type: list
    elements: str
  bcc:
    description:
      - Recipients of a copy that no header names.
    type: list
    elements: str
  subject:
    description:
      - The subject, at most 1000 characters on one line. Required.
    type: str
  body:
    description:
      - The text, at most 1000000 characters. Without it and without O(html), it is the subject.
    type: str
  html:
    description:
      - The HTML. With O(body), the recipient's program shows one of the two.
    type: str
  reply_to:
    description:
      - Where answers go, in place of the connector's C(reply_to).
    type: str
  headers:
    description:
      - Further headers, in place of the connector's of the same names. Those that the message or the mail system
        sets are refused.
    type: dict
  attachments:
    description:
      - Files on the host where the module runs, as absolute paths, or as dictionaries of C(path), C(name) (by default
        that of the file) and C(content_type) (by default, by the name). At most 100.
      - Only regular files are attached. A symbolic link as the last part of C(path) is refused, because it could
        lead to a file that is not meant.
      - A file that changes while it is sent is a failure, and the message is not sent.
    type: list
    elements: raw
  messages:
    description:
      - Several messages, in place of one by O(to), O(subject) and the other options of a message. At most 10000.
    type: list
    elements: dict
    suboptions:
      to:
        description:
          - The recipients, as addresses, or as V(Alerts <alerts@example.com>). Required, unless O(messages[].cc) or
            O(messages[].bcc) names somebody. With both, at most 1000.
        type: list
        elements: str
      cc:
        description:
          - Recipients of a copy.
        type: list
        elements: str
      bcc:
        description:
          - Recipients of a copy that no header names.
        type: list
        elements: str
      subject:
        description:
          - The subject, at most 1000 characters on one line. Required.
        type: str
      body:
        description:
          - The text, at most 1000000 characters. Without it and without O(messages[].html), it is the subject.
        type: str
      html:
        description:
          - The HTML. With O(messages[].body), the recipient's program shows one of the two.
        type: str
      reply_to:
        description:
          - Where answers go, in place of the connector's C(reply_to).
        type: str
      headers:
        description:
          - Further headers, in place of the connector's of the same names. Those that the message or the mail system
            sets are refused.
        type: dict
      attachments:
        description:
          - Files on the host where the module runs, as absolute paths, or as dictionaries of C(path), C(name) (by
            default that of the file) and C(content_type) (by default, by the name). At most 100.
          - Only regular files are attached. A symbolic link as the last part of C(path) is refused, because it could
            lead to a file that is not meant.
          - A file that changes while it is sent is a failure, and the message is not sent.
        type: list
        elements: raw
  include_copies:
    description:
      - Whether the connector's C(cc) and C(bcc) get the mail, too. V(false) is of use to repeat what was refused.
    type: bool
    default: true
  timeout:
    description:
      - Seconds that one step may take, such as connecting or a reply. The reply to a whole message may take until the
        O(deadline).
    type: float
    default: 10
  deadline:
    description:
      - Seconds that the task may take in total. Messages that were not tried by then are in RV(refused).
    type: float
    default: 300
extends_documentation_fragment:
  - mailroom.core._attributes
  - mailroom.core._attributes.mails
  - mailroom.core._fields.inline
  - mailroom.core._registry
seealso:
  - ref: ansible_collections.mailroom.core.docsite.sending
    description: How to send mail from plays, and how to convert tasks with M(community.general.mail).
  - ref: ansible_collections.mailroom.core.docsite.verdicts
    description: What each verdict means, and what to do.
  - module: mailroom.core.connector_test
"""

EXAMPLES = r"""
- name: Tell the operators through the connector that serves alerts
  mailroom.core.mail:
    purpose: alerts
    to: operators@example.com
    subject: "{{ inventory_hostname }} was deployed"
    body: "Version {{ version }} runs on {{ inventory_hostname }}."

- name: Send the nightly report as text, as HTML and as a file
  mailroom.core.mail:
    connector: reports
    to:
      - Finance <finance@example.com>
    cc:
      - audit@example.com
    subject: Nightly report
    body: The report is attached.
    html: "<p>The report is <b>attached</b>.</p>"
    attachments:
      - path: /var/lib/reports/latest.csv
        name: report.csv
        content_type: text/csv; charset=utf-8

- name: Send several messages over one connection
  mailroom.core.mail:
    purpose: notices
    messages:
      - to: ann@example.com
        subject: Maintenance of db1
        body: The database db1 is not available on Sunday.
      - to: bob@example.com
        subject: Maintenance of db2
        body: The database db2 is not available on Monday.

- name: Send without a registry
  mailroom.core.mail:
    declaration:
      from_address: alerts@example.com
      smtp:
        host: smtp.example.com
        username: alerts@example.com
        password: "{{ alerts_password }}"
    to: operators@example.com
    subject: The disk is full
"""

RETURN = r"""
msg:
  description: What was sent, or what was not sent and why, and who got the mail.
  returned: always
  type: str
  sample: |-
    The mail to nobody@example.com was not sent: recipient_rejected (certain), field to. Check the address of the
    recipient. The server says: 5.1.1 User unknown
    It was sent to operators@example.com (queue id 4dL7Gk2Xz9z4w).
sent:
  description: The mail that the server has accepted, in check mode the mail that would be sent.
  returned: always
  type: list
  elements: dict
  contains:
    to:
      description: The recipients for whom it was accepted, the connector's C(cc) and C(bcc) among them.
      type: list
      elements: str
      returned: always
    message_id:
      description: Its Message-ID, V(null) in check mode.
      type: str
      returned: always
    queue_id:
      description: The id under which the server queued it, V(null) where its reply holds none.
      type: str
      returned: always
    refused:
      description: The recipients that were refused.
      type: list
      elements: str
      returned: always
  sample:
    - to: [operators@example.com]
      message_id: "<mail.5f2e0c1b9a4d47e8b6a1c3d5e7f90123456789ab@example.com>"
      queue_id: 4dL7Gk2Xz9z4w
      refused: [nobody@example.com]
refused:
  description:
    - What was not sent, and why. Sending it again sends nothing twice.
  returned: always
  type: list
  elements: dict
  contains:
    message:
      description: The position of the message in O(messages), which begins with 0.
      type: int
      returned: always
    to:
      description: The recipients that did not get it.
      type: list
      elements: str
      returned: always
    message_id:
      description: Its Message-ID.
      type: str
      returned: always
    tried:
      description: Whether it was tried. V(false) where no connection could be made, or the O(deadline) had passed.
      type: bool
      returned: always
    verdict:
      description: Why, as M(mailroom.core.connector_test) says it.
      type: str
      returned: always
    certainty:
      description: How sure that is, V(certain), V(likely) or V(possible).
      type: str
      returned: always
    field:
      description: The option of the task, or the field of the connector, to look at first, V(null) where there is none.
      type: str
      returned: always
    remedy:
      description: What to do.
      type: str
      returned: always
  sample:
    - message: 0
      to: [nobody@example.com]
      message_id: "<mail.5f2e0c1b9a4d47e8b6a1c3d5e7f90123456789ab@example.com>"
      tried: true
      verdict: recipient_rejected
      certainty: certain
      field: to
      remedy: "Check the address of the recipient. The server says: 5.1.1 User unknown"
unconfirmed:
  description:
    - What may have been sent, since the answer to the whole message was lost. Look for the C(message_id) in
      the mailbox or in the server's log before sending it again.
  returned: always
  type: list
  elements: dict
  contains:
    message:
      description: The same keys as in RV(refused).
      type: int
      returned: always
  sample: []
verdict:
  description: The verdict on what failed first.
  returned: on failure
  type: str
  sample: recipient_rejected
certainty:
  description: How sure the verdict is.
  returned: on failure
  type: str
  sample: certain
field:
  description: The option or field to look at first, V(null) where there is none.
  returned: on failure
  type: str
  sample: to
remedy:
  description: What to do.
  returned: on failure
  type: str
  sample: "Check the address of the recipient. The server says: 5.1.1 User unknown"
"""

from ansible_collections.mailroom.core.plugins.module_utils._module.mail import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
