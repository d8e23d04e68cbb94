# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes connectors and does nothing: what Ansible itself costs."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Checks the entries as a small module would."""
    server = {
        "host": {"type": "str"},
        "port": {"type": "int"},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "mailbox": {"type": "str"},
    }
    texts = ("name", "display_name", "description", "from_address", "from_name", "reply_to", "signature")
    entry = {
        **{name: {"type": "str"} for name in texts},
        **{name: {"type": "dict", "options": server} for name in ("smtp", "imap")},
    }
    options = {"type": "list", "elements": "dict", "options": entry}
    AnsibleModule({"registry": {"type": "path"}, "connectors": options}).exit_json(changed=False)


if __name__ == "__main__":
    main()
