# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright the mailroom.core contributors
"""The sessions of nox: `nox -l` lists them, words after `--` go to the tool behind a session.

The linters come from antsibull-nox.toml. antsibull-nox's own sessions for ansible-test take ansible-core from GitHub
archives and run in containers; here ansible-core comes from PyPI, at the versions and hashes of tests/requirements.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import nox
import uv

sys.path.insert(0, str(Path(__file__).parent / "tests"))
import places

ROOT = places.ROOT
OUTPUT = places.OUTPUT
COLLECTION = "mailroom.core"

# The Python of each ansible-core on the controller: the oldest that it runs on.
CORES = {"2.18": "3.11", "2.19": "3.11", "2.20": "3.12", "2.21": "3.12", "2.22": "3.13"}
# The next one comes from GitHub, so only .github/workflows runs it.
DEVEL = "https://github.com/ansible/ansible/archive/devel.tar.gz"
OLDEST, NEWEST = "2.18", "2.22"
# Modules also run on the oldest Python of hosts, under the oldest ansible-core.
TARGET_PYTHON = "3.9"
# All else runs on the Python that runs nox.
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# What "lint" runs, and ansible-lint; ansible-test looks at the changelog.
LINTERS = (
    *("formatters", "codeqa", "yamllint", "antsibull-nox-config"),
    *("typing", "docs-check", "license-check", "extra-checks"),
)
# "lint" has no need to look there with ansible-lint, which starts ansible-playbook for each playbook: tests play them.
NOT_THE_COLLECTION = ("examples", "extensions/molecule", "tests")
# Each file of these tests has servers of its own, and waits more than it computes.
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile")
# The release candidate of 2.22 lints with a package that is not released yet. Without a version of ansible-core, what
# is skipped is looked at by others: ruff and mypy (pep8, pylint), yamllint, and tests that import all (import).
SANITY_SKIPS = {"": ["import", "pep8", "pylint", "yamllint"], "2.22": ["pylint"]}
LOCKS = {
    # What each lock file has to fit: the oldest Python. The first releases of a Python lack what some packages need.
    **{f"core-{core}": f"{python}.2" for core, python in CORES.items()},
    f"target-{TARGET_PYTHON}": f"{TARGET_PYTHON}.2",
    "airflow": "3.12.2",
    "applications": "3.12.2",
    "fuzz": "3.12.2",
    "importer": "3.11.2",
    "incumbent": "3.11.2",
    "nox": "3.11.2",
    "privacyidea": "3.12.2",
    "tools": "3.11.2",
}


def prepare_environment() -> None:
    """Keep the user's settings out of the sessions, and everything that they write inside tests/output."""
    unwanted = ("ANSIBLE_", "LC_", "MAKE", "MAILROOM_", "MOLECULE_", "PYTHON", "VIRTUAL_ENV", "XDG_")
    for name in list(os.environ):
        if name.startswith(unwanted) and not name.startswith("MAILROOM_LIVE_"):
            del os.environ[name]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    # A pyenv shim on PATH may exist and still not run, and what pyenv compiles may take twice the processor time of
    # what a distribution compiles.
    folders = [each for each in os.environ.get("PATH", os.defpath).split(os.pathsep) if each != str(pyenv / "shims")]
    folders += [str(folder) for folder in pyenv.glob("versions/3.[1-9][0-9].*/bin")]
    folders += [str(folder) for folder in pyenv.glob("versions/3.9.*/bin")]
    home = make_home(OUTPUT / "home")
    os.environ |= {
        "HOME": str(home),
        "PATH": os.pathsep.join(folders),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS),
        "GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "false",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(OUTPUT / "cache" / "hypothesis"),
        "NO_COLOR": "1",
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(OUTPUT / "cache" / "uv"),
    }
    places.link_collection()


def make_home(home: Path) -> Path:
    """Make a HOME, with the user's settings for installing packages."""
    config = home / ".config"
    config.mkdir(parents=True, exist_ok=True)
    for name in ("pip", "uv"):
        settings = Path.home() / ".config" / name
        if settings.is_dir() and home != Path.home() and not (config / name).is_symlink():
            with suppress(FileExistsError):  # another session may do the same
                (config / name).symlink_to(settings.resolve())
    return home


prepare_environment()
nox.options.envdir = OUTPUT / "nox"
nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.sessions = ["lint", "sanity", "unit"]

import antsibull_nox  # noqa: E402 - it reads the environment
from antsibull_nox.sessions import prepare_collections  # noqa: E402

antsibull_nox.load_antsibull_nox_toml()


def sync(session: nox.Session, lock: str) -> None:
    """Install what a lock file says, and nothing else."""
    file = ROOT / "tests" / "requirements" / f"{lock}.txt"
    session.run_install("uv", "pip", "sync", "--quiet", "--require-hashes", str(file))


def sync_core(session: nox.Session, core: str) -> None:
    """Install what the tests need with this ansible-core, or with the newest that fits."""
    sync(session, f"core-{core}" if core in CORES else f"core-{NEWEST}" if core == "devel" else "tools")
    if core == "devel":
        session.install(f"ansible-core @ {DEVEL}")


def run_pytest(
    session: nox.Session, folder: str, *options: str, more: Sequence[str] = (), env: dict[str, str] | None = None
) -> None:
    """Run the tests of a folder and more, or those files of it that are named after `--`."""
    named = [word for word in session.posargs if word.partition("::")[0].startswith("tests/")]
    given = [*session.posargs, *([] if named else [f"tests/{each}" for each in (folder, *more)])]
    # Not session.create_tmp(): it becomes TMPDIR, and servers that run as other users could not read what is in it.
    scratch = OUTPUT / "tmp" / session.name
    scratch.parent.mkdir(parents=True, exist_ok=True)
    junit = OUTPUT / "junit" / f"{session.name}.xml"
    session.run("pytest", f"--junitxml={junit}", f"--basetemp={scratch}", *options, *given, env=env)


def sanity(session: nox.Session, core: str = "") -> None:
    """Run ansible-test sanity; with a version, all of its tests, and under all Pythons, not just two."""
    oldest = ["--python", TARGET_PYTHON, "--test", "compile"]
    skipped = [] if session.posargs and not core else SANITY_SKIPS.get(core, [])
    skips = [f"--skip-test={name}" for name in skipped]
    runs = [[*skips, *session.posargs]] if core or session.posargs else [["--python", PYTHON, *skips], oldest]
    if oldest in runs and not shutil.which(f"python{TARGET_PYTHON}"):
        if os.environ.get("CI"):
            session.error(f"Python {TARGET_PYTHON} not found")
        runs.remove(oldest)
    sync_core(session, core)
    home = make_home(OUTPUT / f"home-{session.name}")
    replace_pip(session, home / ".ansible" / "test" / "cache")
    copy = prepare_collections(session, install_in_site_packages=False, install_out_of_tree=True)
    if copy is None:
        session.error("the collection could not be copied")
    with session.chdir(copy.current_path):
        command = ["ansible-test", "sanity", "--color", "no", "--requirements"]
        for words in runs:
            session.run(*command, *words, env={"HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": ""})


def replace_pip(session: nox.Session, cache: Path) -> None:
    """Have uv fill the virtual environments of ansible-test, which takes a tenth of the processor time of pip.

    ansible-test installs pip with a script that it keeps in its cache, and would download. This one puts there, as pip,
    a package that calls uv; ansible-test does not pass on the variables that uv looks at.
    """
    settings = {name: value for name, value in os.environ.items() if re.match("SSL_CERT_|UV_|.*_proxy$", name, re.I)}
    command = [uv.find_uv_bin(), "pip"]
    pip = f"""\
import os, sys
os.environ.update({settings})
action, *options = (word for word in sys.argv[1:] if word != "-y")
command = [*{command}, action, "--quiet", "--python", sys.executable, *options]
os.execv(command[0], command)
"""
    script = f"""\
import pathlib, sysconfig
folder = pathlib.Path(sysconfig.get_path("purelib"), "pip")
folder.mkdir()
(folder / "__init__.py").touch()
(folder / "__main__.py").write_text({pip!r}, encoding="utf-8")
"""
    (versions,) = Path(session.virtualenv.location).glob("lib/*/site-packages/ansible_test/**/python_requirements.py")
    cache.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"pip='([\d.]+)'", versions.read_text(encoding="utf-8")):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(script, encoding="utf-8")


def unit(session: nox.Session, core: str = "") -> None:
    """Run the unit tests."""
    sync_core(session, core)
    run_pytest(session, "unit")


def servers(session: nox.Session, core: str = "") -> None:
    """Run the tests that talk to mail servers."""
    sync_core(session, core)
    run_pytest(session, "servers", *SIDE_BY_SIDE)


def integration(session: nox.Session, core: str = "") -> None:
    """Run what Ansible plays.

    The oldest ansible-core runs modules on the oldest Python of hosts, the newest has the collection from its tarball.
    """
    sync_core(session, core)
    env = {}
    if core == OLDEST:
        target = Path(session.virtualenv.location).parent / "target" / "bin" / "python"
        if not target.exists():
            session.skip(f"Python {TARGET_PYTHON} not found")
        env["MAILROOM_TARGET_PYTHON"] = str(target)
    if core == NEWEST:
        env["MAILROOM_COLLECTIONS"] = str(install_collection(session))
    run_pytest(session, "integration", env=env)


def install_collection(session: nox.Session) -> Path:
    """Build the collection and install it from the tarball."""
    build, installed = OUTPUT / "build", OUTPUT / "installed"
    shutil.rmtree(build, ignore_errors=True)
    shutil.rmtree(installed, ignore_errors=True)
    session.run("ansible-galaxy", "collection", "build", "--output-path", str(build), str(places.LINK), silent=True)
    (tarball,) = build.glob("*.tar.gz")
    command = ["ansible-galaxy", "collection", "install", "--offline", str(tarball), "-p", str(installed)]
    session.run(*command, env={"ANSIBLE_COLLECTIONS_PATH": str(installed)}, silent=True)
    return installed


for kind in (sanity, unit, integration, servers):
    nox.session(kind, name=kind.__name__, python=PYTHON)
    for version, python in {**CORES, "devel": CORES[NEWEST]}.items():
        if kind is servers and version not in (OLDEST, NEWEST):
            continue  # conversations with servers do not depend on ansible-core, but on Python
        needs = ["target"] if kind is integration and version == OLDEST else []
        function = partial(kind, core=version)
        function.__doc__ = f"The same with ansible-core {version}."
        tags = ["matrix"] if version in CORES else []
        nox.session(
            function, name=f"{kind.__name__}-{version}", python=python, requires=needs, tags=tags, default=False
        )


@nox.session(python=TARGET_PYTHON, default=False)
def target(session: nox.Session) -> None:
    """Install the libraries of modules for the oldest Python of hosts."""
    sync(session, f"target-{TARGET_PYTHON}")


@nox.session(python=PYTHON, tags=["matrix"])
def jobs(session: nox.Session) -> None:
    """Run the tests of the examples, and of what AWX and pipelines run."""
    sync(session, "tools")
    # One after the other: two at once would build the payloads of the same modules twice.
    run_pytest(session, "jobs")


# The applications that connector_api writes to, and that need Python packages of their own.
PROGRAMS = ("airflow", "privacyidea")
for program in PROGRAMS:
    install = partial(sync, lock=program)
    install.__doc__ = f"Install {program} for the tests of applications."
    nox.session(install, name=program, python=CORES["2.21"], default=False)


@nox.session(python=CORES["2.21"], tags=["matrix"], requires=PROGRAMS)
def applications(session: nox.Session) -> None:
    """Run the tests with large programs and the collection for AWX, and a dozen fail-overs of PostgreSQL.

    ansible-rulebook needs OpenJDK 17.
    """
    sync(session, "applications")
    beside = Path(session.virtualenv.location).parent
    programs = {f"MAILROOM_{program.upper()}": str(beside / program / "bin") for program in PROGRAMS}
    more = ["servers/postgresql/test_failover.py", "jobs/test_awx_objects.py"]
    run_pytest(session, "applications", more=more, env={"MAILROOM_FAILOVERS": "12", **programs})


@nox.session(python=PYTHON, tags=["matrix"])
def molecule(session: nox.Session) -> None:
    """Run the scenarios of the role environment, or the molecule command after `--`."""
    sync(session, "tools")
    home = OUTPUT / "molecule"
    if not session.posargs:
        # The mail server that a scenario has started ends when this folder is removed.
        shutil.rmtree(home, ignore_errors=True)
    try:
        session.run("molecule", *(session.posargs or ["test", "--all"]), env={"ANSIBLE_HOME": str(home)})
    finally:
        if not session.posargs:
            shutil.rmtree(home, ignore_errors=True)


@nox.session(python=PYTHON)
def live(session: nox.Session) -> None:
    """Test a real tenant, as environment variables describe it."""
    sync(session, "tools")
    run_pytest(session, "live")


@nox.session(python="3.13")  # for which there are wheels of atheris
def fuzz(session: nox.Session) -> None:
    """Fuzz what servers may say with atheris, a minute for each target."""
    sync(session, "fuzz")
    session.run("python", "tests/fuzz/run", *session.posargs)


@nox.session(python=CORES["2.21"])
def bench(session: nox.Session) -> None:
    """Run the benchmarks, each beside what one would do instead."""
    sync(session, "core-2.21")
    # Libraries on hosts are compiled, too, and what is measured may not write there.
    session.run("python", "-m", "compileall", "-qq", session.virtualenv.location, success_codes=[0, 1])
    incumbent, lock = OUTPUT / "incumbent", ROOT / "tests" / "requirements" / "incumbent.txt"
    command = ["uv", "pip", "install", "--quiet", "--no-deps", "--require-hashes", f"--target={incumbent}"]
    session.run_install(*command, "-r", str(lock))
    session.run("python", "tests/bench/run", *session.posargs, env={"MAILROOM_BENCH_INCUMBENT": str(incumbent)})


@nox.session(python=PYTHON)
def docs(session: nox.Session) -> None:
    """Build the documentation into tests/output/docs."""
    sync(session, "tools")
    session.run("python", "docs/build", str(OUTPUT / "docs"))


@nox.session(python=PYTHON)
def typing(session: nox.Session) -> None:
    """Run mypy."""
    sync(session, "tools")
    plugins = "ansible_collections.mailroom.core.plugins"
    packages = [f"--package={plugins}.{name}" for name in ("action", "module_utils", "plugin_utils")]
    config = f"--config-file={ROOT / 'pyproject.toml'}"
    session.run("mypy", config, *packages, env={"MYPYPATH": str(places.COLLECTIONS)})


@nox.session(python=PYTHON)
def changelog(session: nox.Session) -> None:
    """Check the changelog fragments."""
    sync(session, "tools")
    session.run("antsibull-changelog", *(session.posargs or ["lint"]))


@nox.session(python=PYTHON, default=False)
def fragments(session: nox.Session) -> None:
    """Write the documentation that follows from the fields, verdicts and presets."""
    sync(session, "tools")
    session.run("python", "tests/update_fragments.py")


@nox.session(name="ansible-lint", python=PYTHON, default=False, tags=["matrix"])
def ansible_lint(session: nox.Session, *options: str) -> None:
    """Run ansible-lint."""
    sync(session, "tools")
    # It starts ansible-playbook for each playbook and role; what helps where tests play them helps here.
    env = {"PYTHONPATH": str(ROOT / "tests" / "integration" / "bytecode")}
    session.run("ansible-lint", "--strict", *options, *session.posargs, env=env)


def lint(session: nox.Session) -> None:
    """Run the linters, ansible-lint on what the collection consists of; `ansible-lint` runs it on everything else, too.

    They share an environment: making one for each costs more processor time than most of them need.
    """
    sync(session, "tools")
    collection_only = [word for folder in NOT_THE_COLLECTION for word in ("--exclude", folder)]
    linters = {name: nox.registry.get()[name].func for name in LINTERS}
    linters["ansible-lint"] = lambda session: ansible_lint(session, *collection_only, "--skip-list", "yaml")
    failed = []
    for name, run in linters.items():
        session.log(f"Running {name}")
        try:
            run(session)
        except Exception as error:  # noqa: BLE001 - nox has no class of its own for what ends a session
            session.warn(f"{name}: {error}")
            failed.append(name)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


# antsibull-nox has a session of this name, which has others run.
meta = nox.registry.get()["lint"]
meta.func, meta.requires, meta.__doc__ = lint, [], lint.__doc__
# galaxy-importer looks at what sanity and the other linters look at, and decides when a release is published.
nox.registry.get()["build-import-check"].tags.append("matrix")


@nox.session(python=PYTHON)
def lock(session: nox.Session) -> None:
    """Renew the pinned versions of the Python packages."""
    command = ["uv", "pip", "compile", "--universal", "--upgrade", "--quiet", "--generate-hashes"]
    command += ["--custom-compile-command", "nox -s lock"]
    with session.chdir("examples/ci"):
        session.run(*command, "--python-version", "3.11.2", "requirements.in", "-o", "requirements.txt")
    with session.chdir("tests/requirements"):
        for name, python in LOCKS.items():
            session.run(*command, "--python-version", python, f"{name}.in", "-o", f"{name}.txt")


if __name__ == "__main__":
    nox.main()
