# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has come to a user of a mail server in the background.

`python -m peers.inbox FILE alice` prints the subjects, oldest first; FILE is what `peers.background` has written.
"""

from __future__ import annotations

import email
import email.policy
import imaplib
import json
import sys
from pathlib import Path


def main() -> None:
    """Reads the mailbox over IMAP."""
    path, name = sys.argv[1:]
    server = json.loads(Path(path).read_text(encoding="utf-8"))["all"]["vars"]["mail_server"]
    user = server["users"][name]
    with imaplib.IMAP4("127.0.0.1", server["ports"]["imap"], timeout=120) as imap:
        imap.login(user["address"], user["password"])
        imap.select("INBOX", readonly=True)
        for part in imap.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]:
            if isinstance(part, tuple):
                message = email.message_from_bytes(part[1], policy=email.policy.default)
                sys.stdout.write(f"{message['Subject']}\n")


if __name__ == "__main__":
    main()
