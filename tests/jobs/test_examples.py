# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples work as they stand: the pipelines, the sandbox that they use, and the demo."""

from __future__ import annotations

import imaplib
import json
import os
import re
import shlex
import shutil
import signal
import smtplib
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from integration.playing import LONGEST, Stage

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
USERS = ("support@example.test", "alerts@example.test")


@pytest.fixture
def project(stage: Stage) -> Path:
    """A repository with the folder examples/ci as `mail`."""
    return Path(shutil.copytree(EXAMPLES / "ci", stage.folder / "mail"))


def run(stage: Stage, folder: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as a pipeline does, with the programs beside this Python first."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**stage.environment(PATH=path, ANSIBLE_INVENTORY="", **more)}
    streams: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, cwd=folder, env=environment, text=True, timeout=LONGEST, check=False, **streams)


def of_github() -> list[str]:
    steps = yaml.safe_load((EXAMPLES / "ci" / "github-actions.yml").read_text())["jobs"]["mail"]["steps"]
    return [step["run"] for step in steps if "run" in step and step["name"] != "Install"]


def of_gitlab() -> list[str]:
    script: list[str] = yaml.safe_load((EXAMPLES / "ci" / "gitlab-ci.yml").read_text())["mail"]["script"]
    return script


def test_github_and_gitlab_run_the_same_commands() -> None:
    assert of_github() == of_gitlab()


@pytest.mark.matrix
def test_pipeline_passes_where_mail_works(stage: Stage, project: Path) -> None:
    commands = of_github()
    assert commands
    for command in commands:
        done = run(stage, project, "sh", "-euc", command)
        assert done.returncode == 0, done.stdout
    (suite,) = ET.parse(project / "junit" / "testsystem.xml").getroot()
    assert {(case.get("name"), len(case)) for case in suite} == {("alerts", 0), ("support", 0)}
    assert not (project / "sandbox.json").exists()
    assert (project / "mailroom.db").is_file()


@pytest.mark.matrix
def test_a_pipeline_whose_mail_is_broken_fails_and_keeps_why(stage: Stage, project: Path) -> None:
    variables = project / "inventory" / "group_vars" / "all.yml"
    variables.write_text(variables.read_text().replace("ports.imaps", "ports.submission"))
    (command,) = of_github()
    done = run(stage, project, "sh", "-euc", command)
    assert done.returncode == 2, done.stdout
    (suite,) = ET.parse(project / "junit" / "testsystem.xml").getroot()
    assert suite.get("failures") == "1"


def test_the_demo(stage: Stage, request: pytest.FixtureRequest) -> None:
    short = ["--short"] if request.config.getoption("sample") else []
    done = run(stage, EXAMPLES / "demo", sys.executable, str(EXAMPLES / "demo" / "run"), *short)
    assert done.returncode == 0, done.stdout
    assert "All steps ended as expected." in done.stdout
    report = Path(done.stdout.splitlines()[-1].partition(": ")[2])
    page = report.read_text(encoding="utf-8")
    assert "All 3 connectors work" in page
    assert "tls_name_mismatch" in page


def test_first_playbook_prints_the_output_in_the_readme(stage: Stage, project: Path) -> None:
    playbook = EXAMPLES / "start" / "mail.yml"
    options = ("--extra-vars", "@sandbox.json", "--extra-vars", "mail_password=wrong")
    command = (
        sys.executable,
        "sandbox.py",
        "--user",
        "alerts@example.test",
        "--",
        "ansible-playbook",
        str(playbook),
        *options,
    )
    done = run(stage, project, *command)
    assert done.returncode == 0, done.stdout
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\nTASK.*\n((?:.*\n)+?) *…\n```", readme)
    assert _without_numbers(shown) in _without_numbers(done.stdout)


def _without_numbers(output: str) -> str:
    """The output without ports, times and the width of columns."""
    return re.sub(r" +", " ", re.sub(r"\d+(?=,| *\")", "N", output))


@contextmanager
def sandbox(project: Path, number: signal.Signals = signal.SIGTERM) -> Iterator[dict[str, Any]]:
    """The sandbox's variables, while it runs."""
    users = [word for user in USERS for word in ("--user", user)]
    command = [sys.executable, "sandbox.py", *users]
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert "ready" in process.stdout.readline()
            file = project / "sandbox.json"
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            yield json.loads(file.read_text())["sandbox"]
            process.send_signal(number)
            assert process.wait() == 0
            assert not file.exists()
        finally:
            process.kill()


def trusting(variables: dict[str, Any]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=variables["ca_file"])


def test_mail_lands_in_the_mailbox_and_nowhere_else(project: Path) -> None:
    with sandbox(project) as variables:
        host, ports, passwords = variables["host"], variables["ports"], variables["passwords"]
        with smtplib.SMTP(host, ports["submission"]) as smtp:
            with pytest.raises(smtplib.SMTPSenderRefused):
                smtp.sendmail(USERS[0], USERS, "Subject: before anybody has signed in\r\n\r\n")
            smtp.starttls(context=trusting(variables))
            with pytest.raises(smtplib.SMTPAuthenticationError):
                smtp.login(USERS[1], "another-password")
            smtp.login(USERS[1], passwords[USERS[1]])
            assert not smtp.sendmail(USERS[1], [USERS[1].title()], "Subject: to alerts\r\n\r\nText\r\n")
            assert not smtp.sendmail(USERS[1], ["x@example.com", "y@example.com"], "Subject: to others\r\n\r\nText\r\n")
        subjects = {}
        for user in USERS:
            with imaplib.IMAP4(host, ports["imap"]) as imap:
                with pytest.raises(imaplib.IMAP4.error):
                    imap.login(user, passwords[user])
                imap.starttls(trusting(variables))
                imap.login(user, passwords[user])
                imap.select("INBOX", readonly=True)
                parts = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
                subjects[user] = [part[1].strip() for part in parts if isinstance(part, tuple)]
        assert subjects == {USERS[0]: [b"Subject: to others"], USERS[1]: [b"Subject: to alerts"]}
        folder = Path(variables["ca_file"]).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
@pytest.mark.sampled(2)
def test_a_signal_ends_it_and_leaves_nothing(project: Path, number: signal.Signals) -> None:
    with sandbox(project, number=number) as variables:
        folder = Path(variables["ca_file"]).parent
        assert folder.is_dir()
    assert not folder.exists()


@pytest.mark.matrix
def test_one_port_has_a_certificate_for_another_name(project: Path) -> None:
    with sandbox(project) as variables, pytest.raises(ssl.SSLCertVerificationError, match=r"127\.0\.0\.1"):
        smtplib.SMTP_SSL(variables["host"], variables["ports"]["smtps_other_name"], context=trusting(variables))


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        ("--user alerts", 2, "argument --user: must be an address such as alerts@example.test"),
        ("--user a@b\n", 2, "argument --user: must be an address"),
        ("--variables nowhere/sandbox.json", 2, "there is no folder nowhere"),
        ("--variables README.md", 2, "argument --variables: README.md is there already; name a file that is not"),
        ("--variables inventory", 2, "argument --variables: inventory is there already; name a file that is not"),
        ("-- not-a-command-at-all", 127, "The command not-a-command-at-all cannot be run: No such file or directory."),
        ("-- sh -c 'exit 7'", 7, ""),
        ("-- sh -c 'kill -9 $$'", 137, ""),
    ],
)
@pytest.mark.sampled(3)
def test_what_the_sandbox_says(stage: Stage, project: Path, options: str, status: int, told: str) -> None:
    words = shlex.split(options.replace("\n", "'\n'"))
    done = run(stage, project, sys.executable, "sandbox.py", *words)
    assert done.returncode == status, done.stdout
    assert told in done.stdout
    assert "Traceback" not in done.stdout
    assert not (project / "sandbox.json").exists()
