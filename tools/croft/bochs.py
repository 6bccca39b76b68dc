"""Bochs as a command that behaves as QEMU does here: the serial line is standard input and output, the
exit status is value * 2 + 1 for the value that Undercroft ends with, 0 for a machine switched off.

    bochs.py --memory MB [--model CPU] [--disk FILE] [--log FILE] ISO

A program of its own, so that all which starts QEMU can start Bochs instead. Bochs checks what TCG
does not: segment limits, alignment, SIMD exceptions, stale TLB entries. Its time is that of
50 million instructions per second, whatever they took.
"""

import argparse
import os
import pathlib
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import tty

MODEL = "p3_katmai"  # the twin of QEMU's pentium3
FAILED = 1
# What arch/x86/machine_exit.cpp writes to Bochs' debug console.
END = re.compile(r"undercroft ends: ([0-9a-f]{2})$", re.MULTILINE)
# A disk's geometry: Bochs has no more sectors than its cylinders have.
HEADS, SECTORS_PER_TRACK = 16, 63
CYLINDER = HEADS * SECTORS_PER_TRACK * 512
SHUTDOWN = "Shutdown port: shutdown requested"

# Nobody looks at the display: rfb without waiting for a viewer. SeaBIOS would not run the video
# firmware here, and text memory would be missing. The clock starts at 2020-01-01.
CONFIGURATION = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model={model}, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest={memory}, host={memory}
{drives}boot: cdrom
clock: sync=none, time0=1577836800, rtc_sync=0
com1: enabled=1, mode=socket-client, dev=localhost:{port}
pci: enabled=1, chipset=i440fx
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1, iodebug=0
port_e9_hack: enabled=1
log: {log}
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
"""


DRIVES = """\
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="{iso}", status=inserted
"""
# The disk is the first drive, as on QEMU's machine; what is written to it is forgotten.
DRIVES_WITH_DISK = """\
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="{disk}", mode=volatile, journal="{folder}/journal", \
cylinders={cylinders}, heads={heads}, spt={sectors}
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata1-master: type=cdrom, path="{iso}", status=inserted
"""


def command(iso, memory, log, model=MODEL, disk=None):
    """The words that start this program."""
    return [sys.executable, __file__, "--memory", str(memory), "--model", model, "--log", str(log),
            *(["--disk", str(disk)] if disk else []), str(iso)]


def _drives(options, folder):
    if options.disk is None:
        return DRIVES.format(iso=options.iso.resolve())
    return DRIVES_WITH_DISK.format(
        iso=options.iso.resolve(), disk=options.disk.resolve(), folder=folder,
        cylinders=options.disk.stat().st_size // CYLINDER, heads=HEADS, sectors=SECTORS_PER_TRACK)


class Run:
    """One run of Bochs, in a folder of its own."""

    def __init__(self, options, folder):
        self.log = folder / "bochs.log"
        self.console = folder / "console.txt"
        with socket.create_server(("localhost", 0)) as listener:
            (folder / "bochsrc").write_text(CONFIGURATION.format(
                model=options.model, memory=options.memory, drives=_drives(options, folder),
                log=self.log, port=listener.getsockname()[1]))
            (folder / "commands").write_text("c\nq\n")  # for Bochs' debugger: run, then leave
            with self.console.open("wb") as output:
                self.process = subprocess.Popen(
                    ["bochs", "-q", "-f", "bochsrc", "-rc", "commands"], cwd=folder, stdout=output,
                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            self.line = self._connection(listener)

    def _connection(self, listener):
        """Bochs' end of the serial line; None if Bochs ended before it called."""
        listener.settimeout(1)
        while self.process.poll() is None:
            try:
                return listener.accept()[0]
            except TimeoutError:
                continue
        return None

    def relay(self, copy):
        """Joins the serial line with standard input and output. Returns whether Bochs ended."""
        keys = Keys()
        with selectors.DefaultSelector() as selector:
            selector.register(self.line, selectors.EVENT_READ)
            if keys.usable:
                selector.register(sys.stdin, selectors.EVENT_READ)
            while True:
                for ready, _ in selector.select():
                    if ready.fileobj is self.line:
                        data = self._receive()
                        if not data:
                            return True
                        os.write(sys.stdout.fileno(), data)
                        copy.write(data)
                    else:
                        data = keys.read()
                        if data is None:
                            return False
                        self.line.sendall(data)

    def _receive(self):
        try:
            return self.line.recv(65536)
        except ConnectionResetError:
            return b""

    def status(self):
        """The exit status after Bochs' end. Tells on standard error what went wrong, if so."""
        self.process.wait()
        said = self.console.read_text(errors="replace")
        value = END.search(said)
        if value:
            return int(value.group(1), 16) * 2 + 1
        if SHUTDOWN in said:
            return 0
        self.tell()
        return FAILED

    def tell(self):
        """The last lines of what Bochs said."""
        for file, count in ((self.log, 40), (self.console, 8)):
            text = file.read_text(errors="replace") if file.exists() else ""
            for line in text.splitlines()[-count:]:
                print(f"bochs: {line}", file=sys.stderr)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


class Keys:
    """Standard input, if it is a terminal: each key goes to the guest; Ctrl-A X leaves."""

    LEAD = b"\x01"

    def __init__(self):
        self.usable = sys.stdin.isatty()
        self._after_lead = False
        if self.usable:
            tty.setraw(sys.stdin, termios.TCSANOW)
            modes = termios.tcgetattr(sys.stdin)
            modes[1] |= termios.OPOST
            termios.tcsetattr(sys.stdin, termios.TCSANOW, modes)

    def read(self):
        """Bytes for the guest; None to leave."""
        try:
            data = os.read(sys.stdin.fileno(), 256)
        except OSError:
            return None  # the terminal is gone
        if not data:
            return None
        passed = b""
        for byte in (data[i:i + 1] for i in range(len(data))):
            if self._after_lead and byte in b"xX":
                return None
            if byte == self.LEAD and not self._after_lead:
                self._after_lead = True
                continue
            self._after_lead = False
            passed += byte
        return passed


class Terminated(Exception):
    """Somebody ends this program, for instance since the time is over."""


def _terminate(_number, _frame):
    raise Terminated


def _run(options, folder, copy):
    run = Run(options, folder)
    try:
        if run.line and not run.relay(copy):
            return 0  # left by Ctrl-A X
        return run.status()
    except Terminated:
        run.tell()
        return FAILED
    finally:
        run.stop()


def main():
    parser = argparse.ArgumentParser(prog="bochs.py")
    parser.add_argument("--memory", type=int, required=True, help="of the machine, in MB")
    parser.add_argument("--model", default=MODEL, help="a processor of `bochs --help cpu`")
    parser.add_argument("--disk", type=pathlib.Path, help="an ATA disk of whole cylinders")
    parser.add_argument("--log", type=pathlib.Path, default=pathlib.Path(os.devnull),
                        help="where a copy of the serial line goes")
    parser.add_argument("iso", type=pathlib.Path)
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    try:
        with tempfile.TemporaryDirectory(prefix="croft-bochs-") as folder, \
                options.log.open("wb", buffering=0) as copy:
            return _run(options, pathlib.Path(folder), copy)
    except FileNotFoundError as error:
        print(f"bochs.py: {error} (packages bochs, bochs-term, bochsbios, vgabios)",
              file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
