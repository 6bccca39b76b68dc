"""What can be typed after croft run and croft iso: options, their help, their values checked.

What is done with them is run.py's business.
"""

import argparse
import pathlib
import re
import shlex

from . import bochs, errors, firmware, guests, machine, screenshot

TEXT = """\
Boots GUEST (./croft guests lists them; default: linux) under Undercroft in QEMU. QEMU plays a
Pentium III by TCG: no KVM, VT-x or SVM. The guest's serial line is this terminal.
Ctrl-A X leaves at once, Ctrl-A C switches to QEMU's monitor and back.
"""

EXAMPLES = f"""\
examples:
  ./croft run                                     a shell in Debian's Linux
  ./croft run --exec 'uname -a'                   one command; its output and its status
  ./croft run --memory 128M --append 'loglevel=7' less memory, more kernel messages
  ./croft run --monitor 'window=hop:20'           options for the monitor (docs/)
  ./croft run --bare                              the same guest without Undercroft
  ./croft run --kernel my.elf --module 'data a=1' a multiboot or ELF kernel of your own
  ./croft run --disk my.img,ata,save              with a disk, whose changes are kept
  ./croft run --machine bochs                     in Bochs, which checks what QEMU does not
  ./croft run --append console=tty0 --screenshot screen.png --when 'Run /init'
                                                  what the guest shows, as a picture
  ./croft run grub-invaders --screenshot g.png --keys 'left:1.5 spc'

exit status:
  0    the guest powered off (or QEMU was left); with --exec the command's own status
  {errors.GUEST_RESET}  the guest asked for a reset
  {errors.GUEST_TRIPLE_FAULT}  the guest triple-faulted
  {errors.GUEST_STOPPED}  the monitor stopped the guest: it cannot emulate what the guest did
  {errors.BOOT_REFUSED}  Undercroft refused the guest image
  {errors.MONITOR_PANIC}  the monitor panicked
  {errors.TIMED_OUT}  the time of --timeout was over
  {errors.NO_STATUS}  the guest ended before the command of --exec did
  else a value that the guest wrote to isa-debug-exit (port {machine.DEBUG_EXIT_PORT:#x}), or
  {errors.FAILED} for croft's own failures (the message says which)

The default command line of the Linux guests is
  {guests.LINUX_COMMAND_LINE}
--append adds to it, --command-line replaces it.
"""


def megabytes(text):
    """256M, 2G or a plain number of megabytes."""
    found = re.fullmatch(r"(\d+)([MmGg]?)", text)
    if not found or int(found.group(1)) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 256M or 2G")
    return int(found.group(1)) * (1024 if found.group(2) in ("G", "g") else 1)


def positive(text):
    """A number more than 0, not necessarily whole: of seconds or minutes."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def mode(text):
    """WIDTHxHEIGHTxDEPTH as GRUB's gfxpayload takes it."""
    if not re.fullmatch(r"\d+x\d+(x\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a mode such as 1024x768x32")
    return text


def words(text):
    """As a shell splits them."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {str(error).lower()}") from None


def add_guest(parser):
    group = parser.add_argument_group("what to boot")
    group.add_argument("guest", nargs="?", metavar="GUEST", help="a name of ./croft guests")
    group.add_argument("--kernel", type=pathlib.Path, metavar="FILE",
                       help="a kernel file: bzImage, multiboot 1 or 2, ELF32")
    group.add_argument("--initrd", type=pathlib.Path, metavar="FILE", help="its initrd")
    group.add_argument("--module", action="append", default=[], metavar="'FILE ARGS'",
                       help="a boot module with its arguments; may be repeated")
    group.add_argument("--disk", action="append", default=[], metavar="FILE[,KIND][,save]",
                       help="a disk; KIND is virtio (default), ata or cdrom. What the guest writes "
                            "stays in memory and goes with the run, or into FILE with save: as a "
                            "whole when the run has ended, never if it was broken off. May be "
                            "repeated")
    group.add_argument("--with-modules", action="store_true",
                       help="a Linux guest loads its drivers for virtio, disks and file systems "
                            "without --disk too")
    group.add_argument("--append", default="", metavar="WORDS",
                       help="added to the guest's command line")
    group.add_argument("--command-line", metavar="WORDS", help="replaces it")
    group.add_argument("--memory", type=megabytes, default=256, metavar="SIZE",
                       help="the guest's memory (default 256M)")
    group.add_argument("--monitor", default="", metavar="OPTIONS",
                       help="options for Undercroft itself, such as 'engine=interpret' or "
                            "'machine=isa' (README.md lists them)")
    group.add_argument("--framebuffer", type=mode, metavar="MODE",
                       help="a linear framebuffer, such as 1024x768x32, on a BIOS machine too, where "
                            "there is text otherwise; guests that ask for one get it")
    group.add_argument("--bare", action="store_true",
                       help="without Undercroft: GRUB boots the guest itself")


def add_run(parser):
    group = parser.add_argument_group("how to run it")
    group.add_argument("--exec", metavar="COMMAND", dest="command",
                       help="run a shell command in a Linux guest and end with its status; only "
                            "its output goes to standard output")
    group.add_argument("--machine", choices=("qemu", "bochs"), default="qemu",
                       help="the emulator: QEMU's TCG (default), or Bochs, which is slower, checks "
                            "segment limits, alignment and stale TLB entries, and keeps a time of "
                            "its own")
    group.add_argument("--firmware", choices=firmware.NAMES, default="bios",
                       help="QEMU's firmware (default bios)")
    group.add_argument("--cpu", metavar="MODEL",
                       help="QEMU's processor, as its -cpu takes it (default pentium3)")
    group.add_argument("--bochs-cpu", metavar="MODEL",
                       help="Bochs' processor (default %s; bochs --help cpu lists them)" %
                            bochs.MODEL)
    group.add_argument("--machine-memory", type=megabytes, metavar="SIZE",
                       help="memory of the machine (default: enough for the guest)")
    group.add_argument("--boot", choices=("grub", "kernel"), default="grub",
                       help="by GRUB from a CD (default), or by QEMU's -kernel: deterministic, "
                            "one instruction per nanosecond, for measurements")
    group.add_argument("--timeout", type=positive, metavar="SECONDS", help="give up after so long")
    group.add_argument("--verbose", action="store_true",
                       help="with --exec: the whole serial line, on standard error")
    group.add_argument("--log", type=pathlib.Path, metavar="FILE",
                       help="where the serial line is kept (default build/logs/run.log)")
    group.add_argument("--screenshot", type=pathlib.Path, metavar="FILE.png",
                       help="save the machine's screen and end: when it has been quiet for three "
                            "seconds (a blinking cursor does not count) or after --timeout "
                            "(default %d s)" % screenshot.PATIENCE)
    group.add_argument("--when", metavar="TEXT",
                       help="with --screenshot: wait until TEXT stands on the screen or on the "
                            "serial line instead")
    group.add_argument("--after", type=positive, metavar="SECONDS",
                       help="with --screenshot: wait so long (after TEXT, if --when is given)")
    group.add_argument("--keys", default="", metavar="'KEY ...'",
                       help="with --screenshot: then press these keys, one after another, wait for "
                            "quiet again, and save then. A key is a name of QEMU's (ret, spc, esc, "
                            "left, f1, a), several joined by - (ctrl-alt-delete), and :1.5 holds "
                            "them down for so many seconds; another word is typed")
    group.add_argument("--qemu", type=words, default=[], metavar="WORDS",
                       help="more words for QEMU, such as '-d int -D trace.log'")
    group.add_argument("--no-build", action="store_true", help="take build/undercroft.elf as it is")
    group.add_argument("--show", action="store_true", help="print the machine's command, do not run it")
