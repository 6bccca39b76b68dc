"""Boots by GRUB for tests that make many: one CD with GRUB, and for each boot a disk that is nothing
but a tar archive, which GRUB reads as a file system, with kernel, modules and GRUB's commands."""

import io
import subprocess
import tarfile

MACHINE = ["qemu-system-i386", "-accel", "tcg", "-cpu", "pentium3", "-display", "none", "-nic", "none",
           "-no-reboot", "-monitor", "none", "-serial", "stdio",
           "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
COMMANDS = """serial --unit=0 --speed=115200
terminal_output console serial
insmod tar
configfile (hd0)/commands
"""


def make_cd(folder):
    """The CD, in `folder`."""
    root = folder / "cd"
    (root / "boot" / "grub").mkdir(parents=True)
    (root / "boot" / "grub" / "grub.cfg").write_text(COMMANDS)
    cd = folder / "grub.iso"
    subprocess.run(["grub-mkrescue", "--directory=/usr/lib/grub/i386-pc", "--fonts=", "--locales=",
                    "--themes=", "-o", str(cd), str(root)], check=True, capture_output=True)
    return cd


def _disk(folder, files):
    disk = folder / "disk.tar"
    with tarfile.open(disk, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return disk


def boot(folder, cd, files, commands, memory, timeout=120):
    """(exit status or None, serial output) of GRUB running `commands`, with `files` {name: bytes} in
    (hd0). Where `boot` fails, GRUB halts the machine."""
    # `multiboot2` itself sets this to what a header asks for, and Undercroft's asks for any framebuffer.
    script = commands + "\nset gfxpayload=text\nboot\necho 'GRUB is back'\nhalt\n"
    disk = _disk(folder, {**files, "commands": script.encode()})
    words = [*MACHINE, "-m", str(memory), "-boot", "d", "-cdrom", str(cd),
             "-drive", f"file={disk},format=raw,if=ide,readonly=off"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as machine:
        try:
            output, _ = machine.communicate(timeout=timeout)
            status = machine.returncode
        except subprocess.TimeoutExpired:
            machine.kill()
            output, _ = machine.communicate()
            status = None
    return status, output.decode(errors="replace")
