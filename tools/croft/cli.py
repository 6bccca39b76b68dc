"""The command line: what can be typed, its help, and which parts each command uses."""

import argparse
import pathlib
import re
import shlex
import sys

from . import (bochs, build, disks, errors, execution, firmware, guests, hostile, image, lint, machine,
               packages, paths, progress, screenshot, suite)
from .randomtest import command as randomtest
from .errors import CroftError

OVERVIEW = """\
Undercroft runs an unmodified 32-bit x86 kernel at ring 3, on a bare machine without VT-x or SVM.

The two commands to begin with:
  ./croft run       builds the image, fetches a Debian kernel, boots it under Undercroft in QEMU
  ./croft test      builds everything and runs the tests
"""

RUN_TEXT = """\
Boots GUEST (./croft guests lists them; default: linux) under Undercroft in QEMU. QEMU plays a
Pentium III by TCG: no KVM, VT-x or SVM. The guest's serial line is this terminal.
Ctrl-A X leaves at once, Ctrl-A C switches to QEMU's monitor and back.
"""

RUN_EXAMPLES = f"""\
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
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 256M or 2G")
    return int(found.group(1)) * (1024 if found.group(2) in "Gg" and found.group(2) else 1)


def machine_memory(guest_memory):
    """Room for the guest, the monitor and its tables: 512 MB up to a guest of 384 MB."""
    return max(512, guest_memory + guest_memory // 2) if guest_memory > 384 else 512


def _guest_options(parser):
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
    group.add_argument("--framebuffer", metavar="MODE",
                       help="a linear framebuffer, such as 1024x768x32, on a BIOS machine too, where "
                            "there is text otherwise; guests that ask for one get it")
    group.add_argument("--bare", action="store_true",
                       help="without Undercroft: GRUB boots the guest itself")


def _run_options(parser):
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
    group.add_argument("--timeout", type=float, metavar="SECONDS", help="give up after so long")
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
    group.add_argument("--after", type=float, metavar="SECONDS",
                       help="with --screenshot: wait so long (after TEXT, if --when is given)")
    group.add_argument("--keys", default="", metavar="'KEY ...'",
                       help="with --screenshot: then press these keys, one after another, wait for "
                            "quiet again, and save then. A key is a name of QEMU's (ret, spc, esc, "
                            "left, f1, a), several joined by - (ctrl-alt-delete), and :1.5 holds "
                            "them down for so many seconds; another word is typed")
    group.add_argument("--qemu", default="", metavar="WORDS",
                       help="more words for QEMU, such as '-d int -D trace.log'")
    group.add_argument("--no-build", action="store_true", help="take build/undercroft.elf as it is")
    group.add_argument("--show", action="store_true", help="print the machine's command, do not run it")


def _parser():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="croft", description=OVERVIEW, formatter_class=form,
                                     epilog="./croft COMMAND --help tells more of each.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="boot a guest under Undercroft in QEMU",
                              description=RUN_TEXT, epilog=RUN_EXAMPLES, formatter_class=form)
    _guest_options(run)
    _run_options(run)
    run.set_defaults(action=do_run)

    iso = commands.add_parser("iso", help="write a bootable image", formatter_class=form,
                              description="Writes an image that boots GUEST under Undercroft by "
                              "BIOS and by UEFI (32 and 64\nbits), from a CD or from a USB stick "
                              "that it is written to by dd.")
    iso.add_argument("--output", "-o", type=pathlib.Path, default=pathlib.Path("undercroft.iso"),
                     metavar="FILE", help="default undercroft.iso")
    _guest_options(iso)
    iso.add_argument("--no-build", action="store_true", help="take build/undercroft.elf as it is")
    iso.set_defaults(action=do_iso)

    make = commands.add_parser("build", help="build the image",
                               description="Builds build/undercroft.elf (preset default).")
    make.set_defaults(action=do_build)

    test = commands.add_parser("test", help="build everything and run the tests",
                               description=suite.__doc__, formatter_class=form)
    test.add_argument("--all", action="store_true", help="the long ones too")
    test.add_argument("--select", default="", metavar="WORDS",
                      help="only boot tests that pytest's -k WORDS selects")
    test.add_argument("--random", type=int, metavar="N",
                      help="instead: N random sequences, bare and hosted (docs/testing.md)")
    test.add_argument("--seed", default="1", help="of --random and --hostile (default 1)")
    test.add_argument("--engines", default="translate,interpret", metavar="NAMES",
                      help="of --random (default translate,interpret; there is guard too)")
    test.add_argument("--until-mismatch", action="store_true",
                      help="of --random: stop at the first, keep nothing")
    test.add_argument("--emulator", choices=["qemu", "bochs"], default="qemu",
                      help="of --random (default qemu)")
    test.add_argument("--hostile", type=float, metavar="MINUTES",
                      help="instead: hostile guests for so long (docs/resource-control.md)")
    test.set_defaults(action=do_test)

    check = commands.add_parser("lint", help="check format and reading order",
                                description=lint.__doc__, formatter_class=form)
    check.add_argument("--fix", action="store_true", help="format the sources in place")
    check.add_argument("--tidy", action="store_true", help="clang-tidy too (slow)")
    check.set_defaults(action=do_lint)

    catalogue = commands.add_parser("guests", help="list the guests",
                                    description="Lists the guests that run takes by name.")
    catalogue.set_defaults(action=do_guests)

    fetch = commands.add_parser("fetch", help="fetch guests from Debian",
                                description="Fetches guests into cache/ (default: linux). run does "
                                "so by itself when it needs one.")
    fetch.add_argument("names", nargs="*", metavar="GUEST")
    fetch.add_argument("--fresh", action="store_true", help="look for a newer version")
    fetch.set_defaults(action=do_fetch)
    return parser


def _guest(options):
    """The guest that the options ask for, with its final command line."""
    if options.kernel:
        if options.guest:
            raise CroftError("give either a guest's name or --kernel, not both")
        guest = guests.from_files(options.kernel, "", options.initrd, options.module)
    else:
        if options.initrd or options.module:
            raise CroftError("--initrd and --module go with --kernel")
        found = guests.find(options.guest or "linux")
        guest = disks.with_drivers(found, found.prepare(), options.disks, options.with_modules)
    line = guest.command_line if options.command_line is None else options.command_line
    line = f"{line} {options.append}".strip()
    command = getattr(options, "command", None)
    if command is not None:
        if guest.form != "linux":
            raise CroftError("--exec needs a Linux guest")
        line = execution.command_line(line, command)
    modules = guest.modules if options.bare else (*guest.modules, *disks.modules(options.disks))
    return guests.dataclasses.replace(guest, command_line=line, modules=modules)


def _monitor_options(options):
    return f"mem={options.memory}M {disks.monitor_option(options.disks)} {options.monitor}".strip()


def _prepare(options):
    packages.require("run")
    options.disks = disks.parse_all(options.disk)
    if not options.bare and not options.no_build:
        build.image()
    elif not options.bare and not paths.IMAGE.exists():
        raise CroftError("build/undercroft.elf is not there", "run ./croft build")
    return _guest(options)


def _bochs_setup(options, guest, memory, log):
    if options.boot == "kernel" or options.qemu or options.cpu:
        raise CroftError("--boot kernel, --cpu and --qemu are QEMU's")
    disks.check_bochs(options.disks, options.bare)
    packages.require("bochs")
    iso = image.cached(guest, options.bare, _monitor_options(options), mode=options.framebuffer)
    return machine.BochsSetup(iso, memory, log, options.bochs_cpu or bochs.MODEL)


def _qemu_setup(options, guest, memory, log):
    platforms = image.BIOS_ONLY
    if options.firmware != "bios":
        packages.require("iso", "uefi")
        platforms = image.ANY_FIRMWARE
    if options.boot == "kernel":
        boot = machine.boot_kernel(guest, options.bare, _monitor_options(options))
    else:
        iso = image.cached(guest, options.bare, _monitor_options(options), platforms,
                           options.framebuffer)
        boot = machine.boot_iso(iso)
    extra = disks.machine_words(options.disks, options.bare, options.boot)
    return machine.Setup(boot, memory, interactive=options.command is None, log=log,
                         extra=[*extra, *shlex.split(options.qemu)], firmware=options.firmware,
                         cpu=options.cpu)


def _check_screenshot(options):
    if options.screenshot:
        if options.machine == "bochs" or options.command is not None:
            raise CroftError("--screenshot goes neither with --machine bochs nor with --exec")
    elif options.keys or options.after is not None or options.when is not None:
        raise CroftError("--keys, --after and --when go with --screenshot")


def do_run(options):
    firmware.check(options.firmware, options.boot, options.machine)
    _check_screenshot(options)
    guest = _prepare(options)
    memory = options.machine_memory
    if memory is None:
        memory = options.memory if options.bare else (machine_memory(options.memory) +
                                                      disks.megabytes(options.disks))
    make_setup = _bochs_setup if options.machine == "bochs" else _qemu_setup
    setup = make_setup(options, guest, memory, options.log or paths.LOGS / "run.log")
    if options.show:
        print(machine.describe(setup))
        return 0
    with disks.given_back([] if options.bare else options.disks):
        return _run(options, setup)


def _run(options, setup):
    if options.screenshot:
        return screenshot.run(setup, screenshot.Plan(options.screenshot, options.keys, options.after,
                                                     options.when, options.timeout))
    if options.command is not None:
        return machine.run_command(setup, options.timeout, options.verbose)
    place = "on the bare machine" if options.bare else "under Undercroft"
    progress.say(f"booting {options.guest or options.kernel or 'linux'} {place}; Ctrl-A X leaves")
    return machine.run_interactive(setup, options.timeout)


def do_iso(options):
    packages.require("iso")
    guest = _prepare(options)
    disks.check_image(options.disks, options.bare)
    image.write(guest, options.bare, _monitor_options(options), options.output,
                options.framebuffer)
    progress.say(f"wrote {options.output} ({options.output.stat().st_size >> 20} MB)")
    return 0


def do_build(_options):
    build.image()
    progress.say(f"{paths.IMAGE.relative_to(paths.ROOT)} is up to date")
    return 0


def do_test(options):
    if options.random:
        return randomtest.run(options.random, options.seed, options.engines, options.emulator,
                              options.until_mismatch)
    if options.hostile:
        return hostile.run(options.hostile, int(options.seed))
    return suite.run(options.all, options.select)


def do_lint(options):
    return lint.run(options.fix, options.tidy)


def do_guests(_options):
    for guest in guests.catalogue().values():
        print(f"{guest.name:16} {guest.what}\n{'':16} from {guest.source}; {guest.state()}")
    return 0


def do_fetch(options):
    for name in options.names or ["linux"]:
        guest = guests.find(name)
        guest.fetch(options.fresh)
        progress.say(f"{name}: {guest.state()}")
    return 0


def main(words):
    options = _parser().parse_args(words)
    try:
        return options.action(options)
    except CroftError as error:
        progress.say(f"error: {error}")
        if error.hint:
            progress.say(error.hint)
        return error.status
    except KeyboardInterrupt:
        progress.say("interrupted")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
