"""Debian's Linux with disks: file systems made on the host, mounted and written in the guest through
virtio and ATA, powered off, and checked on the host. One boot for each kernel.
"""

import hashlib
import random
import re
import subprocess

import pytest

from conftest import faults_in

# Runs in the guest, from the first disk. Every line that it prints is looked at below.
SCRIPT = """
mkdir /ata /cd
mount -t ext4 /dev/sda /ata && echo ata mounted
if [ -b /dev/sr0 ]; then mount -t iso9660 /dev/sr0 /cd && md5sum </cd/random; fi
md5sum <$1/random
md5sum </ata/random
dd if=/dev/zero bs=1000 count=1000 2>/dev/null | tr '\\0' x >$1/x
cat $1/random $1/x >/ata/copy
mkdir $1/many
i=0; while [ $i -lt 100 ]; do echo file $i >$1/many/$i; i=$((i+1)); done
rm $1/old
dd if=/dev/vda of=/dev/null bs=1M 2>/dev/null && echo disk read
sync
md5sum </ata/copy
head -c 4096 /dev/hwrng | gzip -1 | wc -c
cat /sys/class/misc/hw_random/rng_current
echo said by the console >/dev/hvc0
umount /ata && echo ata unmounted
dmesg | tail -n 40
"""


def file_system(folder, name, megabytes, files):
    source = folder / f"{name}.files"
    source.mkdir()
    for file, contents in files.items():
        (source / file).write_bytes(contents)
    image = folder / f"{name}.img"
    with image.open("wb") as new:
        new.truncate(megabytes << 20)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", str(source), str(image)], check=True)
    return image


def check(image):
    """The file system as its own checker sees it; nothing is repaired."""
    result = subprocess.run(["/sbin/e2fsck", "-f", "-n", str(image)], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0, result.stdout


def contents(image, name):
    return subprocess.run(["/sbin/debugfs", "-R", f"cat {name}", str(image)], capture_output=True,
                          check=True).stdout


@pytest.mark.parametrize("guest", ["linux", pytest.param("linux-pae", marks=pytest.mark.long)])
def test_file_systems_of_the_host(croft, bare, tmp_path, guest):
    some = random.Random(4).randbytes(300_001)
    digest = hashlib.md5(some).hexdigest()
    virtio = file_system(tmp_path, "virtio", 24,
                         {"random": some, "old": b"old", "check.sh": SCRIPT.encode()})
    ata = file_system(tmp_path, "ata", 16, {"random": some})
    unsaved = tmp_path / "unsaved.img"
    unsaved.write_bytes(bytes(1 << 20))
    words = ["--disk", f"{virtio},save", "--disk", f"{ata},ata,save", "--disk", f"{unsaved}"]
    if not bare:  # where GRUB's own CD is not in its place
        cd = tmp_path / "cd.iso"
        subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-o", str(cd),
                        str(tmp_path / "ata.files")], check=True, capture_output=True)
        words += ["--disk", f"{cd},cdrom"]
    result = croft.execute("mkdir /v; mount -t ext4 /dev/vda /v && sh /v/check.sh /v; umount /v; "
                           "echo lost >/dev/vdb; sync", guest, *words, timeout=600)
    lines = result.stdout.replace("\r", "").split("\n")
    assert result.returncode == 0, result.stdout + result.stderr
    text = result.stdout
    assert "ata mounted" in lines and "ata unmounted" in lines and "disk read" in lines, text
    assert sum(digest in line for line in lines) == (2 if bare else 3), text
    copy = some + b"x" * 1_000_000
    assert any(hashlib.md5(copy).hexdigest() in line for line in lines), text
    if not bare:
        assert "said by the console" in lines and "virtio_rng.0" in lines, text
        assert any(line.isdigit() and int(line) > 4096 for line in lines), text  # does not pack
        assert len(re.findall(r"blocks of 4 KB saved", result.stderr)) == 2, result.stderr
    assert not faults_in(text), text
    assert not re.search(r"I/O error|ata1.*(error|failed)|EXT4-fs error", text), text
    check(virtio)
    check(ata)
    assert contents(virtio, "/x") == copy[len(some):]
    assert contents(ata, "/copy") == copy
    assert contents(virtio, "/many/99") == b"file 99\n"
    assert contents(virtio, "/old") == b""
    assert unsaved.read_bytes() == bytes(1 << 20)


@pytest.mark.hosted
def test_a_run_that_is_broken_off_leaves_the_file(croft, tmp_path):
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    result = croft.execute("true", "--disk", f"{disk},save", timeout=4)
    assert result.returncode != 0 and "nothing was saved" in result.stderr, result.stderr
    assert disk.read_bytes() == bytes(1 << 20)
