"""Undercroft on machines of many kinds: processors, chipsets, timers, devices that are missing.

A test kernel's transcript must be the one of the bare machine of the same kind.
"""

import subprocess

import pytest

import transcripts
from test_guests import FOLDER, IMAGE, PASSED

pytestmark = pytest.mark.hosted

BOOT_REFUSED = 0x14 * 2 + 1
POWERED_OFF = 0x10 * 2 + 1

CPUS = ["pentium2", "pentium3", "coreduo", "n270", "core2duo", "qemu32", "qemu64", "athlon", "phenom",
        "Nehalem", "Haswell", "EPYC", "max"]
MACHINES = ["pc", "q35"]
SHORT = {("pentium2", "q35"), ("n270", "pc"), ("phenom", "q35"), ("max", "pc")}
TIMERS = ["pit", "apic", "hpet"]


def run(*words, emulator="qemu-system-x86_64", timeout=120, serial="stdio"):
    """(exit status, the serial line)."""
    line = [emulator, "-accel", "tcg", "-display", "none", "-nic", "none", "-no-reboot", "-monitor",
            "none", "-serial", serial, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", *words]
    result = subprocess.run(line, capture_output=True, text=True, errors="replace", timeout=timeout,
                            stdin=subprocess.DEVNULL, check=False)
    return result.returncode, result.stdout


def bare(name, *words):
    return run("-m", "64", "-kernel", str(FOLDER / f"{name}.elf"), *words)


def hosted(name, options, *words, memory="256"):
    return run("-m", memory, "-kernel", str(IMAGE), "-append", f"mem=64M {options}".strip(),
               "-initrd", str(FOLDER / f"{name}.elf"), *words)


def same(name, options, *words, memory="256"):
    _, expected = bare(name, *words)
    status, text = hosted(name, options, *words, memory=memory)
    transcripts.assert_equal(transcripts.lines_of(expected), transcripts.lines_of(text), "machines",
                             text)
    assert status == PASSED, text
    return text


@pytest.mark.parametrize("cpu, machine", [
    pytest.param(cpu, machine, marks=[] if (cpu, machine) in SHORT else pytest.mark.long)
    for cpu in CPUS for machine in MACHINES])
def test_processors_and_chipsets(cpu, machine):
    words = ["-cpu", cpu, "-machine", machine]
    same("exceptions", "", *words)
    same("interrupts", "", *words)


@pytest.mark.parametrize("cpu, lacking", [("486", "a time stamp counter (TSC)"),
                                          ("pentium", "conditional moves (CMOV)")])
def test_a_processor_that_is_too_old_is_told_so(cpu, lacking):
    status, text = run("-kernel", str(IMAGE), "-append", "selftest", "-cpu", cpu,
                       emulator="qemu-system-i386")
    assert text == f"undercroft: this processor is too old: it lacks {lacking}\n"
    assert status == BOOT_REFUSED


@pytest.mark.parametrize("timer", TIMERS)
def test_timers(timer):
    text = same("interrupts", f"timer={timer}", "-machine", "q35")
    names = {"pit": "8254", "apic": "local APIC", "hpet": "HPET"}
    assert f"host: timer {names[timer]}; 8254 yes, HPET yes, local APIC yes" in text


@pytest.mark.parametrize("timer, words", [("hpet", ["-machine", "pc,hpet=off"]),
                                          ("apic", ["-cpu", "qemu32,-apic"])])
def test_a_timer_that_is_not_there_is_refused(timer, words):
    status, text = run("-kernel", str(IMAGE), "-append", f"selftest timer={timer}", *words)
    assert "undercroft: timer: this machine has no such timer that works\n" in text
    assert status == BOOT_REFUSED


def test_several_processors_stay_parked():
    text = same("interrupts", "", "-smp", "4")
    assert "; 3 more stay parked\n" in text
    assert "\nguest: one processor, 64 MB, machine pc, 0 disks\n" in text


def test_memory_above_4_gigabytes_is_left_alone():
    text = same("hello", "", "-machine", "q35", memory="5G")
    assert "MB above 4 GB stay unused\n" in text


def test_no_serial_line_no_keyboard_controller_no_screen():
    status, _ = run("-kernel", str(IMAGE), "-append", "selftest", "-machine", "pc,i8042=off",
                    "-vga", "none", serial="none")
    assert status == POWERED_OFF


@pytest.mark.long
@pytest.mark.parametrize("words", [
    ["--cpu", "athlon", "--monitor", "timer=hpet"],
    ["--cpu", "Haswell", "--qemu", "-machine q35 -smp 2", "--monitor", "timer=apic"]],
    ids=["athlon-hpet", "haswell-q35-apic"])
def test_linux_to_its_shell(croft, words):
    result = croft.execute("a=$(date +%s); sleep 3; b=$(date +%s); echo took $((b - a))", *words,
                           timeout=600)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() in (["took", "3"], ["took", "4"])
