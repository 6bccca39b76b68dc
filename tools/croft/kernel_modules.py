"""Kernel modules for the Linux guest: which ones a disk needs, taken from the kernel's own package with
all that they depend on, in the order in which they are loaded.

A module says itself what it depends on (`depends=` in its section .modinfo); Debian's package has no
modules.dep, which is made when it is installed.
"""

import re
import shutil
import subprocess

from . import progress
from .errors import CroftError

# By what is asked for. "all" goes with any of them: ext4, and the check sums that it asks for by name.
WANTED = {
    "all": ("crc32c_generic", "ext4"),
    "virtio": ("virtio_pci", "virtio_blk", "virtio-rng", "virtio_console"),
    "ata": ("crct10dif_generic", "crc64_rocksoft_generic", "ata_piix", "sd_mod"),
    "cdrom": ("ata_piix", "sr_mod", "isofs"),
}
# Where they and what they depend on are, below lib/modules/RELEASE/kernel.
PLACES = ("drivers/virtio", "drivers/block/virtio_blk.ko", "drivers/char/hw_random",
          "drivers/char/virtio_console.ko", "drivers/ata", "drivers/scsi", "drivers/cdrom", "fs/ext4",
          "fs/jbd2", "fs/mbcache.ko", "fs/isofs", "lib", "crypto", "block")


def unpack(deb, release, folder):
    """The modules of PLACES from the kernel package `deb` into `folder`, side by side, once."""
    if folder.exists():
        return
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    names = [f"./lib/modules/{release}/kernel/{place}" for place in PLACES]
    with progress.step(f"Unpacking modules of {deb.name}"):
        package = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
        taken = subprocess.run(["tar", "-x", "-C", str(partial), *names], stdin=package.stdout,
                               stderr=subprocess.PIPE, check=False)
        package.stdout.close()
        package.wait()
    if taken.returncode != 0:
        raise CroftError(f"{deb.name}: {taken.stderr.decode(errors='replace').strip()}")
    for module in list(partial.rglob("*.ko")):
        module.rename(partial / module.name)
    shutil.rmtree(partial / "lib")
    partial.rename(folder)


def _depends(module):
    found = re.search(rb"\0depends=([^\0]*)\0", b"\0" + module)
    return [name for name in found.group(1).decode().split(",") if name] if found else []


def in_order(folder, kinds):
    """[(file name, contents)] for the kinds of WANTED: each behind those that it depends on."""
    files = {file.stem.replace("-", "_"): file for file in folder.glob("*.ko")}
    ordered = {}

    def take(name, asked_by):
        key = name.replace("-", "_")
        if key in ordered:
            return
        if key not in files:
            raise CroftError(f"the kernel's package has no module {name}, which {asked_by} needs")
        contents = files[key].read_bytes()
        for needed in _depends(contents):
            take(needed, name)
        ordered[key] = (files[key].name, contents)

    for kind in ("all", *sorted(kinds)):
        for name in WANTED[kind]:
            take(name, "--disk")
    return list(ordered.values())
