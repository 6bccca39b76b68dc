"""The catalogue: which guests there are, where each comes from, and how to get hold of it.

A prepared guest is a kernel file, a command line and modules; how it is booted is image.py's
and machine.py's business.
"""

import dataclasses
import difflib
import gzip
import hashlib
import json
import os
import pathlib
import struct
import typing

from . import debian, initramfs, kernel_modules, paths, progress
from .errors import CroftError

# Quiet and quick: no ACPI, APICs or SMP to probe, no self-tests, no ISA PnP.
LINUX_COMMAND_LINE = ("console=ttyS0 panic=-1 nosmp noapic nolapic acpi=off nokaslr tsc=reliable "
                      "mitigations=off cryptomgr.notests noisapnp")
# Nothing but where its console is.
LINUX_DEFAULT_COMMAND_LINE = "console=ttyS0"
BUSYBOX = "busybox-static"


@dataclasses.dataclass(frozen=True)
class Module:
    file: pathlib.Path
    arguments: str = ""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What is needed to boot a guest. `form` is linux, multiboot, multiboot2, elf or disk; a disk has
    no kernel."""

    form: str
    kernel: typing.Optional[pathlib.Path]
    command_line: str
    modules: typing.Tuple[Module, ...] = ()


def form_of(kernel):
    """Which protocol boots the file `kernel`; or compressed, or unknown."""
    try:
        with kernel.open("rb") as file:
            head = file.read(32768)
    except OSError as error:
        raise CroftError(f"{kernel}: {error.strerror}") from None
    if head[0x202:0x206] == b"HdrS":
        return "linux"
    for offset in range(0, len(head) - 12, 4):
        magic, flags, check = struct.unpack_from("<III", head, offset)
        if magic == 0x1BADB002 and offset < 8192 and (magic + flags + check) % (1 << 32) == 0:
            return "multiboot"
        if magic == 0xE85250D6 and offset % 8 == 0:
            return "multiboot2"
    starts = {b"\x7fELF": "elf", b"\x1f\x8b\x08": "compressed"}
    return next((form for start, form in starts.items() if head.startswith(start)), "unknown")


class DebianLinux:
    """A kernel package of Debian with BusyBox as its user space. Guests of one package share its
    `folder`."""

    def __init__(self, name, package, what, command_line=LINUX_COMMAND_LINE, folder=None):
        self.name = name
        self.command_line = command_line
        self.package = package
        self.what = what
        self.source = f"Debian packages {package} and {BUSYBOX} (i386)"
        self.folder = paths.CACHE / "guests" / (folder or name)
        self.kernel = self.folder / "vmlinuz"
        self.initrd = self.folder / "initrd.gz"
        self.busybox = self.folder / "busybox"
        self.facts = self.folder / "versions.json"

    def state(self):
        if not self.facts.exists():
            return "not fetched"
        facts = json.loads(self.facts.read_text())
        return f"fetched: {facts['kernel']} {facts['kernel version']}"

    def fetch(self, fresh=False):
        """Fetches what is not in the cache; everything anew if `fresh`."""
        if self.facts.exists() and not fresh:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        debian.update()
        if debian.candidate(self.package) is None:
            raise CroftError(f"the apt sources of this machine do not offer {self.package} for i386",
                             "check that the Debian entry in /etc/apt has no arch= or "
                             "Architectures: limit")
        kernel = debian.dependency(self.package, r"linux-image-\d.*")
        kernel_deb, kernel_version = debian.fetch(kernel)
        busybox_deb, busybox_version = debian.fetch(BUSYBOX)
        release = kernel[len("linux-image-"):]
        with progress.step(f"Unpacking {kernel}"):
            debian.extract(kernel_deb, f"./boot/vmlinuz-{release}", self.kernel)
            debian.extract(busybox_deb, "./bin/busybox", self.busybox)
        self.facts.write_text(json.dumps({
            "kernel": kernel, "kernel version": kernel_version,
            "busybox version": busybox_version}, indent=1) + "\n")

    def prepare(self):
        self.fetch()
        archive = initramfs.build(self.busybox.read_bytes())
        if not self.initrd.exists() or self.initrd.read_bytes() != archive:
            partial = self.initrd.with_name("initrd.partial")
            partial.write_bytes(archive)
            partial.replace(self.initrd)
        return Prepared("linux", self.kernel, self.command_line, (Module(self.initrd),))

    def _modules(self, kinds):
        facts = json.loads(self.facts.read_text())
        folder = self.folder / f"modules-{facts['kernel version']}"
        if not folder.exists():
            deb, version = debian.fetch(facts["kernel"])
            if version != facts["kernel version"]:
                raise CroftError(f"{facts['kernel']} is there in version {version} only",
                                 f"./croft fetch --fresh {self.name}")
            kernel_modules.unpack(deb, facts["kernel"][len("linux-image-"):], folder)
        return kernel_modules.in_order(folder, kinds)

    def with_drivers(self, prepared, kinds, devices):
        """The guest with the drivers for disks of these kinds; it waits for the devices at its
        start. They have an initrd of their own, so that a run without disks is as fast as before."""
        archive = initramfs.build(self.busybox.read_bytes(), self._modules(kinds), devices)
        initrd = self.folder / f"initrd-{hashlib.sha256(archive).hexdigest()[:12]}.gz"
        if not initrd.exists():
            partial = initrd.with_name(f"{initrd.name}.{os.getpid()}.partial")
            partial.write_bytes(archive)
            partial.replace(initrd)
        return dataclasses.replace(prepared, modules=(Module(initrd),))


@dataclasses.dataclass(frozen=True)
class Packaged:
    """A file of a package. `arguments` are its command line; a `compressed` kernel is unpacked, as
    GRUB does, which boots it from the file as it is."""

    member: str
    arguments: str = ""
    compressed: bool = False


class DebianImage:
    """A kernel that a package of Debian has ready to boot, with its modules."""

    def __init__(self, name, package, what, kernel, modules=()):
        self.name = name
        self.package = package
        self.what = what
        self.source = f"Debian package {package} (i386)"
        self.files = (kernel, *modules)
        self.folder = paths.CACHE / "guests" / name
        self.facts = self.folder / "versions.json"

    def _place(self, file):
        name = pathlib.PurePosixPath(file.member)
        return self.folder / (name.stem if file.compressed else name.name)

    def state(self):
        if not self.facts.exists():
            return "not fetched"
        facts = json.loads(self.facts.read_text())
        return f"fetched: {self.package} {facts['version']}"

    def fetch(self, fresh=False):
        """Fetches what is not in the cache; everything anew if `fresh`."""
        if self.facts.exists() and not fresh:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        debian.update()
        deb, version = debian.fetch(self.package)
        with progress.step(f"Unpacking {self.package}"):
            for file in self.files:
                place = self._place(file)
                debian.extract(deb, file.member, place)
                if file.compressed:
                    place.write_bytes(gzip.decompress(place.read_bytes()))
        self.facts.write_text(json.dumps({"version": version}, indent=1) + "\n")

    def prepare(self):
        self.fetch()
        kernel, *modules = self.files
        return Prepared(form_of(self._place(kernel)), self._place(kernel), kernel.arguments,
                        tuple(Module(self._place(file), file.arguments) for file in modules))


class TestKernel:
    """A small kernel of tests/guests, built with the tree."""

    def __init__(self, name):
        self.name = name
        self.what = "test kernel"
        self.source = "tests/guests"
        self.kernel = paths.BUILD / "guests" / f"{name}.elf"

    def state(self):
        return "built" if self.kernel.exists() else "not built"

    def fetch(self, fresh=False):
        """Nothing to fetch: `croft build` makes it."""

    def prepare(self):
        if not self.kernel.exists():
            raise CroftError(f"{self.kernel.relative_to(paths.ROOT)} is not there",
                             "run ./croft build")
        return Prepared(form_of(self.kernel), self.kernel, "")


class BootedDisk:
    """No kernel: the BIOS of the guest's machine starts the first ATA disk of --disk."""

    name = "disk"
    what = "what boots from the first disk of --disk FILE,ata"
    source = "a file of yours"

    def state(self):
        return "yours"

    def fetch(self, fresh=False):
        """Nothing to fetch."""

    def prepare(self):
        return Prepared("disk", None, "")


INSTALLER = "./usr/lib/debian-installer/images/12/i386/text/debian-installer/i386"
PACKAGED = (
    DebianLinux("linux", "linux-image-686", "Debian's Linux for i686 without PAE"),
    DebianLinux("linux-pae", "linux-image-686-pae", "Debian's Linux for i686 with PAE"),
    DebianLinux("linux-default", "linux-image-686", "the same, finding out all of its PC by itself",
                LINUX_DEFAULT_COMMAND_LINE, "linux"),
    DebianLinux("linux-pae-default", "linux-image-686-pae", "the same with PAE",
                LINUX_DEFAULT_COMMAND_LINE, "linux-pae"),
    DebianLinux("linux-rt-pae", "linux-image-rt-686-pae", "Debian's real-time Linux with PAE"),
    DebianImage("debian-installer", "debian-installer-12-netboot-i386",
                "Debian's installer, in text",
                Packaged(f"{INSTALLER}/linux", f"{LINUX_COMMAND_LINE} ---"),
                (Packaged(f"{INSTALLER}/initrd.gz"),)),
    DebianImage("gnumach", "gnumach-image-1.8-486", "GNU Mach, the Hurd's kernel",
                Packaged("./boot/gnumach-1.8-486.gz", "console=com0", compressed=True)),
    DebianImage("memtest86+", "memtest86+", "a test of the memory, on screen and serial line",
                Packaged("./boot/memtest86+ia32.bin", "console=ttyS0,115200")),
    DebianImage("grub-invaders", "grub-invaders", "a game: cursor keys and space, on the screen only",
                Packaged("./boot/invaders.exec")),
    DebianImage("ipxe", "ipxe", "iPXE, a network boot loader, in real mode; on the screen only",
                Packaged("./boot/ipxe.lkrn")),
    DebianImage("memdisk", "syslinux-common", "a disk image in memory; docs/guests.md says how",
                Packaged("./usr/lib/syslinux/memdisk")),
    BootedDisk(),
)


def catalogue():
    """All guests by name, the default one first."""
    guests = list(PACKAGED)
    built = {kernel.stem for kernel in (paths.BUILD / "guests").glob("*.elf")}
    guests += [TestKernel(name) for name in sorted(built)]
    return {guest.name: guest for guest in guests}


def find(name):
    guests = catalogue()
    if name in guests:
        return guests[name]
    known = " ".join(guest.name for guest in PACKAGED)
    if pathlib.Path(name).is_file():
        hint = f"a kernel file of your own: ./croft run --kernel {name}"
    elif near := difflib.get_close_matches(name, guests, 1):
        hint = f"perhaps {near[0]}? ./croft guests lists them all"
    else:
        hint = f"known are {known}, and the test kernels that ./croft guests lists"
    raise CroftError(f"there is no guest named {name}", hint)


def from_files(kernel, command_line, initrd, modules):
    """A guest given by its files instead of by its name."""
    parts = [Module(file) for file in ([initrd] if initrd else [])]
    for text in modules:
        name, _, arguments = text.partition(" ")
        parts.append(Module(pathlib.Path(name), arguments))
    for part in parts:
        if not part.file.is_file():
            raise CroftError(f"{part.file}: no such file")
    form = form_of(kernel)
    if form == "compressed":
        raise CroftError(f"{kernel} is compressed by gzip", f"unpack it first: gunzip --keep {kernel}, "
                         "or gunzip --stdout if its name does not end in .gz")
    return Prepared(form, kernel, command_line, tuple(parts))
