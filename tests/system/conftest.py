"""Boots for the tests of real kernels: croft in a pseudo-terminal, and a shell in the guest.

`pytest tests/system --bare` runs the checks of a guest without Undercroft: so the checks
themselves are proven on the bare machine.
"""

import pathlib
import re
import subprocess
import sys
import time

import pexpect
import pytest

import transcripts

ROOT = pathlib.Path(__file__).resolve().parents[2]
CROFT = [sys.executable, str(ROOT / "croft")]
PROMPT = r"undercroft# "


def pytest_addoption(parser):
    parser.addoption("--bare", action="store_true", help="run the guests without Undercroft")


def pytest_configure(config):
    config.addinivalue_line("markers", "long(minutes=0): only ./croft test --all runs it; one that takes "
                            "many minutes says so, and starts before the others")
    config.addinivalue_line("markers", "hosted: says something of Undercroft; not run with --bare")


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(config, items):
    items.sort(key=minutes, reverse=True)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(item.nodeid if minutes(item) else shared_work(item)))
        if config.getoption("--bare") and item.get_closest_marker("hosted"):
            item.add_marker(pytest.mark.skip(reason="needs Undercroft"))


def minutes(item):
    """What its mark `long` says; 0 for most."""
    mark = item.get_closest_marker("long")
    return mark.kwargs.get("minutes", 0) if mark else 0


def shared_work(item):
    """What one of several test processes had better do alone: the runs of a test kernel, which are
    compared with the same bare run, and the tests of another module, which may share a boot."""
    kernel = getattr(item, "callspec", None) and item.callspec.params.get("name")
    return kernel or item.module.__name__


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["transcripts"] = transcripts.counts()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    if hasattr(node, "workeroutput"):  # it has not crashed
        transcripts.add_counts(node.workeroutput["transcripts"])


def pytest_terminal_summary(terminalreporter):
    for line in transcripts.summary():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def bare(pytestconfig):
    return pytestconfig.getoption("--bare")


class Croft:
    """Starts `croft run` with the words that all runs of a session share."""

    def __init__(self, bare, folder):
        self.shared = ["--bare"] if bare else ["--no-build"]
        self.folder = folder
        self.number = 0

    def command(self, words):
        self.number += 1
        self.log = self.folder / f"serial-{self.number}.log"
        return [*CROFT, "run", *self.shared, "--log", str(self.log), *words]

    def fetch(self, guest):
        """Sees to it that the guest's files are in the cache; croft's exit status."""
        return subprocess.run([*CROFT, "fetch", guest], stdin=subprocess.DEVNULL,
                              check=False).returncode

    def execute(self, command, *words, timeout=300):
        """Runs one guest command; the result has .returncode, .stdout, .stderr (text)."""
        line = self.command(["--timeout", str(timeout), "--exec", command, *words])
        return subprocess.run(line, capture_output=True, text=True, timeout=timeout + 60,
                              stdin=subprocess.DEVNULL, check=False)

    def start(self, *words):
        """Starts an interactive run in a pseudo-terminal."""
        line = self.command(words)
        return pexpect.spawn(line[0], line[1:], encoding="utf-8", codec_errors="replace",
                             timeout=60, dimensions=(40, 200), cwd=str(ROOT))

    def shell(self, *words, patience=60):
        """A shell at its first prompt, which comes within `patience` seconds."""
        return Shell(self.start(*words), patience)


class Shell:
    """An interactive shell in the guest, from its first prompt on."""

    def __init__(self, terminal, patience):
        self.terminal = terminal
        self.started = time.monotonic()
        terminal.timeout = patience
        terminal.expect(PROMPT)
        self.boot_seconds = time.monotonic() - self.started

    def run(self, command, timeout=120):
        """Runs `command` as if typed; returns (its output, its status)."""
        # The marks are typed in two halves, so that the echo of the line does not match.
        self.terminal.sendline(f"echo @''@begin; {command}; echo @''@end $?")
        self.terminal.expect(r"@@begin\r*\n", timeout=timeout)
        self.terminal.expect(r"@@end (\d+)\r*\n", timeout=timeout)
        output = re.sub("\r+\n", "\n", self.terminal.before)
        status = int(self.terminal.match.group(1))
        self.terminal.expect(PROMPT, timeout=timeout)
        return output, status

    def leave(self, word="exit", timeout=120):
        """Types `word`; returns (croft's exit status, the last text on the terminal)."""
        self.terminal.sendline(word)
        self.terminal.expect(pexpect.EOF, timeout=timeout)
        self.terminal.close()
        return self.terminal.exitstatus, self.terminal.before


@pytest.fixture(scope="session")
def croft(bare, tmp_path_factory):
    return Croft(bare, tmp_path_factory.mktemp("serial"))


@pytest.fixture(scope="session")
def bare_croft(tmp_path_factory):
    """Runs without Undercroft, also where the other runs are under it."""
    return Croft(True, tmp_path_factory.mktemp("bare-serial"))


@pytest.fixture(scope="module")
def shell(croft):
    """One boot that the tests of a module share."""
    opened = croft.shell("--memory", "256M")
    yield opened
    if opened.terminal.isalive():
        opened.terminal.close(force=True)


def faults_in(dmesg):
    """Lines of a kernel log that tell of a broken kernel."""
    return [line for line in dmesg.splitlines()
            if re.search(r"WARNING:|Oops|BUG:|Call Trace|general protection|segfault|panic -", line)]
