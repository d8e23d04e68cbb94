#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: connector_api
short_description: Write a mail connector into an application by its API, and have the application test it
version_added: 0.2.0
description:
  - "In short: O(purpose) or O(connector), O(app), O(url), O(login), and O(test) to have the application send a mail."
  - Writes the server, the encryption, the user, the password and the sender of a connector into the settings of an
    application that keeps them behind an API, in that application's own words. Settings other than those stay.
  - What an application cannot express is an error that names the connector, the field and what is possible. Nothing is
    weakened or left out silently.
  - No API tells the password in a way that can be relied on, so the registry keeps a keyed fingerprint of the one that
    was written last, and of what the application showed in its place then. A password that somebody changed inside the
    application is found where the application shows it, or by O(test).
  - Whenever host, port, encryption or user of the setting change, the password is sent. What an application shows in
    place of a password is never sent back.
  - "R(The guide to applications with an API, ansible_collections.mailroom.core.docsite.apis) says for each of them what
    its account needs to be allowed, how its password behaves, and what its test says."
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - cryptography, where a secret is written
options:
  connector:
    description:
      - The connector that the application is to use.
      - One of O(connector) and O(purpose) is required with O(state=present).
    type: str
  purpose:
    description:
      - The purpose whose connector the application is to use. Where none is bound to it, it is the default.
    type: str
  tenant:
    description:
      - The tenant whose connector is looked up by O(purpose).
    type: str
  app:
    description:
      - The application.
    type: str
    required: true
    choices:
      - airflow
      - keepnet
      - privacyidea
      - zabbix
  url:
    description:
      - Where the application is served, such as C(https://pi.example.com) or C(https://example.com/pi), without the
        path of its API.
      - C(http://) is for loopback addresses only, also where C(localhost) is looked up. A redirect is followed
        within the same scheme, host and port.
    type: str
    required: true
  login:
    description:
      - Who signs in at the application. What is needed depends on O(app); required unless O(state=forgotten).
    type: dict
    suboptions:
      username:
        description:
          - The user, with O(login.password).
        type: str
      password:
        description:
          - The password of O(login.username).
        type: str
      token:
        description:
          - A token, in place of a user.
        type: str
      client_id:
        description:
          - The client, with O(login.client_secret).
        type: str
      client_secret:
        description:
          - The secret of O(login.client_id).
        type: str
  target:
    description:
      - What is addressed in the application.
    type: dict
    suboptions:
      name:
        description:
          - The name of the object, the connection id in V(airflow).
          - "Default: the connector's name, in V(keepnet) its C(display_name)."
        type: str
      company:
        description:
          - For V(keepnet), the company whose setting it is, by its exact name or its id, where the client is that of a
            reseller.
          - "Default: the company of the client."
        type: str
  options:
    description:
      - What is to be said besides. An option of another application is an error.
    type: dict
    suboptions:
      leave_out:
        description:
          - Fields of the connector that the application may do without, where it cannot express them.
          - V(smtp.validate_certs) permits an application that checks no certificates, and covers C(ca_file). It never
            turns checks off where the application has them.
        type: list
        elements: str
        choices:
          - from_address
          - from_name
          - reply_to
          - errors_to
          - cc
          - bcc
          - headers
          - smtp.ehlo_name
          - smtp.security
          - smtp.validate_certs
          - smtp.ca_file
          - imap.validate_certs
          - imap.ca_file
      protocol:
        description:
          - For V(airflow), whether a connection to the C(smtp) or to the C(imap) server is written.
          - "Default: V(smtp)."
        type: str
        choices: [imap, smtp]
      server:
        description:
          - For V(zabbix) with O(test), where its server listens, C(host) or C(host:port); the port is 10051 by default.
          - The session goes there unencrypted, as it does from Zabbix's own frontend. So it has to be named, unless
            O(url) is on loopback, which is the default then. An API token does not expire with the task, so it goes to
            loopback alone, and the test is V(not_supported) elsewhere.
        type: str
      status:
        description:
          - For V(keepnet), whether the setting is in use there.
          - "Default: V(active)."
        type: str
        choices: [active, inactive]
  update_secret:
    description:
      - V(on_change) sends the password where it, or where it goes, is not known to be as it was written last.
      - V(always) sends it with every task, which is then always changed.
      - V(never) sends it under no circumstances. Where host, port, encryption or user change, or the application needs
        the password with every update, that is an error. The test of V(airflow) and V(privacyidea) needs it, so it is
        V(not_supported) then. A warning says where what the application holds is not known to be the connector's.
    type: str
    choices: ["on_change", "always", "never"]
    default: "on_change"
  test:
    description:
      - Whether the application is to test the settings. Where its test sends a mail, that goes to O(to).
      - A test that fails fails the task; what was written stays. In check mode nothing is tested.
    type: bool
    default: false
  to:
    description:
      - Who gets the mail of the test.
      - "Default: C(test_address) of the connector."
    type: str
  validate_certs:
    description:
      - Whether the certificate of O(url) is validated.
    type: bool
    default: true
  ca_file:
    description:
      - The certificates of the authorities that are trusted for O(url), a PEM file. Default are the system's.
    type: path
  proxy:
    description:
      - A proxy on the way to O(url), C(socks5://host:port) or C(http://host:port). The environment's are ignored.
    type: str
  timeout:
    description:
      - Seconds that each step of a request may take, 1 to 600. The task as a whole may take twelve times as long,
        which counts for the test and for waiting where the application asks for that (HTTP status 429 or 503 with
        Retry-After).
    type: int
    default: 10
  state:
    description:
      - V(present) writes the connector, in place of another that was written there.
      - V(absent) removes the object. O(connector) may be left out where O(target.name) is given.
      - V(forgotten) only drops what the registry knows of it, for an application that does not exist any more.
      - With both, O(connector) may be one that is deleted. Without O(target.name), V(absent) then removes what the
        registry records of it at O(url), or what has its name, and V(forgotten) drops all that it records of it there.
    type: str
    choices:
      - present
      - absent
      - forgotten
    default: present
extends_documentation_fragment:
  - mailroom.core._attributes
  - mailroom.core._attributes.configures
  - mailroom.core._registry
  - mailroom.core._registry.host
seealso:
  - module: mailroom.core.connector_config
  - module: mailroom.core.connector_test
"""

EXAMPLES = r"""
- name: Send the mail of privacyIDEA through the connector for notices
  mailroom.core.connector_api:
    purpose: notices
    app: privacyidea
    url: https://pi.example.com
    login:
      username: automation
      password: "{{ vault_privacyidea_password }}"
    target:
      name: mailroom
    options:
      leave_out:
        - smtp.validate_certs
    test: true
    to: admin@example.com
"""

RETURN = r"""
connector:
  description: The connector that was written, V(null) with another O(state).
  returned: success
  type: str
  sample: prod_alerts
settings:
  description: The mail settings as they are read from the application afterwards, in its own words, without secrets.
  returned: unless O(state=forgotten)
  type: dict
  sample: {server: smtp.example.com, port: 587, tls: true, username: app@example.com, sender: app@example.com}
secret:
  description:
    - V(sent) where it was sent, V(unchanged) where it is the one that was written last or O(update_secret=never) left
      it alone, V(verified) where reading or the test of the application proves it, V(none) where there is none.
  returned: unless O(state=forgotten)
  type: str
  sample: unchanged
test:
  description: What the application says of its test.
  returned: when O(test) is set, not in check mode
  type: dict
  contains:
    status:
      description: V(ok), V(failed), or V(not_supported) where it cannot test such settings.
      type: str
      returned: always
    text:
      description: The application's own words, without secrets.
      type: str
      returned: always
    verdict:
      description: The verdict, as of M(mailroom.core.connector_test).
      type: str
      returned: on failure, where the application hands on what the mail server or the network said
    field:
      description: The field of the connector to look at first.
      type: str
      returned: with a verdict
    certainty:
      description: V(certain), V(likely) or V(possible).
      type: str
      returned: with a verdict
    remedy:
      description: What to do.
      type: str
      returned: on failure
  sample: {status: ok, text: ""}
diff:
  description: The fields that differ, before and after. A password shows as C((stored)) or C((changed)).
  returned: success
  type: list
  elements: dict
  sample:
    - before_header: privacyidea mailroom
      after_header: privacyidea mailroom
      before: {port: 25}
      after: {port: 587}
problems:
  description: What is wrong, one entry each, where the task fails because of what was declared.
  returned: when what was declared is not allowed
  type: list
  elements: dict
  contains:
    where:
      description: The connector or purpose. Empty where it is about an option of the task.
      type: str
      returned: always
    field:
      description: The field of the connector or the option, such as C(smtp.security).
      type: str
      returned: always
    message:
      description: What is allowed.
      type: str
      returned: always
  sample:
    - where: connector prod_alerts
      field: smtp.reply_to
      message: cannot be expressed in privacyidea
"""

from ansible_collections.mailroom.core.plugins.module_utils._module.connector_api import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
