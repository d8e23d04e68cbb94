# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applications send and read real mail with what connector_config writes for them.

Each signs in twice: at Postfix or Dovecot, where mail arrives, and with a hostile password at a server that notes it.
"""

from __future__ import annotations

import dataclasses
import mailbox
import os
import pwd
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import places
import pytest
from peers.ca import CertificateZoo
from peers.imap import ImapScript
from peers.smtp import SmtpScript
from servers.test_connector_config import ALICE, BOB, SECONDS, Application, application, message, new_subject
from servers.test_connector_test import run

__all__ = ["application"]

PASSWORD = 'a"b#c;e\\f$g`h%U%%i: j{{k}}&=<é> ${l} %(m)s!'
QUOTED = PASSWORD + "'n'"
ASCII = QUOTED.replace("é", "e")

Send = Callable[[str], None]


def program(*command: str, text: str = "", check: bool = True, **environment: str) -> str:
    """Runs a program, and returns what it says."""
    done = subprocess.run(
        command,
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent", **environment},
        check=False,
        timeout=SECONDS,
    )
    said = done.stdout.decode(errors="replace")
    assert not check or done.returncode == 0, said
    return said


def unpacked(package: str) -> Path:
    """A Debian package that is not installed, since it would take the place of Postfix."""
    folder = places.OUTPUT / "unpacked" / package
    if not folder.is_dir():
        downloads = folder.with_suffix(".deb")
        downloads.mkdir(parents=True, exist_ok=True)
        download = ["apt-get", "download", package]
        if subprocess.run(download, cwd=downloads, check=False, capture_output=True).returncode:
            # The lists of packages are missing or out of date.
            subprocess.run(["apt-get", "-qq", "update"], check=True, capture_output=True)
            subprocess.run(download, cwd=downloads, check=True, capture_output=True)
        (file,) = downloads.glob("*.deb")
        subprocess.run(["dpkg", "-x", str(file), str(folder)], check=True)
    return folder


@dataclasses.dataclass(frozen=True)
class App:
    """An application with its file, its options, and who owns that file."""

    name: str
    path: Path
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    access: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    password: str = QUOTED
    mechanism: str = "PLAIN"
    place: str = "submission"
    header: tuple[str, str] | None = None
    """What the real mail is known by, where the subject cannot be chosen."""

    def write(self, application: Application, fields: Mapping[str, Any]) -> None:
        """Writes a connector, which is not written again."""
        application.store([{"name": "chosen", **fields}])
        task = {**application.options, "connector": "chosen", "app": self.name, "path": str(self.path), **self.access}
        first, second = (run("connector_config", {**task, "options": self.options}) for _time in range(2))
        assert (first.get("msg"), first.get("changed"), second.get("changed")) == (None, True, False)


def assert_it_sends(application: Application, zoo: CertificateZoo, app: App, send: Send, **fields: Any) -> None:
    """A real mail by way of Postfix, and the hostile password as a server hears it."""
    subject = new_subject()
    block, shown = application.block(app.place, host="localhost"), {"from_address": ALICE, **fields}
    app.write(application, {"smtp": block, **shown})
    send(subject)
    assert application.server.wait_for("bob", *(app.header or ("Subject", subject)))
    script = SmtpScript(
        tls=zoo.good.server_context(), users={ALICE: app.password}, auth_needed=True, mechanisms=[app.mechanism]
    )
    with script.server(tls=block["security"] == "tls") as server:
        app.write(application, {"smtp": {**block, "port": server.port, "password": app.password}, **shown})
        send(new_subject())
        wait_until(lambda: bool(server.logins and server.logins[0].ended))
    (login, *_others) = server.logins
    assert (login.username, login.password, login.encrypted) == (ALICE, app.password, True)


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)


def test_nullmailer_sends(application: Application, zoo: CertificateZoo) -> None:
    """In folders of its own, as its own tests do it."""
    files, prefix = unpacked("nullmailer"), application.folder / "nullmailer"
    for folder in ("conf", "queue/queue", "queue/tmp", "queue/failed"):
        (prefix / folder).mkdir(parents=True)
    (prefix / "protocols").symlink_to(files / "usr/lib/nullmailer")
    (prefix / "conf/pausetime").write_text("0\n", encoding="utf-8")
    (prefix / "conf/me").write_text("here.example.com\n", encoding="utf-8")
    os.mkfifo(prefix / "queue/trigger")

    def send(subject: str) -> None:
        text = f"{ALICE}\n{BOB}\n\n{message(subject, ALICE).as_string()}"
        (prefix / "queue/queue" / subject.replace(" ", ".")).write_text(text, encoding="utf-8")
        program(str(files / "usr/sbin/nullmailer-send"), NULLMAILER_TEST_PREFIX=str(prefix))

    options = {"leave_out": ["from_address"]}
    assert_it_sends(application, zoo, App("nullmailer", prefix / "conf/remotes", options), send)


def test_dma_sends(application: Application, zoo: CertificateZoo) -> None:
    """In a root folder of its own, since it reads /etc/dma only."""
    root = application.folder / "root"
    for folder in ("etc/dma", "usr", "dev", "proc", "tmp", "var/spool/dma", "sbin"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name in ("passwd", "group", "hosts", "nsswitch.conf"):
        shutil.copy(f"/etc/{name}", root / "etc")
    (root / "etc/mailname").write_text("here.example.com\n", encoding="utf-8")
    shutil.copy(unpacked("dma") / "usr/sbin/dma", root / "sbin/dma")
    for name, mode in (("sbin/dma", 0o2755), ("var/spool/dma", 0o2775)):
        shutil.chown(root / name, group="mail")
        (root / name).chmod(mode)
    mounts = f"mount --rbind /usr {root}/usr && mount --rbind /dev {root}/dev"
    script = f"{mounts} && exec chroot {root} /sbin/dma -D -f {ALICE} {BOB}"

    def send(subject: str) -> None:
        program("unshare", "--mount", "sh", "-c", script, text=message(subject, ALICE).as_string())

    options = {"leave_out": ["from_address", "smtp.validate_certs"], "password_file": str(root / "etc/dma/auth.conf")}
    path = root / "etc/dma/dma.conf"
    # Paths are those outside of the root folder.
    inside = root / str(root)[1:] / "etc"
    inside.parent.mkdir(parents=True)
    inside.symlink_to("/etc")
    path.touch(mode=0o644)
    app = App("dma", path, options, {"group": "mail", "mode": "0640"}, mechanism="LOGIN")
    assert_it_sends(application, zoo, app, send)


def test_monit_sends(application: Application, zoo: CertificateZoo) -> None:
    """With TLS at once: STARTTLS is for the ports 25 and 587 alone."""
    main, path = application.folder / "monitrc", application.folder / "mail.conf"

    def send(subject: str) -> None:
        """Its alert that it was started, which it sends before it looks at anything."""
        names = ("pid", "id", "state")
        for name in names:
            (application.folder / name).unlink(missing_ok=True)
        files = [f"set {name}file {application.folder / name}" for name in names]
        alert = f"set alert {BOB} with mail-format {{ subject: {subject} }}"
        main.write_text("\n".join(["set daemon 1", *files, f"include {path}", alert, ""]), encoding="utf-8")
        main.chmod(0o600)
        command = ["monit", "-c", str(main), "-vI"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            said = ""
            for line in process.stdout or ():
                said += line
                if "SMTP -> QUIT" in line or "Mail: " in line:
                    break
            process.terminate()
        assert "SMTP -> QUIT" in said, said

    app = App("monit", path, password=PASSWORD, place="smtps")
    assert_it_sends(application, zoo, app, send, reply_to="answers@example.com")


@pytest.mark.matrix
def test_mailman_sends(application: Application, zoo: CertificateZoo) -> None:
    path = application.folder / "mailman.cfg"
    path.write_text(
        f"[mailman]\nlayout: here\n[paths.here]\nvar_dir: {application.folder}/mailman\n[mta]\nsmtp_host: old\n",
        encoding="utf-8",
    )

    def send(subject: str) -> None:
        words = [str(path), ALICE, BOB, message(subject, ALICE).as_string()]
        environment = {"SSL_CERT_FILE": str(application.server.ca_file)}
        program("/usr/bin/python3", "-c", MAILMAN, *words, **environment)

    options = {"leave_out": ["from_address", "smtp.ca_file"]}
    assert_it_sends(application, zoo, App("mailman3", path, options, password=ASCII), send)
    said = program(
        "mailman", "--run-as-root", "--config", str(path), "conf", "--section", "mta", "--key", "smtp_secure_mode"
    )
    assert said.strip() == "starttls"


MAILMAN = """\
import email, sys
from mailman.core.initialize import initialize
initialize(sys.argv[1])
from mailman.mta.base import BaseDelivery
BaseDelivery()._connection.sendmail(sys.argv[2], [sys.argv[3]], email.message_from_string(sys.argv[4]))
"""


def test_django_sends(application: Application, zoo: CertificateZoo) -> None:
    project = application.folder / "project"
    project.mkdir()
    (project / "settings.py").write_text('SECRET_KEY = "x"\nfrom mailroom_email import *\n', encoding="utf-8")

    def send(_subject: str) -> None:
        environment = {
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": str(project),
            "SSL_CERT_FILE": str(application.server.ca_file),
        }
        words = ["-m", "django", "sendtestemail", BOB]
        program(sys.executable, "-B", *words, **environment)

    options = {"leave_out": ["smtp.ca_file"]}
    path = project / "mailroom_email.py"
    app = App("django", path, options, password=ASCII, header=("From", f"Älerts <{ALICE}>"))
    assert_it_sends(application, zoo, app, send, from_name="Älerts")


def assert_it_reads(
    application: Application, zoo: CertificateZoo, app: App, place: str, fetch: Callable[[], str], **block: Any
) -> None:
    """A real mail by way of Dovecot, and the hostile password as a server hears it."""
    subject = new_subject()
    with smtplib.SMTP("127.0.0.1", application.server.ports["relay"], timeout=SECONDS) as smtp:
        smtp.send_message(message(subject, ALICE), from_addr=ALICE, to_addrs=[BOB])
    application.server.wait_for("bob", "Subject", subject)
    server = {**application.block(place, user="bob", host="localhost"), **block}
    app.write(application, {"imap": server})
    assert subject in fetch()
    script = ImapScript(tls=zoo.good.server_context(), users={BOB: app.password}, mechanisms=["PLAIN"])
    with script.server(tls=server["security"] == "tls") as peer:
        app.write(application, {"imap": {**server, "port": peer.port, "password": app.password}})
        fetch()
        wait_until(lambda: bool(peer.logins))
    assert (peer.logins[0].username, peer.logins[0].password) == (BOB, app.password)


def texts_in(maildir: Path) -> str:
    return "".join(mail.as_string() for mail in mailbox.Maildir(maildir, create=False))


def test_fetchmail_reads(application: Application, zoo: CertificateZoo) -> None:
    folder = application.folder

    def fetch() -> str:
        """It says with its status whether there was mail."""
        options = ["--mda", f"cat >> {folder}/mail", "--idfile", f"{folder}/ids", "--pidfile", f"{folder}/pid"]
        program("fetchmail", "--nodetach", "--nosyslog", "-f", f"{folder}/rc", *options, check=False, HOME=str(folder))
        return (folder / "mail").read_text(encoding="utf-8")

    assert_it_reads(application, zoo, App("fetchmail", folder / "rc", {"local_user": "root"}), "imap", fetch)


def test_mbsync_reads(application: Application, zoo: CertificateZoo) -> None:
    maildir, path = application.folder / "mail", application.folder / "mbsyncrc"
    maildir.mkdir()

    def fetch() -> str:
        program("mbsync", "--config", str(path), "chosen", check=False)
        return texts_in(maildir / "INBOX")

    options = {"maildir": str(maildir), "password_file": str(application.folder / "password 'of' mbsync")}
    assert_it_reads(application, zoo, App("mbsync", path, options), "imap", fetch)


def test_getmail_reads(application: Application, zoo: CertificateZoo) -> None:
    """As a user who is not root, since getmail delivers nothing as root."""
    with tempfile.TemporaryDirectory() as name:
        folder, nobody = Path(name), pwd.getpwnam("nobody")
        maildir, ca_file = folder / "mail", folder / "ca.pem"
        shutil.copy(application.server.ca_file, ca_file)
        for each in ("cur", "new", "tmp"):
            (maildir / each).mkdir(parents=True)
        for each in (folder, *folder.rglob("*")):
            os.chown(each, nobody.pw_uid, nobody.pw_gid)

        def fetch() -> str:
            user = ["setpriv", "--reuid=nobody", f"--regid={nobody.pw_gid}", "--clear-groups"]
            program(*user, "getmail", "--rcfile", f"{folder}/rc", "--getmaildir", str(folder), check=False)
            return texts_in(maildir)

        app = App("getmail", folder / "rc", {"maildir": str(maildir)}, {"owner": "nobody"}, ASCII)
        assert_it_reads(application, zoo, app, "imaps", fetch, ca_file=str(ca_file))
