#!/usr/bin/python
# Copyright the mailroom.core contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: connector_config
short_description: Write a mail connector into an application's settings
version_added: 0.1.0
description:
  - "In short: O(purpose) or O(connector), O(app), O(path), O(owner), and O(options) for what an application needs
    besides."
  - Writes the server, the encryption, the user, the password and the sender of a connector into the settings of an
    application that sends mail, in that application's own words.
  - Runs on the host of the application, which needs a registry that it can read.
  - What an application cannot express is an error that names the connector, the field and what is possible. Nothing is
    weakened or left out silently.
  - The application is not restarted. Notify a handler for that where it is needed.
  - Files are replaced, never changed where they lie, and nothing that another user may have put in the way is followed.
    Only regular files are read, none that has further names (hard links), and none that is larger than 1 MiB.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - cryptography, where the connector signs in with a password
  - PyYAML, for O(app=alertmanager)
options:
  connector:
    description:
      - The connector that the application is to send with.
      - One of O(connector) and O(purpose) is required with O(state=present).
    type: str
  purpose:
    description:
      - The purpose whose connector the application is to send with. Where none is bound to it, it is the default.
    type: str
  tenant:
    description:
      - The tenant whose connector is looked up by O(purpose).
    type: str
  app:
    description:
      - The application.
      - With V(msmtp), O(path) is a file of msmtp's that holds nothing but this connector, as an account of that name
        which is the default.
      - With V(postfix), O(path) is C(main.cf). All mail is then relayed through the connector's server. Its senders are
        those of the mail, so that a connector with C(from_address) needs that in O(options.leave_out).
      - With V(alertmanager), O(path) is its configuration. The C(smtp_) settings under C(global) are replaced.
      - The settings of Postfix and of Alertmanager are a block between two comments. What they override is kept as
        comments and comes back with O(state=absent). All else in the file stays as it is.
    type: str
    required: true
    choices:
      - alertmanager
      - msmtp
      - postfix
  path:
    description:
      - The file with the settings.
      - That of V(msmtp) is made where it does not exist, that of the others has to exist.
      - It must not be the registry, its journal or its key file, and so must O(options.password_file).
      - In a folder that a group or everybody can write, a file that is there already must belong to root, the user that
        runs the task, the owner of the folder or O(owner).
    type: path
    required: true
  follow:
    description:
      - Whether a symbolic link in the place of the file at O(path) is followed. Otherwise it is refused.
      - A symbolic link is followed, here and in the folders above the file and above O(options.password_file), only
        where it and every folder above it belong to root or the user that runs the task, and nobody else can write its
        folder. Folders further up may be writable for all if they have the sticky bit, as C(/tmp) does.
    type: bool
    default: false
  owner:
    description:
      - Who owns the file that holds the password, by name or number.
      - This is O(path) with V(msmtp), else O(options.password_file).
      - A password file that is not needed any more is only removed from a folder that nobody but root, the user that
        runs the task and this owner can write.
    type: str
  group:
    description:
      - The group of the file that holds the password, by name or number.
    type: str
  mode:
    description:
      - The mode of the file that holds the password, as in M(ansible.builtin.file). Quote it.
      - It is warned about where everybody may read the password.
    type: raw
    default: "0600"
  backup:
    description:
      - Whether to keep a copy of O(path) as it was. That of V(msmtp) holds the earlier password.
      - The copy belongs to the owner of the file, and nobody else can read it.
    type: bool
    default: false
  options:
    description:
      - What is to be said besides.
    type: dict
    suboptions:
      leave_out:
        description:
          - Fields of the connector that the application may do without, where it cannot express them.
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
      password_file:
        description:
          - The file that the password has for itself. V(msmtp) has none.
          - "Default: C(mailroom_password) in the folder of O(path)."
          - It is replaced as a whole. In its own place it is never a symbolic link.
          - When it is no longer needed it is removed, provided that it is known to be as it was written. That of
            V(postfix) says so itself, that of V(alertmanager) is known to the registry. Otherwise it is left, and a
            warning says so.
          - A file that only O(path) names, since this option has changed, is never touched. A warning names it.
        type: path
  state:
    description:
      - V(present) writes the connector, in place of another that was written there.
      - V(absent) removes what was written, and leaves a file alone in which nothing was written. No registry is needed,
        but for the password file of V(alertmanager), which is left with a warning where the registry cannot tell that
        it was written by this module.
    type: str
    choices:
      - present
      - absent
    default: present
extends_documentation_fragment:
  - mailroom.core._attributes
  - mailroom.core._attributes.configures
  - mailroom.core._registry
seealso:
  - module: mailroom.core.connector
  - module: mailroom.core.connector_purpose
  - module: mailroom.core.connector_test
"""

EXAMPLES = r"""
- name: Send what cron and scripts send through the connector for notices
  mailroom.core.connector_config:
    purpose: notices
    app: msmtp
    path: /etc/msmtprc
    group: msmtp
    mode: "0640"

- name: Relay all mail of this host through a connector
  mailroom.core.connector_config:
    connector: relay
    app: postfix
    path: /etc/postfix/main.cf
    options:
      leave_out:
        - from_address
        - reply_to
  notify: Reload Postfix

- name: Send alerts through the connector for alerts
  mailroom.core.connector_config:
    purpose: alerts
    app: alertmanager
    path: /etc/prometheus/alertmanager.yml
    owner: prometheus
    backup: true
  notify: Reload Alertmanager

- name: Give main.cf back as it was
  mailroom.core.connector_config:
    app: postfix
    path: /etc/postfix/main.cf
    state: absent
  notify: Reload Postfix
"""

RETURN = r"""
connector:
  description: The connector that was written, V(null) with O(state=absent).
  returned: success
  type: str
  sample: prod_alerts
path:
  description: The file with the settings, behind symbolic links.
  returned: success
  type: str
  sample: /etc/postfix/main.cf
backup_file:
  description: The copy of the file with the settings as it was.
  returned: when O(backup) is set and the file changes, not in check mode
  type: str
  sample: /etc/postfix/main.cf.4711.2026-11-20@10:42:07~
diff:
  description:
    - What was written into each file that differs, and what is. A password shows as C((stored)) or C((changed)).
  returned: success
  type: list
  elements: dict
  sample:
    - before_header: /etc/postfix/mailroom_password
      after_header: /etc/postfix/mailroom_password
      before: "(stored)\n"
      after: "(changed)\n"
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
      field: smtp.security
      message: must be one of none, starttls, tls for msmtp
"""

from ansible_collections.mailroom.core.plugins.module_utils._module.connector_config import run_module


def main() -> None:
    run_module()


if __name__ == "__main__":
    main()
