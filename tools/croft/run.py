"""croft run and croft iso: from what was typed to a guest, a machine and a run of it, or an image."""

from . import (bochs, build, disks, execution, firmware, guests, image, machine, packages, paths,
               progress, screenshot)
from .errors import CroftError


LEAST_MEMORY, MOST_MEMORY = 2, 3072  # MB, of a guest under Undercroft


def machine_memory(guest_memory):
    """Room for the guest, the monitor and its tables: 512 MB up to a guest of 384 MB."""
    return max(512, guest_memory + guest_memory // 2) if guest_memory > 384 else 512


def _check_guest(options):
    """Mistakes that can be told before anything is built or fetched."""
    if options.kernel:
        if options.guest:
            raise CroftError("give either a guest's name or --kernel, not both")
        guests.from_files(options.kernel, "", options.initrd, options.module)
    elif options.initrd or options.module:
        raise CroftError("--initrd and --module go with --kernel")
    if not options.bare and not LEAST_MEMORY <= options.memory <= MOST_MEMORY:
        raise CroftError(f"--memory: the guest can have {LEAST_MEMORY}M to {MOST_MEMORY}M")


def _guest(options):
    """The guest that the options ask for, with its final command line."""
    if options.kernel:
        guest = guests.from_files(options.kernel, "", options.initrd, options.module)
    else:
        found = guests.find(options.guest or "linux")
        guest = disks.with_drivers(found, found.prepare(), options.disks, options.with_modules)
    line = guest.command_line if options.command_line is None else options.command_line
    line = f"{line} {options.append}".strip()
    command = getattr(options, "command", None)
    if command is not None:
        if guest.form != "linux":
            raise CroftError("--exec needs a Linux guest")
        line = execution.command_line(line, command)
    if guest.form == "disk":
        if options.bare:
            raise CroftError("--bare: QEMU starts a disk by itself, without croft")
        if not any(disk.kind == "ata" for disk in options.disks):
            raise CroftError("the guest disk needs a disk to start", "--disk FILE,ata")
    modules = guest.modules if options.bare else (*guest.modules, *disks.modules(options.disks))
    return guests.dataclasses.replace(guest, command_line=line, modules=modules)


def _monitor_options(options):
    return f"mem={options.memory}M {disks.monitor_option(options.disks)} {options.monitor}".strip()


def _prepare(options):
    options.disks = disks.parse_all(options.disk)
    _check_guest(options)
    packages.require("run")
    if not options.bare and not options.no_build:
        build.image()
    elif not options.bare and not paths.IMAGE.exists():
        raise CroftError("build/undercroft.elf is not there", "run ./croft build")
    return _guest(options)


def _bochs_setup(options, guest, memory, log):
    if options.boot == "kernel" or options.qemu or options.cpu:
        raise CroftError("--boot kernel, --cpu and --qemu are QEMU's")
    disk = disks.of_bochs(options.disks, options.bare)
    packages.require("bochs")
    iso = image.cached(guest, options.bare, _monitor_options(options), mode=options.framebuffer)
    return machine.BochsSetup(iso, memory, log, options.bochs_cpu or bochs.MODEL, disk)


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
                         extra=[*extra, *options.qemu], firmware=options.firmware,
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
    if not options.output.absolute().parent.is_dir():
        raise CroftError(f"--output: there is no folder {options.output.absolute().parent}")
    guest = _prepare(options)
    disks.check_image(options.disks, options.bare)
    packages.require("iso")
    image.write(guest, options.bare, _monitor_options(options), options.output,
                options.framebuffer)
    progress.say(f"wrote {options.output} ({options.output.stat().st_size >> 20} MB)")
    return 0
