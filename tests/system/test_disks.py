"""Disks of the guest: the test kernel of the virtio block device against QEMU's own device, and what
Undercroft refuses.
"""

import pytest

from test_guests import FOLDER, PASSED, bare, boot, compare, run

BARE_DISK = ["-device", "virtio-blk-pci,disable-modern=on,addr=5,drive=disk,serial=undercroft-0"]


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """300 sectors; byte i of sector n is n + i."""
    file = tmp_path_factory.mktemp("disk") / "disk.img"
    file.write_bytes(b"".join(bytes(n + i & 255 for i in range(512)) for n in range(300)))
    return file


@pytest.fixture(scope="module")
def expected(disk):
    drive = ["-drive", f"if=none,id=disk,format=raw,file={disk},snapshot=on", *BARE_DISK]
    result = run(["-m", "64", "-kernel", str(FOLDER / "virtio_block.elf"), "-append", "disk", *drive],
                 60)
    assert result[0] == PASSED and len(result[1]) > 30, result[2]
    return result


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "engine=interpret", "withdraw=every:5", "memory=lazy"])
def test_virtio_block_twin(disk, expected, options):
    before = disk.read_bytes()
    modules = [f"{FOLDER / 'virtio_block.elf'} disk", f"{disk} undercroft.disk=virtio"]
    compare(expected, boot(modules, options, 240))
    assert disk.read_bytes() == before


@pytest.mark.hosted
@pytest.mark.parametrize("size, words, options, message", [
    (512, "scsi", "", "neither virtio, ata nor cdrom"),
    (512, "virtio,,keep", "", "unknown option"),
    (513, "virtio", "", "not a multiple of 512"),
    (512, "cdrom", "", "not a multiple of 2048"),
    (512, "virtio", "machine=isa", "kind virtio needs machine=pc"),
    (512, "virtio,,save", "", "save=PORT is not given"),
    (512, "virtio,,save", "save=0x5e9", "no debug console answers"),
])
def test_refusals(tmp_path, size, words, options, message):
    file = tmp_path / "disk"
    file.write_bytes(bytes(size))
    status, _, text = boot([f"{FOLDER / 'hello.elf'}", f"{file} undercroft.disk={words}"], options)
    assert status == 0x14 * 2 + 1 and message in text, text


@pytest.mark.hosted
def test_a_disk_is_not_one_of_the_guests_modules(tmp_path, disk):
    other = tmp_path / "other"
    other.write_bytes(b"other" * 100)
    expected = bare("modules", "", (f"{other} words",))
    compare(expected, boot([f"{FOLDER / 'modules.elf'}", f"{disk} undercroft.disk=virtio",
                            f"{other} words"]))
