"""The Linux guest's user space: BusyBox, a first process and two device nodes in one archive."""

import gzip

from . import cpio, paths

TOOLS = paths.ROOT / "tools" / "croft"


def build(busybox):
    """The gzipped initramfs around the program `busybox` (bytes). Same input, same bytes."""
    archive = cpio.Archive()
    for folder in ("bin", "dev", "croft"):
        archive.folder(folder)
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/ttyS0", 4, 64)
    archive.character_device("dev/null", 1, 3, 0o666)
    archive.file("bin/busybox", busybox, 0o755)
    archive.file("init", (TOOLS / "init.sh").read_bytes(), 0o755)
    archive.file("croft/poweroff", (TOOLS / "poweroff.sh").read_bytes(), 0o755)
    return gzip.compress(archive.data(), 9, mtime=0)
