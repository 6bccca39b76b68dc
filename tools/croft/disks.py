"""Disks of the guest: what --disk asks for, and the way back for what the guest has changed.

A disk is a boot module whose first word says so. What the guest writes stays in the machine's memory;
at the end of the run Undercroft sends the changed blocks of disks that are to be saved through a
debug console port, which QEMU writes to a file. The format of that stream is described in
monitor/devices/disk_save.hpp. A disk's file is replaced as a whole, or left as it was.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import struct
import tempfile
import zlib

from . import bochs, guests, paths, progress
from .errors import CroftError

KINDS = ("virtio", "ata", "cdrom")
SAVE_PORT = 0x5E9  # not 0x402, where QEMU's BIOS and OVMF write their own messages
BLOCK = 4096
RECORD = struct.Struct("<4sIIII")
MAGIC = b"UDSK"
END = 0xFFFFFFFF
LARGEST = 2 << 30


@dataclasses.dataclass(frozen=True)
class Disk:
    """One --disk: its file, its controller, and whether changes are given back."""

    file: pathlib.Path
    kind: str = "virtio"
    save: bool = False

    @property
    def arguments(self):
        """The boot module's command line."""
        return f"undercroft.disk={self.kind}" + (",save" if self.save else "")


def parse(text):
    """FILE[,virtio|ata|cdrom][,save] as a Disk. The file is checked."""
    words = text.split(",")
    kind, save = "virtio", False
    while len(words) > 1 and (words[-1] in KINDS or words[-1] == "save"):
        word = words.pop()
        if word == "save":
            save = True
        else:
            kind = word
    file = pathlib.Path(",".join(words))
    if not file.is_file():
        form = "the form is FILE[,virtio|ata|cdrom][,save]"
        name, _, word = str(file).rpartition(",")
        if pathlib.Path(name).is_file():
            raise CroftError(f"--disk {text}: {word!r} is neither a kind of disk nor save", form)
        raise CroftError(f"--disk {text}: {file}: no such file", form)
    if kind == "cdrom" and save:
        raise CroftError(f"--disk {text}: a cdrom cannot be written, so there is nothing to save")
    size, unit = file.stat().st_size, 2048 if kind == "cdrom" else 512
    if size == 0 or size % unit:
        raise CroftError(f"--disk {text}: {file} has {size} bytes, which is no multiple of {unit}",
                         f"truncate -s %{unit} {file} fills it up with zeros" if size else None)
    if size > LARGEST:
        raise CroftError(f"--disk {text}: {file} is larger than 2 GB: disks are kept in memory")
    if save and not os.access(file, os.W_OK):
        raise CroftError(f"--disk {text}: {file} cannot be written")
    return Disk(file.absolute(), kind, save)


def parse_all(texts):
    disks = [parse(text) for text in texts]
    if sum(disk.kind == "virtio" for disk in disks) > 4:
        raise CroftError("--disk: at most 4 disks of kind virtio")
    if sum(disk.kind != "virtio" for disk in disks) > 4:
        raise CroftError("--disk: at most 4 disks of kinds ata and cdrom together")
    saved = [disk.file for disk in disks if disk.save]
    if len(set(saved)) != len(saved):
        raise CroftError("--disk: a file is to be saved twice")
    return disks


def linux_devices(disks):
    """The names under /dev that Linux gives the disks, in their order."""
    letters = {"virtio": iter("abcd"), "ata": iter("abcd"), "cdrom": iter("0123")}
    prefixes = {"virtio": "vd", "ata": "sd", "cdrom": "sr"}
    return [prefixes[disk.kind] + next(letters[disk.kind]) for disk in disks]


def megabytes(disks):
    """What the disks need of the machine's memory beside the guest's."""
    return sum((disk.file.stat().st_size + (1 << 20) - 1) >> 20 for disk in disks)


def modules(disks):
    """The boot modules that the disks are."""
    return [guests.Module(disk.file, disk.arguments) for disk in disks]


def with_drivers(guest, prepared, disks, always):
    """A Linux guest of the catalogue with the drivers that its disks need, or with all of them."""
    if not isinstance(guest, guests.DebianLinux) or not (disks or always):
        return prepared
    kinds = set(KINDS) if always else {disk.kind for disk in disks}
    return guest.with_drivers(prepared, kinds, linux_devices(disks))


def _any_saved(disks):
    return any(disk.save for disk in disks)


def monitor_option(disks):
    return f"save={SAVE_PORT:#x}" if _any_saved(disks) else ""


def check_image(disks, bare):
    """Refuses what an image for a machine of the user's cannot do."""
    if bare and disks:
        raise CroftError("--bare and --disk: an image for the bare machine holds no disks")
    if _any_saved(disks):
        raise CroftError("--disk: save needs croft run: an image has no way to give changes back")


def of_bochs(disks, bare):
    """The disk that Bochs' machine itself has, if any. Refuses what cannot be."""
    if _any_saved(disks):
        raise CroftError("--machine bochs takes --disk without save only")
    if not bare or not disks:
        return None
    whole = disks[0].file.stat().st_size % bochs.CYLINDER == 0
    if len(disks) != 1 or disks[0].kind != "ata" or not whole:
        raise CroftError("--machine bochs with --bare takes one --disk of kind ata, of a multiple of "
                         f"{bochs.CYLINDER // 1024} KB")
    return disks[0].file


def _stream():
    return paths.LOGS / f"save-{os.getpid()}.stream"


def machine_words(disks, bare, boot):
    """QEMU's words around the disks: the way back, or on the bare machine the disks themselves."""
    if bare:
        return _bare_words(disks, boot)
    if not _any_saved(disks):
        return []
    return ["-chardev", f"file,id=save,path={_stream()}",
            "-device", f"isa-debugcon,iobase={SAVE_PORT:#x},chardev=save"]


def _bare_words(disks, boot):
    """The same disks with the same controllers and places, as QEMU's own."""
    words, virtio = [], 0
    free = {"ata": [0, 1, 2, 3], "cdrom": [2, 3, 0, 1]}
    for number, disk in enumerate(disks):
        name = str(disk.file).replace(",", ",,")
        drive = f"if=none,id=disk{number},format=raw,file={name}"
        if disk.kind == "cdrom":
            drive += ",media=cdrom,readonly=on"
        elif not disk.save:
            drive += ",snapshot=on"
        words += ["-drive", drive]
        if disk.kind == "virtio":
            device = (f"virtio-blk-pci,disable-modern=on,addr={5 + virtio},"
                      f"serial=undercroft-{number}")
            virtio += 1
        else:
            kind = "ide-cd" if disk.kind == "cdrom" else "ide-hd"
            place = free[disk.kind][0]
            for places in free.values():
                places.remove(place)
            if place == 2 and boot == "grub":
                raise CroftError(f"--bare: the CD that GRUB boots from stands in the place of {disk.file}",
                                 "with --boot kernel there is none")
            device = f"{kind},bus=ide.{place // 2},unit={place % 2}"
        words += ["-device", f"{device},drive=disk{number}"]
    return words


def records(stream):
    """The stream's records as (disk, block, bytes). One that is not whole is an error by name."""
    place, count = 0, 0
    while place < len(stream):
        if len(stream) - place < RECORD.size:
            raise CroftError(f"the stream ends within record {count}")
        magic, disk, block, size, check = RECORD.unpack_from(stream, place)
        data = stream[place + RECORD.size:place + RECORD.size + size]
        if magic != MAGIC or size > BLOCK:
            raise CroftError(f"record {count} is none")
        if len(data) != size:
            raise CroftError(f"the stream ends within record {count}")
        if zlib.crc32(data, zlib.crc32(stream[place:place + 16])) != check:
            raise CroftError(f"the check sum of record {count} is wrong")
        place += RECORD.size + size
        if disk == END:
            if block != count or place != len(stream):
                raise CroftError(f"the stream has {count} records, its end says {block}")
            return
        yield disk, block, data
        count += 1
    raise CroftError("the stream has no end: the run was broken off")


def _write_anew(disk, changes, new):
    """Writes the disk's contents with the changed blocks to the file object `new`."""
    size = disk.file.stat().st_size
    with disk.file.open("rb") as old:
        shutil.copyfileobj(old, new, 1 << 20)
    for block, data in changes:
        if block * BLOCK + len(data) > size:
            raise CroftError(f"block {block} is beyond the end of {disk.file}")
        new.seek(block * BLOCK)
        new.write(data)
    new.flush()
    os.fsync(new.fileno())


def _replace(changes):
    """{disk: its changed blocks}: first all files anew, then each in the old one's place."""
    with contextlib.ExitStack() as leftovers:
        names = {}
        for disk, blocks in changes.items():
            handle, name = tempfile.mkstemp(prefix=disk.file.name + ".", dir=disk.file.parent)
            leftovers.callback(pathlib.Path(name).unlink, missing_ok=True)
            with os.fdopen(handle, "r+b") as new:
                _write_anew(disk, blocks, new)
            shutil.copymode(disk.file, name)
            names[disk] = name
        for disk, name in names.items():
            os.replace(name, disk.file)


@contextlib.contextmanager
def given_back(disks):
    """Around a run: what the guest has changed on disks that are to be saved is in their files then."""
    stream = _stream()
    if _any_saved(disks):
        stream.parent.mkdir(parents=True, exist_ok=True)
        stream.unlink(missing_ok=True)
    try:
        yield
    finally:
        save(disks, stream)


def save(disks, stream):
    """Puts what the file `stream` holds into the disks' files: all of it, or nothing."""
    wanted = {number: disk for number, disk in enumerate(disks) if disk.save}
    if not wanted:
        return
    names = ", ".join(str(disk.file) for disk in wanted.values())
    try:
        changes = {number: [] for number in wanted}
        for number, block, data in records(stream.read_bytes() if stream.exists() else b""):
            if number not in wanted:
                raise CroftError(f"a record is of disk {number}, which is not to be saved")
            changes[number].append((block, data))
        _replace({disk: changes[number] for number, disk in wanted.items() if changes[number]})
    except (CroftError, OSError) as error:
        raise CroftError(f"nothing was saved, and {names} is as it was: {error}",
                         f"what came is in {stream}") from None
    for number, disk in wanted.items():
        count = len(changes[number])
        progress.say(f"{disk.file}: {count} block{'' if count == 1 else 's'} of 4 KB saved")
    stream.unlink(missing_ok=True)
