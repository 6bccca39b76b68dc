"""Makes bootable images: GRUB on an ISO, with a menu that boots one guest.

The images that croft runs itself have GRUB for BIOS alone, since they are quickly made. Those for
people (croft iso) boot by BIOS and by UEFI, of 32 and of 64 bits, from a CD and from a USB stick.
Knows GRUB's configuration language; leaves to machine.py where the image is run.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import paths, progress
from .errors import CroftError

FOLDER = paths.CACHE / "iso"
KEPT_BYTES = 2 << 30  # of images in the cache, likewise
KEPT = 16  # images in the cache; the least recently used ones go first

# GRUB's own messages appear on the serial line too, where a headless machine can be read.
HEADER = """set timeout=0
set timeout_style=hidden
if serial --unit=0 --speed=115200; then
  terminal_output console serial
fi
if [ "$grub_platform" = efi ]; then
  insmod all_video
fi
"""

# `multiboot2` sets gfxpayload to what the kernel's header asks for, which is any framebuffer. UEFI has
# nothing else; a BIOS has text.
TEXT_ON_BIOS = """  if [ "$grub_platform" = pc ]; then
    set gfxpayload=text
  fi
"""


def _framebuffer(mode):
    """Asks for a linear framebuffer of `mode`, such as 1024x768x32, whatever the firmware."""
    return f"  insmod all_video\n  set gfxpayload={mode},auto\n"

# grub-mkrescue takes all the platforms that it finds, unless it is told one.
ANY_FIRMWARE = []
BIOS_ONLY = ["--directory=/usr/lib/grub/i386-pc"]


def quote(word):
    """`word` as GRUB's shell has to read it."""
    if re.fullmatch(r"[A-Za-z0-9_=.,:/+@%-]+", word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def _line(*parts):
    """A command whose later parts are texts of several words."""
    words = [word for part in parts for word in part.split()]
    return "  " + " ".join(quote(word) for word in words) + "\n"


def hosted_entry(monitor_options, guest, mode=None):
    """The menu entry that boots `guest` under Undercroft, with a framebuffer of `mode` if given."""
    text = _line("multiboot2 /boot/undercroft.elf", monitor_options)
    if guest.kernel:
        text += _line("module2 --nounzip /boot/kernel", guest.command_line)
    for number, module in enumerate(guest.modules):
        text += _line(f"module2 --nounzip /boot/module{number}", module.arguments)
    return text + (_framebuffer(mode) if mode else TEXT_ON_BIOS)


def bare_entry(guest, mode=None):
    """The menu entry that boots `guest` on the bare machine: the twin."""
    if mode:
        return bare_entry(guest) + _framebuffer(mode)
    if guest.form == "linux":
        text = _line("linux /boot/kernel", guest.command_line)
        if guest.modules:
            names = " ".join(f"/boot/module{number}" for number in range(len(guest.modules)))
            text += _line("initrd", names)
        return text
    if guest.form not in ("multiboot", "multiboot2"):
        raise CroftError(f"{guest.kernel}: GRUB cannot boot this file ({guest.form}) by itself")
    digit = "2" if guest.form == "multiboot2" else ""
    text = _line(f"multiboot{digit} /boot/kernel", guest.command_line)
    for number, module in enumerate(guest.modules):
        text += _line(f"module{digit} --nounzip /boot/module{number}", module.arguments)
    return text


def _stripped_monitor():
    """undercroft.elf without its debugging information, which GRUB would load as well."""
    target = FOLDER / "undercroft.elf"
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.stat().st_mtime_ns != paths.IMAGE.stat().st_mtime_ns:
        partial = target.with_name(f"undercroft.{os.getpid()}.partial")
        try:
            subprocess.run(["objcopy", "--strip-debug", str(paths.IMAGE), str(partial)], check=True)
        except (OSError, subprocess.CalledProcessError):
            shutil.copyfile(paths.IMAGE, partial)
        shutil.copystat(paths.IMAGE, partial)
        partial.replace(target)
    return target


def contents(guest, bare, monitor_options, mode=None):
    """The image as {path in it: file or text}."""
    files = {"boot/kernel": guest.kernel} if guest.kernel else {}
    for number, module in enumerate(guest.modules):
        files[f"boot/module{number}"] = module.file
    if bare:
        entry = bare_entry(guest, mode)
    else:
        entry = hosted_entry(monitor_options, guest, mode)
        files["boot/undercroft.elf"] = _stripped_monitor()
    title = "bare guest" if bare else "Undercroft"
    files["boot/grub/grub.cfg"] = f"{HEADER}menuentry '{title}' {{\n{entry}}}\n"
    return files


def _digest(files):
    total = hashlib.sha256()
    for name, what in sorted(files.items()):
        data = what.read_bytes() if isinstance(what, pathlib.Path) else what.encode()
        total.update(f"{name} {len(data)}\n".encode() + data)
    return total.hexdigest()[:24]


def _write(files, target, platforms):
    with tempfile.TemporaryDirectory(prefix="croft-iso-") as folder:
        for name, what in files.items():
            place = pathlib.Path(folder) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(what, pathlib.Path):
                shutil.copyfile(what, place)
            else:
                place.write_text(what)
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        progress.run_logged("Writing the boot image",
                            ["grub-mkrescue", *platforms, "--fonts=", "--locales=", "--themes=",
                             "-o", str(partial), folder],
                            "grub-mkrescue.log", hint="./croft installs grub-common")
        partial.replace(target)


def write(guest, bare, monitor_options, target, mode=None):
    """Writes an image for any firmware to the file `target`."""
    _write(contents(guest, bare, monitor_options, mode), target, ANY_FIRMWARE)


def cached(guest, bare, monitor_options, platforms=BIOS_ONLY, mode=None):
    """The image's path in the cache, where it is made if its parts have changed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = contents(guest, bare, monitor_options, mode)
    kind = "" if platforms == BIOS_ONLY else "-any"
    target = FOLDER / f"{_digest(files)}{kind}.iso"
    if not target.exists():
        _write(files, target, platforms)
    target.touch()
    _forget_old(target)
    return target


def _forget_old(newest):
    total = newest.stat().st_size
    others = [(iso, facts) for iso in FOLDER.glob("*.iso")
              if iso != newest and (facts := _facts_of(iso))]
    others.sort(key=lambda other: -other[1].st_mtime)
    for number, (old, facts) in enumerate(others, 1):
        total += facts.st_size
        if number >= KEPT or total > KEPT_BYTES:
            old.unlink(missing_ok=True)


def _facts_of(file):
    """None if another run of croft has just taken it away."""
    try:
        return file.stat()
    except FileNotFoundError:
        return None
