"""Real-mode guests: disks that the guest's BIOS starts, INT 13h with a disk, and images that begin with
their own setup code."""

import re
import subprocess

import pytest

import test_guests
from conftest import ROOT
from test_ata import SECTORS, drive, image  # image is a fixture
from test_guests import PASSED, bare, boot, compare, hosted

BOOT_SECTOR = ROOT / "tests" / "loader" / "boot_sector.S"


@pytest.fixture(scope="module")
def bare_disk(image):  # pylint: disable=redefined-outer-name
    return bare("bios_disk", "disk", cpu=drive(image, 0))


def test_bare_disk(bare_disk):
    status, transcript, text = bare_disk
    assert transcript[-1:] == ["| bios_disk: passed"], text
    assert f"sectors {SECTORS} of 512" in text
    assert status == PASSED, text


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "engine=interpret"])
def test_twin_with_a_disk(image, bare_disk, options):  # pylint: disable=redefined-outer-name
    compare(bare_disk, hosted("bios_disk", options, "disk", [f"{image} undercroft.disk=ata"]))


@pytest.fixture(scope="module")
def diskette(tmp_path_factory):
    """1440 KB: the boot sector, and a second one with the line that it reads."""
    folder = tmp_path_factory.mktemp("boot")
    subprocess.run(["gcc", "-m32", "-c", str(BOOT_SECTOR), "-o", str(folder / "o")], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext=0x7c00", "-e", "start", "--oformat", "binary",
                    str(folder / "o"), "-o", str(folder / "sector")], check=True)
    contents = (folder / "sector").read_bytes() + b"| second sector\r\n\0"
    path = folder / "diskette.img"
    path.write_bytes(contents.ljust(2880 * 512, b"\0"))
    return path


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "window=hop:20"])
def test_the_bios_starts_a_disk(diskette, options):
    status, transcript, text = boot([f"{diskette} undercroft.disk=ata"], options)
    assert transcript == ["| boot sector: drive 80", "| second sector"], text
    assert status == PASSED, text


@pytest.mark.hosted
def test_without_a_boot_sector_there_is_nothing_to_boot(tmp_path):
    blank = tmp_path / "blank"
    blank.write_bytes(bytes(4096))
    _, _, text = boot([f"{blank} undercroft.disk=ata"])
    assert "undercroft: the guest has halted for ever" in text


@pytest.mark.hosted
def test_a_disk_alone_needs_a_machine_with_a_bios(diskette):
    _, _, text = boot([f"{diskette} undercroft.disk=ata"], "machine=isa")
    assert "only machine=pc has a BIOS" in text


@pytest.mark.hosted
def test_linux_starts_by_its_own_setup_code(croft):
    """It gets its memory map by INT 15h, and its command line and initrd where setup has left them."""
    result = croft.execute("dmesg; cat /proc/cmdline", "--memory", "256M", "--monitor", "boot=16",
                           timeout=900)
    assert result.returncode == 0, result.stderr
    assert "guest: Linux bzImage in real mode, 256 MB, entry 0x00090200" in croft.log.read_text()
    ranges = re.findall(r"BIOS-e820: \[mem 0x0{8}(\w+)-0x0{8}(\w+)\] (\w+)", result.stdout)
    assert ranges == [("00000000", "0009fbff", "usable"), ("0009fc00", "0009ffff", "reserved"),
                      ("000f0000", "000fffff", "reserved"), ("00100000", "0fffffff", "usable")]
    assert result.stdout.splitlines()[-1].startswith("console=ttyS0 "), result.stdout[-300:]


def by_grub(folder, kernel):
    """A disk image from which GRUB boots the kernel."""
    configuration = folder / "boot" / "grub" / "grub.cfg"
    configuration.parent.mkdir(parents=True)
    configuration.write_text("set timeout=0\nmenuentry kernel {\n  multiboot /kernel.elf\n}\n")
    (folder / "kernel.elf").write_bytes(kernel.read_bytes())
    path = folder.parent / "grub.img"
    subprocess.run(["grub-mkrescue", "--directory=/usr/lib/grub/i386-pc", "--fonts=", "--locales=",
                    "--themes=", "-o", str(path), str(folder)], check=True, capture_output=True)
    return path


@pytest.mark.long
@pytest.mark.hosted
def test_grub_boots_a_kernel_from_a_disk(tmp_path):
    disk = by_grub(tmp_path / "files", test_guests.FOLDER / "hello.elf")
    status, transcript, text = boot([f"{disk} undercroft.disk=ata"], timeout=300)
    assert transcript[-1:] == ["| hello: passed"], text
    assert status == PASSED, text


@pytest.mark.long
@pytest.mark.hosted
def test_memdisk_starts_a_diskette(croft, diskette):
    assert croft.fetch("memdisk") == 0
    kernel = ROOT / "cache" / "guests" / "memdisk" / "memdisk"
    status, transcript, text = boot([f"{kernel} floppy", str(diskette)], "boot=16", timeout=240)
    assert transcript == ["| boot sector: drive 00", "| second sector"], text
    assert status == PASSED, text


@pytest.mark.long
@pytest.mark.hosted
def test_ipxe_shows_its_banner(croft, tmp_path):
    """By the BIOS alone. It unpacks itself in 16-bit code, which takes long when interpreted."""
    assert croft.fetch("ipxe") == 0
    words = croft.command(["ipxe", "--memory", "64M", "--screenshot", str(tmp_path / "screen.png"),
                           "--when", "Features: DNS HTTP iSCSI", "--timeout", "1500"])
    result = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert result.returncode == 0, result.stderr
