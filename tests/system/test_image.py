"""The image by itself, without a guest: the nexus on the machine, reports, refusals."""

import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGE = ROOT / "build" / "undercroft.elf"
QEMU = ["qemu-system-i386", "-accel", "tcg", "-display", "none", "-serial", "stdio", "-no-reboot",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
POWERED_OFF, BOOT_REFUSED, PANIC = 0x10, 0x14, 0x15

pytestmark = pytest.mark.hosted


def boot(options, *words, machine=("-m", "128"), image=("-kernel", str(IMAGE))):
    """Returns the value written to the exit port and what came out of the serial line."""
    command = [*QEMU, *machine, *image, *words]
    if "-kernel" in image:
        command += ["-append", options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120,
                            stdin=subprocess.DEVNULL, check=False)
    return result.returncode >> 1, result.stdout


@pytest.mark.parametrize("cpu", ["qemu32", "pentium3", "max"])
def test_nexus(cpu):
    value, output = boot("selftest", "-cpu", cpu)
    assert output.startswith("Undercroft\n"), output
    assert output.endswith("selftest: ok\n"), output
    assert value == POWERED_OFF


def test_deterministic_clock():
    value, output = boot("selftest", "-icount", "shift=0,sleep=off", "-rtc",
                         "base=2020-01-01,clock=vm")
    assert value == POWERED_OFF, output
    mhz = int(re.search(r", (\d+) MHz", output)[1])
    assert 990 <= mhz <= 1010, "one instruction a nanosecond is a TSC of 1 GHz"


@pytest.mark.parametrize("loader", ["multiboot", "multiboot2"])
def test_boots_by_grub(loader, tmp_path):
    boot_folder = tmp_path / "iso" / "boot"
    (boot_folder / "grub").mkdir(parents=True)
    shutil.copy(IMAGE, boot_folder)
    (boot_folder / "words").write_text("x" * 5000)
    module = loader.replace("multiboot", "module")
    (boot_folder / "grub" / "grub.cfg").write_text(
        "set timeout=0\nmenuentry undercroft {\n"
        f"  {loader} /boot/undercroft.elf selftest\n  {module} /boot/words with arguments\n}}\n")
    iso = tmp_path / "undercroft.iso"
    subprocess.run(["grub-mkrescue", "-o", iso, tmp_path / "iso"], check=True, capture_output=True)
    value, output = boot("", image=("-cdrom", str(iso)))
    assert "selftest: ok" in output
    assert value == POWERED_OFF
    size, words = re.search(r"module 0 at \w+, (\d+) KB: (.*)\n", output).groups()
    assert (int(size), words) == (5, "with arguments")


def test_qemu_file_names_are_dropped(tmp_path):
    module = tmp_path / "kernel"
    module.write_bytes(b"no kernel")
    value, output = boot("", "-initrd", f"{module} one two,{module}")
    assert re.search(r"module 0 at \w+, \d+ KB: one two\n", output), output
    assert value == BOOT_REFUSED


@pytest.mark.parametrize("options, message", [
    ("mem=64M surprise", "undercroft: surprise: is not an option of Undercroft\n"),
    ("window=0x1234", "undercroft: window=0x1234: must be a multiple of 4 MB, or hop:N\n"),
    ("", "undercroft: boot modules: "),
])
def test_refusals_are_one_clear_line(options, message):
    value, output = boot(options)
    assert message in output
    assert output.count("undercroft:") == 1
    assert value == BOOT_REFUSED


def test_panic_has_registers_and_a_back_trace():
    value, output = boot("selftest=panic")
    assert value == PANIC, output
    assert "undercroft: panic: page fault\n" in output
    assert re.search(r"vector 14 error 0x2 cr2 0x(ff)?000010 ", output), output
    trace = re.findall(r"^  0x[0-9a-f]{8} (\S+)\+0x", output, re.MULTILINE)
    assert "panic_by_page_fault" in trace[0]
    assert "start" in trace


def test_stack_overflow_is_a_double_fault_with_a_report():
    value, output = boot("selftest=overflow")
    assert value == PANIC, output
    assert "undercroft: panic: double fault\n" in output
    assert "overflow_stack+" in output


@pytest.mark.parametrize("base", ["0x40000000", "0xffc00000"])
def test_window_option_is_taken(base):
    value, output = boot(f"window={base}")
    assert value == BOOT_REFUSED, output
