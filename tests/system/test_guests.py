"""Twin runs: every test kernel on the bare machine and under Undercroft; the transcripts, which are
the lines that begin with "| ", must be equal.

A kernel ends QEMU by isa-debug-exit, with 65 if all its checks held; Undercroft passes that on.
"""

import functools
import re
import subprocess

import pytest

import transcripts
from transcripts import NAMES, ROOT

IMAGE = ROOT / "build" / "undercroft.elf"
FOLDER = ROOT / "build" / "guests"
PASSED = 0x20 * 2 + 1
# Words for bare QEMU. It gives a tick of the 8254 twice now and then, or on a busy machine none,
# unless time is instructions.
BARE_WORDS = {"boundaries": ["-icount", "shift=0,sleep=off"],
              "timer_modes": ["-icount", "shift=4,sleep=off"]}
TRIPLE_FAULT = 0x12 * 2 + 1

MACHINE = ["qemu-system-i386", "-accel", "tcg", "-cpu", "pentium3", "-display", "none", "-nic",
           "none", "-no-reboot", "-monitor", "none", "-serial", "stdio",
           "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]


def run(words, timeout):
    """(exit status, transcript, everything) of one run; status None if it did not end."""
    with subprocess.Popen([*MACHINE, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as machine:
        try:
            output, _ = machine.communicate(timeout=timeout)
            status = machine.returncode
        except subprocess.TimeoutExpired:
            machine.kill()
            output, _ = machine.communicate()
            status = None
    text = output.decode(errors="replace")
    return status, transcripts.lines_of(text), text


@functools.cache
def bare(name, words="", modules=(), cpu=()):
    """One run for all the options that it is compared with."""
    initrd = ["-initrd", ",".join(modules)] if modules else []
    return run(["-m", "64", "-kernel", str(FOLDER / f"{name}.elf"), "-append", words, *initrd,
                *cpu, *BARE_WORDS.get(name, [])], 60)


def hosted(name, options, words="", modules=(), timeout=240, cpu=()):
    return boot([f"{FOLDER / name}.elf {words}".strip(), *modules], options, timeout, cpu)


def boot(modules, options="", timeout=60, cpu=()):
    """Undercroft with these boot modules, given as QEMU takes them."""
    initrd = ["-initrd", ",".join(modules)] if modules else []
    return run(["-m", "256", "-kernel", str(IMAGE), "-append", f"mem=64M {options}".strip(),
                *initrd, *cpu], timeout)


@pytest.mark.parametrize("name", NAMES)
def test_bare_machine(name):
    status, transcript, text = bare(name)
    assert transcript[-1:] == [f"| {name}: passed"], text
    assert status == PASSED, text


# What Undercroft is known not to do yet; a test that passes here fails, and its line goes.
MISSING = {}
# Equal with these options only; docs/equivalence.md says why.
NEEDED = {"slots": "guard=exact", "window_pages": "guard=exact", "user_reads": "user=translate"}


def twins():
    for name in NAMES:
        marks = [pytest.mark.xfail(reason=MISSING[name], strict=True)] if name in MISSING else []
        yield pytest.param(name, marks=marks)


def with_needed(name, options):
    """The options, and those without which this kernel cannot be equal."""
    return f"{options} {NEEDED.get(name, '')}".strip()


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "engine=interpret", "guard=exact",
                                     "window=hop:20 guard=exact"])
@pytest.mark.parametrize("name", twins())
def test_twin(name, options):
    compare(bare(name), hosted(name, with_needed(name, options)))


TRANSLATED = ["segment_verify", "selfmod", "usermode", "v86_tasks"]
# What TCG does not say of a write that reads first, the interpreter does.
RIGHTER_THAN_TCG = {"paging_rights"}


@pytest.mark.hosted
@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in TRANSLATED
                                               else pytest.mark.long)
                                  for name in NAMES if name not in RIGHTER_THAN_TCG])
def test_twin_with_user_code_translated(name):
    compare(bare(name), hosted(name, "user=translate guard=exact"))


@pytest.mark.hosted
@pytest.mark.parametrize("engine", ["translate", "interpret"])
def test_absent_memory_faults_if_asked_for(engine):
    status, transcript, text = hosted("absent", f"absent=fault engine={engine}", "fault")
    faults = [re.match(r"\| (.*): vector 14 error (\w+) cr2 (\w+) at", line) for line in transcript]
    expected = [("read", "00000000", "40001234"), ("write", "00000002", "40001234"),
                ("code", "00000000", "40001234"), ("across the end", "00000000", "04000000")]
    assert [fault.groups() for fault in faults if fault] == 2 * expected, text
    assert status == PASSED, text


def gained_frames(text):
    return int(re.search(r"^frames gained: \d+ now, (\d+) at most", text, re.MULTILINE).group(1))


WITHDRAWN = ["withdrawal", "paging", "selfmod", "usermode", "v86", "window"]


@pytest.mark.hosted
@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in WITHDRAWN
                                               else pytest.mark.long) for name in NAMES])
def test_twin_while_frames_are_withdrawn(name):
    result = hosted(name, with_needed(name, "withdraw=every:5"))
    compare(bare(name), result)
    # Of 16384, nearly all of them zero. Kernels that hardly leave their code give few occasions.
    assert gained_frames(result[2]) > 1000, result[2]


@pytest.mark.hosted
@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name == "memory_probe"
                                               else pytest.mark.long) for name in NAMES])
def test_twin_with_memory_by_need(name):
    compare(bare(name), hosted(name, with_needed(name, "memory=lazy")))


@pytest.mark.hosted
def test_twin_with_more_memory_than_the_machine_has():
    result = run(["-m", "52", "-kernel", str(IMAGE), "-append", "mem=64M memory=lazy", "-initrd",
                  str(FOLDER / "memory_probe.elf")], 240)
    compare(bare("memory_probe"), result)
    assert re.search(r"pool empty [1-9]", result[2]), result[2]


@pytest.mark.long
@pytest.mark.hosted
@pytest.mark.parametrize("hop", [1, 7, 1000])
@pytest.mark.parametrize("name", twins())
def test_twin_while_the_window_hops(name, hop):
    compare(bare(name), hosted(name, with_needed(name, f"window=hop:{hop} guard=exact")))


@pytest.mark.hosted
def test_the_windows_pages_show_without_the_guard():
    _, transcript, text = hosted("window_pages", "", timeout=60)
    assert "| without paging, unlike: 0 kept: 0" in transcript, text
    assert "| read a byte: no trap" in transcript and "| read by base and index: no trap" in transcript
    assert any(line.startswith("| read through CS: vector 14") for line in transcript), text


UMIP = ("-cpu", "max")


@pytest.mark.hosted
def test_user_code_reads_the_guests_tables_where_the_processor_has_umip():
    words = "tables"
    compare(bare("user_reads", words, cpu=UMIP), hosted("user_reads", "", words, cpu=UMIP))


@pytest.mark.hosted
def test_what_user_code_reads_where_nothing_traps():
    _, expected, _ = bare("user_reads")
    status, transcript, text = hosted("user_reads", "")
    _, changed = transcripts.differences(expected, transcript, "known departures")
    begins = {line[1:].split(":")[0] for line in changed}
    assert begins == {"| sgdt", "| sidt", "| str", "| sldt after a change", "| smsw",
                      "| smsw after a change",
                      "| cpuid 00000000 as in ring 0", "| cpuid 00000001 as in ring 0"}, text
    assert status == PASSED, text


@pytest.mark.hosted
def test_twin_with_modules(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(bytes(range(256)) * 40)
    second.write_bytes(b"x")
    words, modules = "one two", (f"{first} with words", f"{second} last")
    expected = bare("modules", words, modules)
    assert "| modules: 2" in expected[1], expected[2]
    compare(expected, hosted("modules", "", words, modules))


@pytest.mark.hosted
@pytest.mark.parametrize("engine", ["translate", "interpret"])
@pytest.mark.parametrize("word", ["no-table", "no-page", "no-gate", "no-stack"])
def test_triple_fault_ends_the_guest(word, engine):
    """The bare machine resets, which ends QEMU here; Undercroft says so."""
    status, expected, text = bare("double_faults", word)
    assert status == 0 and len(expected) == 2, text
    status, transcript, text = hosted("double_faults", f"engine={engine}", word)
    transcripts.assert_equal(expected, transcript, "QEMU", text)
    assert status == TRIPLE_FAULT, text


def compare(expected_run, hosted_run):
    _, expected, _ = expected_run
    status, transcript, text = hosted_run
    transcripts.assert_equal(expected, transcript, "QEMU", text)
    assert status == PASSED, text


REFUSED = 0x14 * 2 + 1
MALFORMED = {
    "nothing known": (b"x" * 10000, "magic"),
    "ELF for 64 bits": (b"\x7fELF\x02\x01\x01" + bytes(100), "EI_CLASS"),
    "ELF cut short": (b"\x7fELF\x01\x01\x01" + bytes(10), "e_ehsize"),
    "boot sector": (bytes(510) + b"\x55\xaa" + bytes(1000), "setup_header.header"),
    "multiboot checksum": (bytes.fromhex("02b0ad1b0000000001000000") + bytes(100), "checksum"),
}


@pytest.mark.hosted
@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_guest_is_refused(what, tmp_path):
    contents, field = MALFORMED[what]
    image = tmp_path / "image"
    image.write_bytes(contents)
    status, _, text = boot([str(image)])
    lines = [line for line in text.splitlines() if field in line]
    assert len(lines) == 1, text
    assert status == REFUSED, text


@pytest.mark.hosted
def test_no_module_is_refused():
    status, _, text = boot([])
    assert "module" in text
    assert status == REFUSED, text
