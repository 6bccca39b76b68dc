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
OPTIONS = ["guard=exact", "engine=interpret", "window=hop:20 guard=exact"]
PASSED = 0x20
SWITCHED_OFF = 0  # what Bochs says of a bare kernel that ended
SECONDS = 300

# How lines begin in which bare Bochs departs from the manual (docs/equivalence.md); not compared.
BOCHS_IS_WRONG = {
    "ata": ("| idle: ",),
    "pci": ("| switched off ",),
    "bios_services": ("| 86: ", "| cursor's shape: ", "| control left: ", "| enter of the pad: ",
                      "| slash of the pad: "),
    "hpet": ("| level: ",),
    "io_apic": ("| level: ", "| a level while masked: ", "| not ended "),
    "local_apic": ("| LINT0 masked: ", "| errors ", "| error: "),
    "paging_pae": ("| reserved in PTE: ", "| in a large PDE: "),
    "keyboard": ("| identify by interrupts: ",),
    "mouse": ("| identify after it: ", "| data with a wheel: "),
    "vga_registers": ("| mode 3, rotated: ",),
}


def run(name, words, *options):
    """(exit status, transcript, everything) of one run."""
    command = [*CROFT, "run", name, "--machine", "bochs", "--no-build", "--memory", "64M",
               "--append", words, "--timeout", str(SECONDS), *options]
    result = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    text = result.stdout.decode(errors="replace")
    return result.returncode, transcripts.lines_of(text), text + result.stderr.decode()


def comparable(name, transcript):
    return [line for line in transcript if not line.startswith(BOCHS_IS_WRONG.get(name, ()))]


@functools.cache
def bare(name, words, *options):
    return run(name, words, "--bare", *options)


@pytest.mark.parametrize("name", transcripts.NAMES)
def test_bare_machines_agree(name):
    status, transcript, text = bare(name, "")
    assert transcript[-1:] == [f"| {name}: passed"], text
    assert status == SWITCHED_OFF, text
    _, on_qemu, _ = test_guests.bare(name)
    transcripts.assert_equal(comparable(name, on_qemu), comparable(name, transcript),
                             "bare QEMU against bare Bochs", text)


@pytest.mark.hosted
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", transcripts.NAMES)
def test_twin(name, options):
    check_twin(name, WORDS, "--monitor", test_guests.with_needed(name, options))


def check_twin(name, words, *options, machine=()):
    """Both runs on Bochs with the options of `machine`."""
    _, expected, bare_text = bare(name, words, *machine)
    assert expected[-1:] == [f"| {name}: passed"], bare_text
    status, transcript, text = run(name, words, *options, *machine)
    transcripts.assert_equal(comparable(name, expected), comparable(name, transcript), "Bochs", text)
    assert status == PASSED, text


@pytest.mark.hosted
def test_user_code_reads_the_guests_tables_where_the_processor_has_umip():
    check_twin("user_reads", "tables", machine=("--bochs-cpu", "corei7_icelake_u"))


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """Five of Bochs' cylinders, each sector unlike the others."""
    path = tmp_path_factory.mktemp("disk") / "image"
    path.write_bytes(b"".join((i * 2654435761 % 2**32).to_bytes(4, "little") * 128
                              for i in range(5 * 16 * 63)))
    return path


@pytest.mark.hosted
@pytest.mark.parametrize("name, word", [("ata", "disk"), ("pci", "ide")])
def test_twin_with_a_disk(disk, name, word):
    check_twin(name, word, machine=("--disk", f"{disk},ata"))
