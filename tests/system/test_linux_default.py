"""Debian's Linux with its default command line, in one boot of each kernel: it finds out all of its PC
by itself, by ACPI and PCI; is typed to on the PC's keyboard, and answers on the PC's screen; writes file
systems made by the host on virtio and ATA disks; powers off by ACPI; and the host finds what was
written, and the file systems whole. And a PC of machine=isa, which has nothing to be found out.
"""

import dataclasses
import hashlib
import pathlib
import random
import re
import subprocess
import sys
import time

import pytest

import file_systems
from conftest import faults_in
from transcripts import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from croft import qmp  # noqa: E402

FIRMWARE_FAULTS = re.compile(r"Firmware Bug|ACPI (BIOS )?(Error|Warning)|ACPI Exception|"
                             r"BIOS bug|DMI not present|smpboot: weird")
TEXT_MEMORY, TEXT_BYTES = 0xB8000, 0x8000
PATIENCE = 240  # seconds for what takes the guest one or two on an idle machine
CONTENTS = random.Random(4).randbytes(300_001)
BLANK = bytes(1 << 20)

# Runs in the guest, from the first disk. Every line that it prints is looked at below.
SCRIPT = """
mkdir /ata /cd
mount -t ext4 /dev/sda /ata && echo ata mounted
mount -t iso9660 /dev/sr0 /cd && md5sum </cd/random
md5sum <$1/random
md5sum </ata/random
dd if=/dev/zero bs=1000 count=1000 2>/dev/null | tr '\\0' x >$1/x
cat $1/random $1/x >/ata/copy
mkdir $1/many
i=0; while [ $i -lt 100 ]; do echo file $i >$1/many/$i; i=$((i+1)); done
rm $1/old
dd if=/dev/vda of=/dev/null bs=1M 2>/dev/null && echo disk read
sync
md5sum </ata/copy
head -c 4096 /dev/hwrng | gzip -1 | wc -c
cat /sys/class/misc/hw_random/rng_current
echo said by the console >/dev/hvc0
umount /ata && echo ata unmounted
"""


@dataclasses.dataclass
class Disks:
    """The files behind the guest's disks."""

    virtio: pathlib.Path
    ata: pathlib.Path
    unsaved: pathlib.Path
    cd: pathlib.Path

    def words(self):
        return ["--disk", f"{self.virtio},save", "--disk", f"{self.ata},ata,save",
                "--disk", f"{self.unsaved}", "--disk", f"{self.cd},cdrom"]


def make_disks(folder):
    virtio = file_systems.make(folder, "virtio", 24, {"random": CONTENTS, "old": b"old",
                                                      "check.sh": SCRIPT.encode()})
    ata = file_systems.make(folder, "ata", 16, {"random": CONTENTS})
    unsaved = folder / "unsaved.img"
    unsaved.write_bytes(BLANK)
    cd = folder / "cd.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-o", str(cd), str(folder / "ata.files")],
                   check=True, capture_output=True)
    return Disks(virtio, ata, unsaved, cd)


def check_machine(shell, bare):
    """What the kernel has found out of its PC. Returns its log."""
    log, status = shell.run("dmesg", timeout=PATIENCE)
    assert status == 0
    assert re.search(r"Kernel command line: console=ttyS0\s*$", log, re.MULTILINE)
    assert faults_in(log) == []
    assert [line for line in log.splitlines() if FIRMWARE_FAULTS.search(line)] == []
    assert "ACPI: Interpreter enabled" in log
    tables, _ = shell.run("ls /sys/firmware/acpi/tables")
    assert {"DSDT", "FACP", "FACS"} <= set(tables.split())
    functions, _ = shell.run("ls /sys/bus/pci/devices")
    assert {"0000:00:00.0", "0000:00:01.0"} <= set(functions.split())
    devices, _ = shell.run("cat /sys/bus/acpi/devices/*/hid")
    assert {"PNP0A03", "PNP0303", "PNP0F13", "PNP0501", "PNP0B00"} <= set(devices.split())
    lines, _ = shell.run("cat /proc/interrupts")
    assert re.search(r"^ +9: .*acpi", lines, re.MULTILINE)
    maker, _ = shell.run("cat /sys/class/dmi/id/sys_vendor")
    assert maker.strip() == ("QEMU" if bare else "Undercroft")
    return log


def check_keyboard(shell, socket, scratch):
    """A line typed on the machine's keyboard, for a shell on the guest's own screen; what it says
    stands on the machine's screen, and in a file of the first disk."""
    shell.run("(setsid sh -i </dev/tty1 >/dev/tty1 2>&1 &)")
    connection = qmp.Connection(socket)
    try:
        for chord, seconds in qmp.chords("uname spc -sm|tee spc /v/typed ret"):
            connection.press(chord, seconds)
        said, status = shell.run("n=0; until [ -s /v/typed ] || [ $n = 100 ]; do sleep 1; "
                                 "n=$((n+1)); done; cat /v/typed", timeout=PATIENCE)
        assert (said.strip(), status) == ("Linux i686", 0)
        deadline = time.monotonic() + PATIENCE
        shown = b""
        while b"tee /v/typed" not in shown or b"Linux i686" not in shown:
            assert time.monotonic() < deadline, shown[:4000]
            time.sleep(0.5)
            shown = connection.memory(TEXT_MEMORY, TEXT_BYTES, scratch)[::2]
    finally:
        connection.close()


def check_file_systems(shell, bare):
    """The script, as the guest tells of it."""
    text, _ = shell.run("sh /v/check.sh /v; umount /v; echo lost >/dev/vdb; sync", timeout=2 * PATIENCE)
    lines = text.split("\n")
    digest = hashlib.md5(CONTENTS).hexdigest()
    assert "ata mounted" in lines and "ata unmounted" in lines and "disk read" in lines, text
    assert sum(digest in line for line in lines) == 3, text
    assert hashlib.md5(CONTENTS + b"x" * 1_000_000).hexdigest() in text, text
    if not bare:
        assert "said by the console" in text and "virtio_rng.0" in lines, text
        assert any(line.isdigit() and int(line) > 4096 for line in lines), text  # does not pack
    log, _ = shell.run("dmesg", timeout=PATIENCE)
    assert faults_in(log) == []
    assert not re.search(r"I/O error|ata1.*(error|failed)|EXT4-fs error", log), log


def check_files(disks):
    """What the host finds of the guest's work."""
    file_systems.check(disks.virtio)
    file_systems.check(disks.ata)
    assert file_systems.contents(disks.virtio, "/x") == b"x" * 1_000_000
    assert file_systems.contents(disks.ata, "/copy") == CONTENTS + b"x" * 1_000_000
    assert file_systems.contents(disks.virtio, "/many/99") == b"file 99\n"
    assert file_systems.contents(disks.virtio, "/old") == b""
    assert file_systems.contents(disks.virtio, "/typed") == b"Linux i686\n"
    assert disks.unsaved.read_bytes() == BLANK


def check_whole_pc(croft, bare, folder, guest):
    """One boot with all its checks. Returns the kernel's log, and what it says of Meltdown. By QEMU's
    own loader, for its clock that counts instructions: on a busy machine Linux would find itself
    locked up otherwise."""
    disks, socket = make_disks(folder), folder / "qmp"
    shell = croft.shell(guest, "--memory", "256M", "--boot", "kernel", *disks.words(),
                        "--qemu", f"-qmp unix:{socket},server=on,wait=off", patience=400)
    try:
        log = check_machine(shell, bare)
        meltdown, _ = shell.run("cat /sys/devices/system/cpu/vulnerabilities/meltdown")
        mounted, status = shell.run("mkdir /v; mount -t ext4 /dev/vda /v")
        assert status == 0, mounted
        check_keyboard(shell, socket, folder / "scratch")
        check_file_systems(shell, bare)
        # By ACPI, not by the script that `poweroff` is: it writes to other ports.
        status, text = shell.leave("/bin/busybox poweroff -f", timeout=PATIENCE)
        assert (status, "reboot: Power down" in text) == (0, True)
        assert bare or "the guest has powered off" in text
        assert bare or len(re.findall(r"blocks of 4 KB saved", text)) == 2, text
    finally:
        shell.terminal.close(force=True)
    check_files(disks)
    return log, meltdown.strip()


def test_whole_pc(croft, bare, tmp_path):
    check_whole_pc(croft, bare, tmp_path, "linux-default")


@pytest.mark.long
def test_whole_pc_with_pae_and_page_table_isolation(croft, bare, tmp_path):
    """The processor is QEMU's pentium3, which Linux takes for one that has Meltdown, as it does all
    of Intel's family 6 that are not on its list."""
    log, meltdown = check_whole_pc(croft, bare, tmp_path, "linux-pae-default")
    assert "page tables isolation: enabled" in log
    assert meltdown == "Mitigation: PTI"


@pytest.mark.hosted
def test_isa_machine_has_no_firmware_tables(croft):
    command = ("dmesg | grep -E 'DMI|ACPI: RSDP'; echo functions $(ls /sys/bus/pci/devices | wc -l); "
               "echo first $(dd if=/dev/mem bs=1 skip=1048560 count=1 2>/dev/null | od -An -tx1)")
    result = croft.execute(command, "linux-default", "--append", "noisapnp cryptomgr.notests "
                           "mitigations=off", "--monitor", "machine=isa", timeout=600)
    assert result.returncode == 0, result.stderr
    assert "DMI not present or invalid" in result.stdout
    assert "RSDP" not in result.stdout
    assert "functions 0" in result.stdout
    assert "first 00" in result.stdout
