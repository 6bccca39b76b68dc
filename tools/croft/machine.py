"""The machine: its command line (QEMU's, or that of Bochs), a run of it, and what its end means.

QEMU ends with value * 2 + 1 when `value` is written to isa-debug-exit; Undercroft writes one of
the values below, or passes on what its guest wrote. bochs.py makes Bochs do the same.
"""

import dataclasses
import os
import pathlib
import selectors
import shlex
import subprocess
import sys
import termios
import time

from . import bochs, errors, execution, firmware, paths, progress
from .errors import CroftError

DEBUG_EXIT_PORT = 0xF4
POWERED_OFF = 0x10
OUTCOMES = {
    POWERED_OFF: (0, "the guest powered off"),
    0x11: (errors.GUEST_RESET, "the guest asked for a reset"),
    0x12: (errors.GUEST_TRIPLE_FAULT, "the guest stopped itself by a triple fault"),
    0x13: (errors.GUEST_STOPPED, "the monitor stopped the guest (its report is above)"),
    0x14: (errors.BOOT_REFUSED, "Undercroft refused to boot this (its message is above)"),
    0x15: (errors.MONITOR_PANIC, "the monitor panicked: a bug of Undercroft"),
}

BASE = ["-accel", "tcg", "-display", "none", "-nic", "none", "-no-reboot",
        "-device", f"isa-debug-exit,iobase={DEBUG_EXIT_PORT:#x},iosize=0x04"]
DETERMINISTIC = ["-icount", "shift=0,sleep=off", "-rtc", "base=2020-01-01,clock=vm"]


def emulator_words(kind="bios", cpu=None):
    """The emulator with what all its runs have, for firmware of that kind."""
    kind = firmware.KINDS[kind]
    return [kind.emulator, *BASE, "-cpu", cpu or kind.cpu, *kind.words]


@dataclasses.dataclass
class Setup:
    """One run: what is booted is in `boot` (QEMU's words), the rest is around it."""

    boot: list
    memory: int  # of the machine, in MB
    interactive: bool
    log: pathlib.Path
    extra: list = dataclasses.field(default_factory=list)
    firmware: str = "bios"
    cpu: str | None = None  # QEMU's name for it; else what the firmware needs

    def command(self):
        line = f"stdio,id=line,signal=off,logfile={self.log}"
        if self.interactive:
            serial = ["-chardev", line + ",mux=on", "-serial", "chardev:line",
                      "-mon", "chardev=line"]
        else:
            serial = ["-chardev", line, "-serial", "chardev:line", "-monitor", "none"]
        return [*emulator_words(self.firmware, self.cpu), "-m", str(self.memory), *serial,
                *self.boot, *self.extra]


@dataclasses.dataclass
class BochsSetup:
    """The same for Bochs, which boots from an image only."""

    iso: pathlib.Path
    memory: int
    log: pathlib.Path
    model: str = bochs.MODEL
    disk: pathlib.Path | None = None  # of the machine itself

    def command(self):
        return bochs.command(self.iso, self.memory, self.log, self.model, self.disk)


def boot_iso(iso):
    return ["-boot", "d", "-cdrom", str(iso)]


def _initrd_word(file, arguments):
    """One module as QEMU's -initrd takes it: commas doubled, no blanks in the name."""
    if " " in str(file):
        raise CroftError(f"{file}: QEMU's -initrd takes no name with a blank")
    return f"{file} {arguments}".strip().replace(",", ",,")


def boot_kernel(guest, bare, monitor_options):
    """QEMU's own multiboot and Linux loaders instead of GRUB; deterministic."""
    if bare:
        words = ["-kernel", str(guest.kernel), "-append", guest.command_line]
        if guest.form == "linux":
            modules = [str(module.file) for module in guest.modules]
        else:
            modules = [_initrd_word(module.file, module.arguments) for module in guest.modules]
    else:
        words = ["-kernel", str(paths.IMAGE), "-append", monitor_options]
        modules = [_initrd_word(guest.kernel, guest.command_line)] if guest.kernel else []
        modules += [_initrd_word(module.file, module.arguments) for module in guest.modules]
    if modules:
        words += ["-initrd", ",".join(modules)]
    return words + DETERMINISTIC


def outcome(status):
    """(croft's exit status, what to tell) for the machine's exit status."""
    if status == 0:
        return 0, "the machine was switched off"
    if status < 0:
        return errors.FAILED, f"the machine was ended by signal {-status}"
    value = status >> 1
    if status & 1 and value in OUTCOMES:
        return OUTCOMES[value]
    if status & 1 and value:
        return value, f"the guest ended the machine with its own value {value:#x}"
    return errors.FAILED, f"the machine ended with status {status}"


def _wait(process, timeout):
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
        raise CroftError("the time of --timeout is over", None, errors.TIMED_OUT) from None


def _start(setup, **pipes):
    setup.log.parent.mkdir(parents=True, exist_ok=True)
    try:
        return subprocess.Popen(setup.command(), **pipes)
    except FileNotFoundError:
        raise CroftError(f"{setup.command()[0]} is not installed",
                         "packages.txt names the packages") from None


def run_interactive(setup, timeout):
    """The guest's serial line is this terminal. Returns croft's exit status."""
    terminal = None
    if sys.stdin.isatty():
        terminal = termios.tcgetattr(sys.stdin)
    started = time.monotonic()
    process = _start(setup)
    try:
        status, text = outcome(_wait(process, timeout))
    finally:
        if process.poll() is None:
            process.terminate()
        if terminal is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, terminal)
    print(file=sys.stderr)
    progress.say(f"{text} ({time.monotonic() - started:.0f} s)")
    return status


def run_command(setup, timeout, verbose):
    """Runs until the guest ends; the command's output alone goes to standard output.

    Returns the command's status, or the run's own if that is worse.
    """
    watcher = execution.Watcher(sys.stdout.buffer, sys.stderr.buffer if verbose else None)
    process = _start(setup, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        with progress.step("Booting the guest") as ticker:
            ticker.detail = watcher.last_line
            _pump(process, watcher, deadline, lambda: watcher.begun)
        _pump(process, watcher, deadline, lambda: False)
        status, text = outcome(process.wait())
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if status != 0:
        _show(b"" if verbose else watcher.last_lines())
        progress.say(f"{text}; the whole serial line is in {setup.log}")
        return status
    if watcher.status is None:
        _show(b"" if verbose else watcher.last_lines())
        raise CroftError(f"{text}, but the command gave no status",
                         f"the whole serial line is in {setup.log}", errors.NO_STATUS)
    return watcher.status


def _show(text):
    sys.stderr.buffer.write(text)
    sys.stderr.flush()


def _pump(process, watcher, deadline, enough):
    """Feeds QEMU's output to the watcher till its end, or till enough() holds."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not enough():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                _show(watcher.last_lines())
                raise CroftError("the time of --timeout is over", None, errors.TIMED_OUT)
            if not selector.select(left):
                continue
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                return
            watcher.feed(piece)


def describe(setup):
    return shlex.join(setup.command())
