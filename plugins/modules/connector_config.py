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
    application that sends or reads mail, in that application's own words.
  - Runs on the host of the application, which needs a registry that it can read.
  - What an application cannot express is an error that names the connector, the field and what is possible. Nothing is
    weakened or left out silently.
  - Values are quoted for the format of the file, and the text is read again before it replaces anything.
  - What was written is recorded in the registry, where the task may write it; otherwise a warning says so.
    M(mailroom.core.connector_info) returns which applications use a connector, and whether the same would be written
    again.
  - The application is not restarted. RV(service) names the service that reads the settings, for a handler.
  - Files are replaced, never changed where they lie, and nothing that another user may have put in the way is followed.
    Only regular files are read, none that has further names (hard links), and none that is larger than 1 MiB.
author:
  - mailroom.core contributors (!UNKNOWN)
requirements:
  - cryptography, where a secret is written
  - PyYAML, for O(app=accuknox), O(app=alertmanager), O(app=redmine), O(app=yaml) and a O(options.template) with YAML
options:
  applications:
    description:
      - Several applications, each a dictionary of O(app), O(path) and the other options that are not about the
        registry. One task for all of them takes a fraction of the time of a loop.
      - They are configured one after the other. One that fails does not keep the others from it, and in the end the
        task fails.
      - O(host) of the task counts for those that name none.
    type: list
    elements: dict
    version_added: 0.2.0
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
      - The application. R(The guide to applications, ansible_collections.mailroom.core.docsite.applications) has a
        table of what each can express and which file it is.
      - V(alertmanager), V(dma), V(gitea), V(gitlab), V(grafana), V(mailman3), V(postfix) and V(redmine) have a file
        with other settings besides. Ours are a block in it between two comments. What they override is kept as comments
        and comes back with O(state=absent). All else in the file stays as it is.
      - The others have a file that holds nothing else, which is replaced as a whole.
      - V(fetchmail), V(getmail) and V(mbsync) read mail and need an C(imap) block; V(gitea) and V(gitlab) also do so
        with O(options.incoming_address). The others send.
      - V(env), V(json) and V(yaml) hold every field of a connector under its own name, V(template) what its text says.
      - V(evoluteiq), V(kianda) and V(privilege_manager), and V(accuknox) with O(options.format=sheet), are settings
        sheets in Markdown for somebody who enters the values. They name secrets and never hold them.
      - One of O(app) and O(applications) is required.
    type: str
    choices:
      - accuknox
      - alertmanager
      - django
      - dma
      - env
      - evoluteiq
      - fetchmail
      - getmail
      - gitea
      - gitlab
      - grafana
      - json
      - kianda
      - mailman3
      - mbsync
      - monit
      - msmtp
      - nextcloud
      - nullmailer
      - postfix
      - privilege_manager
      - redmine
      - template
      - vaultwarden
      - yaml
  path:
    description:
      - The file with the settings.
      - It is made where it does not exist. Those of V(alertmanager) and V(postfix) have to exist.
      - It must not be the registry, its journal or its key file, and so must O(options.password_file).
      - In a folder that a group or everybody can write, a file that is there already must belong to root, the user that
        runs the task, the owner of the folder or O(owner).
      - Required with O(app).
    type: path
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
      - Who owns the file that holds the secrets, by name or number.
      - This is O(options.password_file) where there is one, else O(path).
      - A password file that is not needed any more is only removed from a folder that nobody but root, the user that
        runs the task and this owner can write.
    type: str
  group:
    description:
      - The group of the file that holds the secrets, by name or number.
    type: str
  mode:
    description:
      - The mode of the file that holds the secrets, as in M(ansible.builtin.file). Quote it.
      - "Default: V(0600). A file with other settings besides keeps its mode if that keeps everybody else out, such as
        V(0640)."
      - It is warned about where everybody may read the secrets.
    type: raw
  backup:
    description:
      - Whether to keep a copy of O(path) as it was. It holds the earlier secrets where O(path) holds them.
      - The copy belongs to the owner of the file, and nobody else can read it.
    type: bool
    default: false
  validate:
    description:
      - A command that checks new settings before they replace anything, such as V(amtool check-config %s). C(%s) stands
        for the path of a private copy, which has the name of the file. Nothing is changed if the command fails.
      - In the copy, placeholders stand for the secrets. The command runs without a shell, also in check mode.
    type: str
    version_added: 0.2.0
  options:
    description:
      - What is to be said besides. An option of another application is an error.
    type: dict
    suboptions:
      leave_out:
        description:
          - Fields of the connector that the application may do without, where it cannot express them.
          - V(smtp.validate_certs) and V(imap.validate_certs) permit an application that checks no certificates, and
            cover C(ca_file). They never turn checks off where the application has them.
          - V(smtp.security) counts for V(privilege_manager) alone, which has no field for encryption.
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
      chart:
        description:
          - For V(accuknox), the Helm chart whose values are written.
          - V(platform) has C(global.email), V(rinc) has C(email.smtp).
          - "Default: V(platform)."
        type: str
        choices: [platform, rinc]
      delete:
        description:
          - For V(fetchmail), V(getmail) and V(gitea), whether mail is deleted on the server once it is fetched.
          - "Default: V(false)."
        type: bool
      format:
        description:
          - For V(grafana), V(ini) (the default) is a block in C(grafana.ini), V(env) a file with environment variables.
          - For V(accuknox), V(values) (the default) are Helm values, V(sheet) is a settings sheet.
        type: str
        choices: [env, ini, sheet, values]
      incoming_address:
        description:
          - For V(gitea) and V(gitlab), the address that answers go to. With it, the C(imap) block is written as well,
            or in V(gitlab) the C(graph) block also for reading.
          - It holds C(%{token}) for V(gitea) and C(%{key}) for V(gitlab) before the C(@).
        type: str
      local_user:
        description:
          - For V(fetchmail), the user of the host whom mail is handed to. Required there.
        type: str
      maildir:
        description:
          - For V(getmail) and V(mbsync), the maildir that mail is written to. Required there.
        type: path
      prefix:
        description:
          - For V(env), how the names of the variables begin.
          - "Default: V(MAILROOM_)."
        type: str
      section:
        description:
          - For V(redmine), the section of C(configuration.yml) that C(email_delivery) belongs to.
          - "Default: V(default)."
        type: str
        choices: [default, production]
      template:
        description:
          - For V(template), the text of the file. Required there.
          - C(${smtp.host}) stands for a field of the connector, and C($${) for the characters C(${). The fields are
            those of O(app=json).
          - Every placeholder names how its value is quoted, as in C(${smtp.password|json}), with one of C(json),
            C(yaml), C(shell), C(ini) (Python), C(go_ini), C(xml), C(url), C(php), C(ruby), or C(raw) for the value as
            it is. Only hosts, ports and truth values may go without. A value that the quoting cannot hold is an error.
          - All quotings but C(ini), C(raw), C(url) and C(xml) add the quotes themselves.
          - In a playbook, nothing of this is Jinja, so that it needs no escaping there.
        type: str
      version:
        description:
          - For V(alertmanager), the version that is written for, such as V(0.31). Quote it.
          - Settings that it does not know are errors. From 0.31 on, encryption is possible on any port.
          - If it is left out, settings are those of 0.28, where the connector needs them.
        type: str
      password_file:
        description:
          - The file that the password has for itself.
          - "V(alertmanager), V(dma) and V(postfix) always have one. Default: C(mailroom_password) in the folder of
            O(path)."
          - V(getmail), V(grafana), V(mbsync) and V(vaultwarden) have one if this is given. The others have none.
          - It is replaced as a whole. In its own place it is never a symbolic link.
          - When it is no longer needed it is removed, provided that it is known to be as it was written. That of
            V(dma) and of V(postfix) say so themselves, those of the others are known to the registry. Otherwise it is
            left, and a warning says so.
          - A file that only O(path) names, since this option has changed, is never touched. A warning names it.
        type: path
  state:
    description:
      - V(present) writes the connector, in place of another that was written there.
      - V(absent) removes what was written, and leaves a file alone in which nothing was written. No registry is needed,
        but for the file of V(template) and for password files without a comment in them, which are left where the
        registry cannot tell that they were written by this module.
      - V(forgotten) touches no file. It only removes what the registry has recorded of O(app) at O(path) on O(host),
        for an application or a host that does not exist any more.
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

- name: Fetch the mailbox of a connector into a maildir
  mailroom.core.connector_config:
    connector: intake
    app: mbsync
    path: /etc/mbsync/intake.conf
    owner: intake
    options:
      maildir: /srv/intake/mail
      password_file: /etc/mbsync/intake.password

- name: Give a connector to an application of one's own
  mailroom.core.connector_config:
    purpose: invoices
    app: template
    path: /etc/shop/mail.toml
    owner: shop
    options:
      template: |
        [mail]
        server = "${smtp.host}:${smtp.port}"
        user = ${smtp.username|json}
        password = ${smtp.password|json}
        tls = ${smtp.validate_certs}
  notify: Restart the shop

- name: Configure several applications at once
  mailroom.core.connector_config:
    applications:
      - app: msmtp
        path: /etc/msmtprc
        purpose: notices
      - app: monit
        path: /etc/monit/conf.d/mail
        purpose: alerts

- name: Forget what a host used that does not exist any more
  mailroom.core.connector_config:
    app: msmtp
    path: /etc/msmtprc
    host: web3.example.com
    state: forgotten

- name: Give main.cf back as it was
  mailroom.core.connector_config:
    app: postfix
    path: /etc/postfix/main.cf
    state: absent
  notify: Reload Postfix
"""

RETURN = r"""
connector:
  description: The connector that was written, V(null) with O(state=absent) and O(state=forgotten).
  returned: success, without O(applications)
  type: str
  sample: prod_alerts
path:
  description: The file with the settings, behind symbolic links.
  returned: success, without O(applications)
  type: str
  sample: /etc/postfix/main.cf
check:
  description: The command with which the application checks its settings, for a task of your own.
  returned: where the application has one
  type: list
  elements: str
  sample: [amtool, check-config, /etc/prometheus/alertmanager.yml]
service:
  description: The service that reads the settings, and what it needs to read them again.
  returned: where the application is a service
  type: dict
  contains:
    name:
      description: The service, as Debian or the vendor calls it.
      type: str
      returned: always
    state:
      description: What M(ansible.builtin.service) makes of it, V(reloaded) or V(restarted).
      type: str
      returned: always
  sample: {name: postfix, state: reloaded}
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
results:
  description:
    - For each of O(applications), in their order, what the task returns for a single one without the diff.
    - Also returned when an application could not be configured.
  returned: with O(applications)
  type: list
  elements: dict
  contains:
    app:
      description: The application.
      type: str
      returned: always
    path:
      description: The file with the settings.
      type: str
      returned: always
    changed:
      description: Whether anything differs.
      type: bool
      returned: always
    connector:
      description: The connector that was written.
      type: str
      returned: success
    check:
      description: As RV(check).
      type: list
      elements: str
      returned: as RV(check)
    service:
      description: As RV(service).
      type: dict
      returned: as RV(service)
    backup_file:
      description: As RV(backup_file).
      type: str
      returned: as RV(backup_file)
    failed:
      description: V(true) where the application could not be configured.
      type: bool
      returned: failure
    msg:
      description: Why not.
      type: str
      returned: failure
  sample:
    - {app: msmtp, path: /etc/msmtprc, changed: true, connector: prod_alerts}
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
