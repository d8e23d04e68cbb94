# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has a mailbox on the real peers."""

from __future__ import annotations

import dataclasses

DOMAIN = "example.com"


@dataclasses.dataclass(frozen=True)
class User:
    """Somebody who can sign in, or not."""

    name: str
    password: str
    about: str
    typed: str = ""  # another spelling of the password, the same after SASLprep
    passdb: str = ""  # more fields for Dovecot, when signing in
    userdb: str = ""  # more fields for Dovecot, afterwards
    scram_only: bool = False

    @property
    def address(self) -> str:
        """The mail address, which is the sign-in name too."""
        return f"{self.name}@{DOMAIN}"


_ALL = (
    User("alice", "alice-Secret-1", "everything works"),
    User("bob", "bob-Secret-2", "everything works"),
    # U+00DF stays as it is; typed are a decomposed letter, a soft hyphen and a no-break space, which SASLprep replaces.
    User(
        "uma",
        "Gr\u00fc\u00dfe \u03c0-3",
        "a password with letters beyond ASCII",
        typed="Gru\u0308\u00df\u00ade\u00a0\u03c0-3",
    ),
    User("full", "full-Secret-4", "over quota", userdb="userdb_quota_rule=*:bytes=1000"),
    User("denied", "denied-Secret-5", "has an INBOX, may not open it", userdb="userdb_acl=vfile:{denied_acl}"),
    User("scram", "scram-Secret-6", "may only sign in with SCRAM", scram_only=True),
    User("locked", "locked-Secret-7", "right password, but IMAP is not allowed", passdb="nologin"),
    User("broken", "broken-Secret-8", "signing in fails for a temporary reason"),
    User(
        "homeless", "homeless-Secret-9", "signs in, and then the mailbox cannot be opened", userdb="userdb_home=/proc/1"
    ),
    User("jinja", "{{ 6 * 7 }}-Secret-10", "a password that Ansible could take for a template"),
)
USERS = {user.name: user for user in _ALL}
