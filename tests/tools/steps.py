# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""What there is to run, and on which Python."""

from __future__ import annotations

import os
import re
import shutil
import sys
import typing as t
from pathlib import Path
from xml.etree import ElementTree as ET

import interpreters
import places
import venvs
from runner import FAILED, NOT_RUN, Step, StepFailed, execute


class Fitting(t.NamedTuple):
    """The Pythons that an environment can be made with, and which of them it gets."""

    oldest: interpreters.Version
    newest: interpreters.Version
    prefer_newest: bool = False


PYTHONS = {
    "demo": Fitting((3, 11), (3, 14), prefer_newest=True),
    "tools": Fitting((3, 11), (3, 14), prefer_newest=True),
    "core-2.18": Fitting((3, 11), (3, 13)),
    "core-2.19": Fitting((3, 11), (3, 13)),
    "core-2.20": Fitting((3, 12), (3, 14)),
    "core-2.21": Fitting((3, 12), (3, 14)),
    "core-2.22": Fitting((3, 13), (3, 14)),
    "target-3.9": Fitting((3, 9), (3, 9)),
    # What there are wheels of atheris for.
    "fuzz": Fitting((3, 12), (3, 13), prefer_newest=True),
}
CORES = ["core-2.18", "core-2.19", "core-2.20", "core-2.21", "core-2.22"]
# Conversations with servers do not depend on ansible-core, so they need the oldest and the newest Python only.
OLDEST_AND_NEWEST_PYTHON = ["core-2.18", "tools"]
# They wait more than they compute, each file with servers of its own.
OPTIONS = {folder: ["-n", "2", "--dist", "loadfile"] for folder in ("servers", "jobs")}
# The release candidate of 2.22 lints with a package that is not released yet.
SANITY_SKIPS = {"core-2.22": ["pylint"]}


def python_for(name: str) -> interpreters.Version | None:
    """The Python that an environment gets; for the demo the one in use, if it fits."""
    fitting = PYTHONS[name]
    in_use = sys.version_info[:2]
    if name == "demo" and fitting.oldest <= in_use <= fitting.newest:
        return in_use
    return interpreters.choose(*fitting)


def pythons_for(name: str) -> str:
    """In words, the Pythons that an environment can be made with."""
    fitting = PYTHONS[name]
    return " to ".join(dict.fromkeys("{}.{}".format(*end) for end in (fitting.oldest, fitting.newest)))


def plan(target: str) -> list[Step]:
    """The steps of a make target, after the environments that they need."""
    steps = _PLANS[target]()
    names = {step.name for step in steps}
    needed = dict.fromkeys(name for step in steps for name in step.needs if name not in names)
    return [*(_set_up(name.removeprefix("set up ")) for name in needed), *steps]


def _set_up(name: str) -> Step:
    version = python_for(name)
    if version:
        about = "Python {}.{}".format(*version)
        return Step(f"set up {name}", lambda step, log: venvs.ensure(name, version, log), about=about)
    step = Step(f"set up {name}", lambda step, log: None, about=f"no Python {pythons_for(name)} here")
    step.result = FAILED if _in_ci() else NOT_RUN
    return step


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def _lint() -> list[Step]:
    plugins = "ansible_collections.mailroom.core.plugins"
    packages = [f"--package={plugins}.{name}" for name in ("action", "module_utils", "plugin_utils")]
    docs = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--check-extra-docs-refs"]
    strict = ["--validate-collection-refs=all", "--disallow-unknown-collection-refs"]
    return [
        _lint_step("ansible-lint", "ansible-lint", "--strict", "--offline"),
        _lint_step("docs", *docs, *strict, ".", in_copy=True),
        _lint_step("mypy", "mypy", "--config-file", str(places.ROOT / "pyproject.toml"), *packages),
        _lint_step("ruff check", "ruff", "check"),
        _lint_step("ruff format", "ruff", "format", "--check"),
        _lint_step("yamllint", "yamllint", "--strict", "."),
        _lint_step("changelog", "antsibull-changelog", "lint"),
        _lint_step("reuse", "reuse", "lint", "--lines", in_copy=True),
    ]


def _lint_step(name: str, *command: str, in_copy: bool = False) -> Step:
    """A linter; one that would look into ignored folders gets a copy without them."""

    def run(step: Step, log: t.IO[str]) -> None:
        folder = places.copy_collection(places.OUTPUT / "copies" / step.slug) if in_copy else places.ROOT
        env = places.environment(venvs.folder_of("tools") / "bin", MYPYPATH=str(places.COLLECTIONS))
        execute(command, log, env, folder)

    return Step(name, run, needs=("set up tools",))


def _install() -> Step:
    """Builds the collection and installs it from the tarball."""
    return Step("build and install", _build_and_install, needs=("set up tools",))


def _build_and_install(step: Step, log: t.IO[str]) -> None:
    env = places.environment(venvs.folder_of("tools") / "bin", ANSIBLE_COLLECTIONS_PATH=str(places.INSTALLED))
    build = places.OUTPUT / "build"
    shutil.rmtree(build, ignore_errors=True)
    shutil.rmtree(places.INSTALLED, ignore_errors=True)
    execute(["ansible-galaxy", "collection", "build", "--output-path", build], log, env, places.LINK)
    (tarball,) = build.glob("*.tar.gz")
    execute(["ansible-galaxy", "collection", "install", "--offline", tarball, "-p", places.INSTALLED], log, env)


def _sanity(venv: str) -> Step:
    """What every collection has to pass, under all Pythons of this machine."""

    def run(step: Step, log: t.IO[str]) -> None:
        folders = dict.fromkeys(python.parent for python in interpreters.found().values())
        collection = places.copy_collection(places.OUTPUT / "copies" / step.slug)
        home = _home_for_ansible_test(venv)
        env = places.environment(venvs.folder_of(venv) / "bin", *folders, HOME=str(home))
        skips = SANITY_SKIPS.get(venv, [])
        command = ["ansible-test", "sanity", "--color", "no", "--requirements"]
        try:
            execute([*command, *(f"--skip-test={name}" for name in skips)], log, env, collection)
        finally:
            output = step.log.read_text(encoding="utf-8")
            step.notes += [*(f"{name} was left out" for name in skips), *_not_covered(output)]
        if "Running sanity test" not in output:
            raise StepFailed("ansible-test found nothing to test")

    return Step(f"sanity {venv}", run, needs=(f"set up {venv}",))


def _not_covered(output: str) -> t.Iterator[str]:
    """What ansible-test skipped, with the Pythons that it did not find in one line per test."""
    pythons: dict[str, list[str]] = {}
    for warning in dict.fromkeys(re.findall(r"^WARNING: (Skipping .*|Required program .*)$", output, re.MULTILINE)):
        missing = re.fullmatch(r'Skipping sanity test "(.*)" on Python (\S+) because it could not be found\.', warning)
        if missing:
            pythons.setdefault(missing[1], []).append(missing[2])
        else:
            yield warning
    for test, versions in pythons.items():
        yield f"{test} was not tried on Python {', '.join(versions)}: not found"


def _home_for_ansible_test(venv: str) -> Path:
    """A HOME of its own, so that two of them side by side do not make the same environments."""
    home = places.OUTPUT / "home-ansible-test" / venv
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for name in (".config", ".cache"):
        (places.HOME / name).mkdir(parents=True, exist_ok=True)
        if not (home / name).is_symlink():
            (home / name).symlink_to(places.HOME / name)
    # It would download a script that installs pip, which every Python here can do itself.
    (source,) = venvs.folder_of(venv).glob("lib/python*/site-packages/ansible_test/_internal/python_requirements.py")
    for version in re.findall(r"pip='([\d.]+)'", source.read_text(encoding="utf-8")):
        script = cache / f"get_pip_{version.replace('.', '_')}.py"
        script.write_text("import ensurepip\nensurepip.bootstrap()\n", encoding="utf-8")
    return home


def _pytest(folder: str, venv: str, target: str = "", *, installed: bool = False, quick: bool = False) -> Step:
    """The tests of a folder; `target` is what modules run on, where that is another Python.

    `quick` leaves out what takes long and seldom depends on the versions of Python and ansible-core.
    """
    name = f"{folder} {venv}" + (f", {target}" if target else "") + (", installed" if installed else "")
    needs = [f"set up {needed}" for needed in (venv, target) if needed] + ["build and install"] * installed
    more = {"MAILROOM_COLLECTIONS": str(places.INSTALLED)} if installed else {}
    if target:
        more["MAILROOM_TARGET_PYTHON"] = str(venvs.folder_of(target) / "bin" / "python")
    if folder == "live":
        more |= {name: value for name, value in os.environ.items() if name.startswith("MAILROOM_LIVE_")}

    def run(step: Step, log: t.IO[str]) -> None:
        junit = places.OUTPUT / "junit" / f"{step.slug}.xml"
        junit.unlink(missing_ok=True)
        scratch = places.OUTPUT / "tmp" / step.slug
        options = [f"--junitxml={junit}", f"--basetemp={scratch}", *OPTIONS.get(folder, [])]
        if quick:
            options += ["-m", "not exhaustive"]
        try:
            execute(
                ["pytest", *options, f"tests/{folder}"], log, places.environment(venvs.folder_of(venv) / "bin", **more)
            )
        finally:
            step.tests = _count(junit)
            shutil.rmtree(scratch, ignore_errors=True)

    return Step(name, run, tuple(needs))


def _molecule() -> Step:
    """The scenarios of the environment role, with a mail server that ends when the folder is removed."""

    def run(step: Step, log: t.IO[str]) -> None:
        home = places.OUTPUT / "molecule"
        shutil.rmtree(home, ignore_errors=True)
        try:
            env = places.environment(venvs.folder_of("tools") / "bin", ANSIBLE_HOME=str(home))
            execute(["molecule", "test", "--all"], log, env)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    return Step("molecule", run, needs=("set up tools",))


def _count(junit: Path) -> dict[str, int]:
    if not junit.is_file():
        return {}
    suite = next(ET.parse(junit).iter("testsuite")).attrib
    failed, skipped = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    return {"passed": int(suite["tests"]) - failed - skipped, "failed": failed, "skipped": skipped}


def _on(cores: list[str]) -> list[Step]:
    return [_pytest(folder, core) for core in cores for folder in ("integration", "unit")]


def _both_ends() -> list[Step]:
    """Conversations with servers, on the oldest and on the newest Python."""
    return [_pytest("servers", venv) for venv in OLDEST_AND_NEWEST_PYTHON]


# What takes longest comes first, so that nothing waits for it at the end.
_PLANS: dict[str, t.Callable[[], list[Step]]] = {
    "lint": _lint,
    "sanity": lambda: [_sanity("tools")],
    "unit": lambda: [_pytest("unit", "tools")],
    "integration": lambda: [_pytest("integration", "tools")],
    "servers": lambda: [_pytest("servers", "tools")],
    "jobs": lambda: [_pytest("jobs", "tools")],
    "molecule": lambda: [_molecule()],
    "live": lambda: [_pytest("live", "tools")],
    "matrix": lambda: [
        *map(_sanity, CORES),
        *_on(CORES),
        _pytest("integration", "core-2.21", "target-3.9"),
        *_both_ends(),
        _pytest("jobs", "tools"),
        _molecule(),
    ],
    "test": lambda: [
        _sanity("tools"),
        _install(),
        # The oldest of everything, and the newest as it is installed from the tarball.
        _pytest("integration", "core-2.18", "target-3.9", quick=True),
        _pytest("integration", "core-2.22", installed=True),
        _pytest("unit", "core-2.22"),
        _pytest("servers", "tools"),
        _pytest("jobs", "tools"),
        _molecule(),
        *_lint(),
    ],
}
