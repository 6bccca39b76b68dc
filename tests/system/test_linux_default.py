"""Debian's Linux with its default command line: it finds out all of its PC by itself, by ACPI and PCI,
and powers off by ACPI. And a PC of machine=isa, which has none of that."""

import re

import pytest

from conftest import faults_in

FIRMWARE_FAULTS = re.compile(r"Firmware Bug|ACPI (BIOS )?(Error|Warning)|ACPI Exception|"
                             r"BIOS bug|DMI not present|smpboot: weird")


def check_boot(croft, bare, guest):
    """One boot with all its checks. Returns the kernel's log."""
    shell = croft.shell(guest, "--memory", "256M", patience=400)
    try:
        log, status = shell.run("dmesg", timeout=240)
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
        # By ACPI, not by the script that `poweroff` is: it writes to other ports.
        status, text = shell.leave("/bin/busybox poweroff -f", timeout=240)
        assert (status, "reboot: Power down" in text) == (0, True)
        assert bare or "the guest has powered off" in text
    finally:
        shell.terminal.close(force=True)
    return log


def test_default_command_line(croft, bare):
    check_boot(croft, bare, "linux-default")


@pytest.mark.long
def test_default_command_line_with_pae(croft, bare):
    log = check_boot(croft, bare, "linux-pae-default")
    assert bare or "page tables isolation: enabled" in log


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
