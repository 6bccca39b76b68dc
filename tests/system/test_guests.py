"""Twin runs: every test kernel on the bare machine and under Undercroft; the transcripts, which are
the lines that begin with "| ", must be equal.

A kernel ends QEMU by isa-debug-exit, with 65 if all its checks held; Undercroft passes that on.
"""

import difflib
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGE = ROOT / "build" / "undercroft.elf"
FOLDER = ROOT / "build" / "guests"
NAMES = sorted(source.stem for source in (ROOT / "tests" / "guests").glob("*.cpp"))
PASSED = 0x20 * 2 + 1

# The same deterministic processor for both: time passes with instructions.
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
    transcript = [line.rstrip("\r") for line in text.split("\n") if line.startswith("| ")]
    return status, transcript, text


def bare(name):
    return run(["-m", "64", "-kernel", str(FOLDER / f"{name}.elf")], 60)


def hosted(name, options):
    return run(["-m", "256", "-kernel", str(IMAGE), "-append", f"mem=64M {options}".strip(),
                "-initrd", str(FOLDER / f"{name}.elf")], 240)


@pytest.mark.parametrize("name", NAMES)
def test_bare_machine(name):
    status, transcript, text = bare(name)
    assert transcript[-1:] == [f"| {name}: passed"], text
    assert status == PASSED, text


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "engine=interpret", "window=hop:20"])
@pytest.mark.parametrize("name", NAMES)
def test_twin(name, options):
    _, expected, _ = bare(name)
    status, transcript, text = hosted(name, options)
    difference = "\n".join(difflib.unified_diff(expected, transcript, "bare", "hosted", n=1,
                                                lineterm=""))
    assert not difference, f"{difference}\n\nthe whole output:\n{text}"
    assert status == PASSED, text
