"""Kernels that are not Linux, and the Debian installer, as they come out of their packages.

docs/guests.md has what was seen of each. Linux itself is test_linux.py's business.
"""

import re
import struct
import sys
import time

import pexpect
import pytest

import transcripts
from transcripts import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from croft import guests

MACH = ROOT / "cache" / "guests" / "gnumach" / "gnumach-1.8-486"
MACH_ARGUMENTS = "console=com0"
QEMU = ("qemu-system-i386 -accel tcg -cpu pentium3 -display none -nic none -no-reboot -monitor none "
        "-serial stdio")
# What the bare ISA machine has and the guest's has not (IDE, floppy, printer, a BIOS that knows of
# PCI though there is none), what says where memory and ROM end, and the time.
NOT_COMPARED = re.compile(r"pcibios_init|pci_init|Probing PCI|intnull|hd2|ide1|Floppy|floppy0|"
                          r"FDC|Partition check|lpr0|biosmem: 0000000000fffc|RTC time|undercroft: ")


def mach_boots(words, keep="^$"):
    """The boot messages of GNU Mach, one a line, up to its panic for want of a bootstrap task; without
    those NOT_COMPARED but those that match `keep`."""
    machine = pexpect.spawn(f"{QEMU} {words}", encoding="utf-8", codec_errors="replace", timeout=240)
    machine.expect("(GNU Mach.*)\r\n.?panic (.*)bootstrap_create: (.*)!")
    version, place, reason = machine.match.groups()
    machine.close(force=True)
    version = version.replace("\x1b[K", "").replace("qlogicisp : PCI bios not present", "")
    lines = [line.strip() for line in re.split(r"[\r\n]+", version)]
    compared = [re.sub(r"free: \d+", "free: *", line) for line in lines
                if line and (not NOT_COMPARED.search(line) or re.search(keep, line))]
    return [*compared, f"{place}{reason}"]


@pytest.mark.hosted
def test_gnumach_says_what_it_says_on_the_bare_machine(croft):
    assert croft.fetch("gnumach") == 0
    bare = mach_boots(f"-M isapc -m 64 -kernel {MACH} -append {MACH_ARGUMENTS}")
    hosted = mach_boots(f"-m 256 -kernel {ROOT}/build/undercroft.elf -append 'mem=64M machine=isa' "
                        f"-initrd '{MACH} {MACH_ARGUMENTS}'")
    assert bare[-1].endswith("No bootstrap code loaded with the kernel") and len(bare) > 25, bare
    transcripts.assert_equal(bare, hosted, "GNU Mach", "\n".join(hosted))


def disk_with_partition(path):
    """8 MB with an MBR: one partition of 4 MB from 1 MB on."""
    image = bytearray(8 << 20)
    image[446:462] = struct.pack("<B3sB3sII", 0, b"\x20\x21\x00", 0x83, b"\xaa\x28\x00", 2048, 8192)
    image[510:512] = b"\x55\xaa"
    path.write_bytes(image)


@pytest.mark.long
@pytest.mark.hosted
def test_gnumach_finds_its_disk(croft, tmp_path):
    """Its IDE driver, by bus master DMA and interrupts, reads the partition table."""
    assert croft.fetch("gnumach") == 0
    disk = tmp_path / "disk"
    disk_with_partition(disk)
    lines = mach_boots(f"-m 256 -kernel {ROOT}/build/undercroft.elf -append 'mem=64M' "
                       f"-initrd '{MACH} {MACH_ARGUMENTS},{disk} undercroft.disk=ata'", keep=r"hd0")
    assert any(re.match(r"hd0: .*, 8MB", line) for line in lines), lines
    assert "hd0: hd0s1" in [re.sub(r"[<>]", "", line) for line in lines], lines
    assert lines[-1].endswith("No bootstrap code loaded with the kernel"), lines


def shown(text, pattern):
    """What the last match of `pattern` says: the display is redrawn field by field."""
    return re.findall(pattern, text)[-1]


def clock(text):
    hours, minutes, seconds = shown(text, r"Time: +(\d+):(\d\d):(\d\d)")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def clock_rate(terminal, seconds):
    """How fast memtest86+'s clock, which is drawn every two seconds, goes against this machine's."""
    terminal.expect(r"Time: +\d+:\d\d:\d\d", timeout=240)
    first, started = clock(terminal.after), time.monotonic()
    last = first
    while last < first + seconds:
        terminal.expect(r"Time: +\d+:\d\d:\d\d", timeout=240)
        last = clock(terminal.after)
    return (last - first) / (time.monotonic() - started)


@pytest.mark.long
def test_memtest_finds_no_error_and_keeps_time(croft, bare_croft):
    """A whole pass, tests 0 to 10. The clock is a calibrated time-stamp counter's, and some per cent
    slow under QEMU on the bare machine too."""
    terminal = croft.start("memtest86+", "--memory", "64M")
    hosted_rate = clock_rate(terminal, 40)
    terminal.expect(r"Pass: +1 +Errors: (\d+) ", timeout=1200)
    errors, text = terminal.match.group(1), terminal.before
    terminal.close(force=True)
    assert errors == "0" and re.search(r"#\d+ +\[", text)
    terminal = bare_croft.start("memtest86+", "--memory", "64M")
    bare_rate = clock_rate(terminal, 40)
    terminal.close(force=True)
    assert 0.9 < hosted_rate / bare_rate < 1.1, (hosted_rate, bare_rate)


@pytest.mark.long
def test_debian_installer_asks_for_a_language(croft):
    terminal = croft.start("debian-installer", "--memory", "512M")
    terminal.expect("Starting system log daemon", timeout=900)
    terminal.expect("Select a language", timeout=900)
    terminal.expect("English", timeout=300)
    terminal.expect("<Go Back>", timeout=300)
    terminal.close(force=True)


@pytest.mark.long
@pytest.mark.hosted
def test_debian_installer_asks_on_the_screen(croft, tmp_path):
    """--when waits for the text on the machine's screen, since the serial line has no console here."""
    picture = tmp_path / "dialog.png"
    quiet = guests.LINUX_COMMAND_LINE.replace("console=ttyS0", "console=tty0")
    terminal = croft.start("debian-installer", "--memory", "512M", "--command-line", f"{quiet} ---",
                           "--screenshot", str(picture), "--when", "Select a language", "--after", "5",
                           "--timeout", "1500")
    terminal.expect(pexpect.EOF, timeout=1600)
    terminal.close()
    assert terminal.exitstatus == 0, terminal.before
    assert picture.read_bytes().startswith(b"\x89PNG")
