"""Builds everything and runs the tests, the cheap ones first; a summary is the last line.

  1. fetch the Linux guest, build the image and the hosted tests
  2. lint: format and reading order (--all: clang-tidy)
  3. ctest: units, truth tables, differential tests of the logic on this machine (--all: the fuzz
     targets too, a minute each)
  4. pytest: croft itself, then boots of real kernels in QEMU, as many at a time as there are
     processors (--all: those marked long, and a time taken alone)
"""

import os
import re
import subprocess
import time

from . import build, guests, lint, packages, paths, progress
from .errors import CroftError

# Lines of pytest's that are shown: a test's result; how much of the transcripts was compared.
TOLD = r"(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b.*::|::\S+ .*(PASSED|FAILED)|^transcripts, "
MOST_BOOTS = 8  # at a time: a machine may have 3 GB
SPEED = "tests/system/test_speed.py"  # what runs beside it would count
PYTHON = "/usr/bin/python3"  # Debian's own, which has pytest and pexpect


def _ctest(title="Hosted tests", folder=paths.BUILD_HOSTED, word="ctest"):
    """(passed, what to say)"""
    command = ["ctest", "--test-dir", str(folder), "--output-on-failure", "-j", str(os.cpu_count())]
    lines = _stream(title, command, r"\d+/\d+ Test")
    found = re.search(r"(\d+)% tests passed, (\d+) tests failed out of (\d+)", lines.text)
    if not found:
        return False, "ctest gave no result"
    failed, total = int(found.group(2)), int(found.group(3))
    return lines.status == 0 and total > 0, f"{word} {total - failed}/{total}"


def _pytest(title, folder, words):
    command = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-v", folder, *words]
    lines = _stream(title, command, TOLD)
    found = re.search(r"=+ ((?:\d+ \w+,? ?)+).*in [\d.]+s.*=+\s*$", lines.text)
    return lines.status == 0, f"{title.lower()} {found.group(1).strip() if found else 'failed'}"


class _Stream:
    def __init__(self):
        self.text = ""
        self.status = None


def _stream(title, command, wanted):
    """Runs a test runner, prints the lines that tell of a test, everything if it fails."""
    progress.say(title)
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    result = _Stream()
    try:
        process = subprocess.Popen(command, cwd=paths.ROOT, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                                   errors="replace")
    except FileNotFoundError:
        raise CroftError(f"{command[0]} is not installed") from None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if re.search(wanted, line):
            print("  " + line.strip(), flush=True)
    result.status = process.wait()
    result.text = "".join(lines)
    name = title.lower().replace(" ", "-")
    (paths.LOGS / f"test-{name}.log").write_text(result.text)
    if result.status != 0:
        print("".join(lines[-300:]), flush=True)
    return result


def _attempt(results, work):
    """Adds (passed, text) of `work`; a CroftError counts as a failure."""
    try:
        passed, text = work()
    except CroftError as error:
        progress.say(f"error: {error}")
        passed, text = False, str(error)
    results.append((passed, text))
    return passed


def _lint(tidy):
    found = lint.faults(tidy=tidy)
    for fault in found:
        print("  " + fault)
    return not found, f"lint {len(found)} faults" if found else "lint ok"


def _built(work, text):
    work()
    return True, text


def _fetch(names):
    for name in names:
        guests.find(name).fetch()


def run(everything, select):
    started = time.monotonic()
    packages.require("build", "run", "iso", "uefi", "test",
                     *(["bochs", "test-all"] if everything else []))
    results = []
    names = ["linux", "linux-pae", "linux-rt-pae"] if everything else ["linux"]
    fetched = _attempt(results, lambda: _built(lambda: _fetch(names), "guests fetched"))
    image = _attempt(results, lambda: _built(build.image, "image built"))
    if _attempt(results, lambda: _built(build.hosted_tests, "tests built")):
        _attempt(results, lambda: _lint(everything))
        _attempt(results, _ctest)
    if everything and _attempt(results, lambda: _built(build.fuzz_targets, "fuzz targets built")):
        _attempt(results, lambda: _ctest("Fuzzing", paths.BUILD_FUZZ, "fuzz targets"))
    _attempt(results, lambda: _pytest("Croft's own tests", "tests/croft", []))
    if image and fetched:
        words = ["-k", select] if select else []
        words += [] if everything else ["-m", "not long"]
        at_a_time = min(os.cpu_count(), MOST_BOOTS)
        words += ["-n", str(at_a_time), "--dist", "loadgroup", f"--ignore={SPEED}"]
        _attempt(results, lambda: _pytest("Boot tests", "tests/system", words))
        if everything and not select:
            _attempt(results, lambda: _pytest("Speed", SPEED, []))
    passed = all(good for good, _ in results)
    summary = "; ".join(text for _, text in results)
    print(f"croft test: {'PASS' if passed else 'FAIL'} ({summary}; "
          f"{time.monotonic() - started:.0f} s)", flush=True)
    return 0 if passed else 1
