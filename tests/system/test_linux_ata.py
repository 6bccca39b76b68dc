"""Debian's Linux with an ATA disk and a CD-ROM on the IDE controller: by DMA, and with the processor
moving every word.
"""

import hashlib
import os
import subprocess

import pytest

from conftest import faults_in

# What the guest does: copies a file on the disk and another from the CD-ROM to it.
USE = ("mkdir /disk /cd && mount -t ext4 /dev/sda /disk && mount -t iso9660 -o ro /dev/sr0 /cd && "
       "sha256sum /disk/first && cp /disk/first /disk/copy && cp /cd/second /disk/second && sync && "
       "umount /disk && mount -t ext4 -o ro /dev/sda /disk && sha256sum /disk/copy /disk/second && "
       "umount /disk && umount /cd; cat /sys/class/ata_device/dev1.0/xfer_mode; dmesg")


pytestmark = pytest.mark.long


@pytest.fixture
def media(tmp_path):
    """(disk with an ext4 file system, CD-ROM, contents of the file on each)."""
    contents = os.urandom(2_000_000), os.urandom(500_000)
    folders = tmp_path / "of disk", tmp_path / "of cd"
    for folder, name, data in zip(folders, ("first", "second"), contents):
        folder.mkdir()
        (folder / name).write_bytes(data)
    disk, disc = tmp_path / "disk.img", tmp_path / "cd.iso"
    with open(disk, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", folders[0], disk], check=True)
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-o", disc, folders[1]], check=True,
                   stderr=subprocess.DEVNULL)
    return disk, disc, contents


@pytest.mark.parametrize("words, mode", [("", "XFER_MW_DMA_2"), ("libata.dma=0", "XFER_PIO_4")])
def test_disk_and_cdrom(croft, media, words, mode):
    disk, disc, contents = media
    result = croft.execute(USE, "--disk", f"{disk},ata,save", "--disk", f"{disc},cdrom", "--append",
                           words, timeout=900)
    assert result.returncode == 0, result.stdout + result.stderr
    sums = [hashlib.sha256(data).hexdigest() for data in contents]
    told = [line.split()[0] for line in result.stdout.splitlines()[:3]]
    assert told == [sums[0], sums[0], sums[1]], result.stdout
    assert mode in result.stdout.splitlines(), result.stdout
    assert "sr 1:0:0:0: " in result.stdout and "sd 0:0:0:0: [sda] 32768 512-byte" in result.stdout
    assert faults_in(result.stdout) == []

    check = subprocess.run(["/sbin/e2fsck", "-fn", disk], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout
    for name, data in (("copy", contents[0]), ("second", contents[1])):
        found = subprocess.run(["/sbin/debugfs", "-R", f"cat /{name}", disk], capture_output=True,
                               check=True).stdout
        assert found == data, name
