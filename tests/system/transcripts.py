"""Transcripts of the test kernels: their lines, their comparison, and how many lines were compared.

Knows nothing of how a kernel is run.
"""

import collections
import difflib
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = sorted(source.stem for source in (ROOT / "tests" / "guests").glob("*.cpp"))

compared = collections.Counter()  # lines of the bare machine, by what they were compared for
differing = collections.Counter()  # lines that either side does not have, likewise


def lines_of(text):
    """The transcript within all that came over the serial line."""
    return [line for line in re.split(r"[\r\n]+", text) if line.startswith("| ")]


def differences(expected, got, what):
    """(a unified diff, those of its lines that tell of a difference); counts both for `what`."""
    diff = list(difflib.unified_diff(expected, got, "expected", "got", n=1, lineterm=""))
    changed = [line for line in diff[2:] if line[0] in "+-"]
    compared[what] += len(expected)
    differing[what] += len(changed)
    return diff, changed


def assert_equal(expected, got, what, text):
    """Fails with the difference and `text`, the whole output of the run that gave `got`."""
    diff, changed = differences(expected, got, what)
    assert not changed, "\n".join(diff) + f"\n\nthe whole output:\n{text}"


def counts():
    """What one test process has counted, for add_counts() of the process that started it."""
    return dict(compared), dict(differing)


def add_counts(of_a_process):
    for total, part in zip((compared, differing), of_a_process):
        total.update(part)


def summary():
    return [f"transcripts, {what}: {compared[what]} lines compared, {differing[what]} differ"
            for what in sorted(compared)]
