"""Disks of the guest without a machine: what --disk takes, and the stream by which changes come back."""

import pathlib
import sys
import zlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from croft import disks, errors, initramfs, kernel_modules  # noqa: E402


@pytest.fixture
def file(tmp_path):
    place = tmp_path / "disk.img"
    place.write_bytes(bytes(3 * 4096 + 512))
    return place


@pytest.mark.parametrize("words, kind, save", [
    ("", "virtio", False), (",virtio", "virtio", False), (",ata", "ata", False),
    (",save", "virtio", True), (",ata,save", "ata", True), (",save,ata", "ata", True)])
def test_what_disk_takes(file, words, kind, save):
    disk = disks.parse(f"{file}{words}")
    assert (disk.file, disk.kind, disk.save) == (file, kind, save)
    assert disk.arguments == f"undercroft.disk={kind}" + (",save" if save else "")


def test_what_is_no_disk(file, tmp_path):
    (tmp_path / "odd").write_bytes(bytes(513))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cd").write_bytes(bytes(2048))
    for text, message in ((f"{tmp_path}/none", "no such file"), (f"{file},scsi", "neither a kind of disk nor save"),
                          (f"{tmp_path}/odd", "no multiple of 512"),
                          (f"{tmp_path}/empty", "no multiple of 512"),
                          (f"{file},cdrom", "no multiple of 2048"),
                          (f"{tmp_path}/cd,cdrom,save", "cannot be written")):
        with pytest.raises(errors.CroftError, match=message):
            disks.parse(text)
    with pytest.raises(errors.CroftError, match="at most 4"):
        disks.parse_all([str(file)] * 5)
    with pytest.raises(errors.CroftError, match="twice"):
        disks.parse_all([f"{file},save", f"{file},ata,save"])


def test_names_that_linux_gives():
    every = [disks.Disk(pathlib.Path("x"), kind) for kind in
             ("ata", "virtio", "cdrom", "virtio", "ata")]
    assert disks.linux_devices(every) == ["sda", "vda", "sr0", "vdb", "sdb"]


def test_the_same_disks_on_the_bare_machine(file):
    every = [disks.Disk(file, "virtio"), disks.Disk(file, "ata", True), disks.Disk(file, "cdrom")]
    words = " ".join(disks.machine_words(every, True, "kernel"))
    assert "file=" + str(file) + ",snapshot=on" in words and words.count("snapshot") == 1
    assert "virtio-blk-pci,disable-modern=on,addr=5" in words
    assert "ide-hd,bus=ide.0,unit=0" in words and "ide-cd,bus=ide.1,unit=0" in words
    with pytest.raises(errors.CroftError, match="GRUB boots from"):
        disks.machine_words([disks.Disk(file, "ata")] * 3, True, "grub")


def record(disk, block, data):
    head = disks.RECORD.pack(disks.MAGIC, disk, block, len(data), 0)[:16]
    return head + zlib.crc32(head + data).to_bytes(4, "little") + data


WHOLE = (record(1, 0, b"a" * 4096) + record(1, 3, b"b" * 512) + record(disks.END, 2, b""))


def given(file, tmp_path, stream):
    """Saves what the stream has for the second of two disks."""
    place = tmp_path / "stream"
    place.write_bytes(stream)
    disks.save([disks.Disk(file), disks.Disk(file, "ata", True)], place)
    return place


def test_changes_come_into_the_file(file, tmp_path):
    file.chmod(0o640)
    stream = given(file, tmp_path, WHOLE)
    assert file.read_bytes() == b"a" * 4096 + bytes(8192) + b"b" * 512
    assert file.stat().st_mode & 0o777 == 0o640
    assert not stream.exists() and sorted(tmp_path.iterdir()) == [file]


BROKEN = {
    "no end": WHOLE[:-20],
    "within record": WHOLE[:4000],
    "end, cut": WHOLE[:-1],
    "nothing": b"",
    "check sum": WHOLE[:100] + b"x" + WHOLE[101:],
    "number": record(1, 0, b"a" * 4096) + record(disks.END, 2, b""),
    "noise before": b"noise" + WHOLE,
    "noise behind": WHOLE + b"noise",
    "beyond the end": record(1, 4, b"a" * 4096) + record(disks.END, 1, b""),
    "another disk": record(0, 0, b"a" * 4096) + record(disks.END, 1, b""),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_stream_changes_nothing(file, tmp_path, what):
    before = file.read_bytes()
    with pytest.raises(errors.CroftError, match="nothing was saved"):
        given(file, tmp_path, BROKEN[what])
    assert file.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [file, tmp_path / "stream"]


def test_modules_come_behind_what_they_depend_on(tmp_path):
    def module(name, *needed):
        text = f"\0name={name}\0depends={','.join(needed)}\0"
        (tmp_path / f"{name}.ko").write_bytes(text.encode())
    module("crc32c_generic")
    module("ext4", "jbd2", "crc16")
    module("jbd2")
    module("crc16")
    module("virtio_pci", "virtio", "virtio_ring")
    module("virtio", "virtio_ring")
    module("virtio_ring")
    for name in ("virtio_blk", "virtio-rng", "virtio_console"):
        module(name, "virtio")
    order = [name for name, _ in kernel_modules.in_order(tmp_path, {"virtio"})]
    assert order.index("jbd2.ko") < order.index("ext4.ko")
    assert order.index("virtio_ring.ko") < order.index("virtio.ko") < order.index("virtio_blk.ko")
    assert len(order) == len(set(order)) == 10
    (tmp_path / "jbd2.ko").unlink()
    with pytest.raises(errors.CroftError, match="jbd2, which ext4 needs"):
        kernel_modules.in_order(tmp_path, {"virtio"})


def test_an_initramfs_without_disks_has_no_modules():
    plain = initramfs.build(b"busybox")
    assert initramfs.build(b"busybox", (), ()) == plain
    assert initramfs.build(b"busybox", [("a.ko", b"1")], ["vda"]) != plain
