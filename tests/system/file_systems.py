"""ext4 file systems for the guests' disks: made, looked into and checked by the host's own tools."""

import subprocess


def make(folder, name, megabytes, files):
    """folder/name.img with the `files` {name: bytes} in it."""
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
