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


def assert_equal(expected, got, what, text):
    """Fails with the difference and `text`, the whole output of the run that gave `got`.

    Counts for `what` in any case.
    """
    diff = list(difflib.unified_diff(expected, got, "expected", "got", n=1, lineterm=""))
    changed = sum(line[0] in "+-" for line in diff[2:])
    compared[what] += len(expected)
    differing[what] += changed
    assert not changed, "\n".join(diff) + f"\n\nthe whole output:\n{text}"


def summary():
    return [f"transcripts, {what}: {compared[what]} lines compared, {differing[what]} differ"
            for what in sorted(compared)]
