"""Twin runs on the second machine, Bochs: every test kernel by GRUB, bare and under Undercroft.

Bochs checks what TCG does not: segment limits, the use of null segments, alignment, SIMD exceptions,
stale TLB entries. The words below make the kernels show that too; so those lines are compared here
only.
"""

import functools
import subprocess

import pytest

import test_guests
import transcripts
from conftest import CROFT

pytestmark = pytest.mark.long

WORDS = "limits exact"
OPTIONS = ["", "engine=interpret", "window=hop:20"]
PASSED = 0x20
SWITCHED_OFF = 0  # what Bochs says of a bare kernel that ended
SECONDS = 300

# Where bare Bochs and bare QEMU differ without these words (docs/equivalence.md): how such lines begin.
DIFFERENCES = {}


def run(name, words, *options):
    """(exit status, transcript, everything) of one run."""
    command = [*CROFT, "run", name, "--machine", "bochs", "--no-build", "--memory", "64M",
               "--append", words, "--timeout", str(SECONDS), *options]
    result = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    text = result.stdout.decode(errors="replace")
    return result.returncode, transcripts.lines_of(text), text + result.stderr.decode()


@functools.cache
def bare(name, words):
    return run(name, words, "--bare")


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_bare_machines_agree(name):
    status, transcript, text = bare(name, "")
    assert transcript[-1:] == [f"| {name}: passed"], text
    assert status == SWITCHED_OFF, text
    _, on_qemu, _ = test_guests.bare(name)
    known = DIFFERENCES.get(name, ())
    diff, changed = transcripts.differences(on_qemu, transcript, "bare QEMU against bare Bochs")
    unknown = [line for line in changed if not line[1:].startswith(known)]
    assert not unknown, "\n".join(diff)


@pytest.mark.hosted
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", test_guests.TWINS)
def test_twin(name, options):
    _, expected, bare_text = bare(name, WORDS)
    assert expected[-1:] == [f"| {name}: passed"], bare_text
    status, transcript, text = run(name, WORDS, "--monitor", test_guests.with_needed(name, options))
    transcripts.assert_equal(expected, transcript, "Bochs", text)
    assert status == PASSED, text
