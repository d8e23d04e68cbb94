# Copyright the mailroom.core contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example pipelines and the execution environment install exactly what was written down (security review, 9)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "examples" / "ci"
AWX = ROOT / "examples" / "awx"
VERSION = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_actions_are_pinned_to_commits() -> None:
    uses = re.findall(r"uses: (\S+)", (CI / "github-actions.yml").read_text(encoding="utf-8"))
    assert uses
    assert [each for each in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each)] == []


def test_pipelines_install_one_version_of_everything() -> None:
    for name in ("github-actions.yml", "gitlab-ci.yml"):
        text = (CI / name).read_text(encoding="utf-8")
        assert re.findall(r"pip install (.*)", text) == ["--require-hashes --requirement requirements.txt"]
        assert re.findall(r"collection install (\S+)", text) == [f"mailroom.core:=={VERSION}"]


def test_python_packages_of_pipelines_have_versions_and_hashes() -> None:
    named = {line for line in (CI / "requirements.in").read_text(encoding="utf-8").splitlines() if line[:1].isalpha()}
    locked = re.findall(r"^([\w-]+)==\S+.*\\\n    --hash=sha256:", (CI / "requirements.txt").read_text("utf-8"), re.M)
    assert named
    assert {re.split("[>=]", name)[0] for name in named} <= set(locked)


def test_execution_environment_names_versions() -> None:
    environment = read(AWX / "execution-environment.yml")
    assert re.fullmatch(r"\w+:\d+", environment["images"]["base_image"]["name"])
    for package in ("ansible_core", "ansible_runner"):
        assert re.fullmatch(r"[\w-]+==[\d.]+", environment["dependencies"][package]["package_pip"])
