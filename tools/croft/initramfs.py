"""The Linux guest's user space: BusyBox, a first process, device nodes and perhaps kernel modules."""

import gzip

from . import cpio, paths

TOOLS = paths.ROOT / "tools" / "croft"


def build(busybox, modules=(), devices=()):
    """The gzipped initramfs around the program `busybox` (bytes). Same input, same bytes.

    The first process loads `modules`, [(file name, contents)], in this order, and waits for the
    devices (/dev/NAME) that come of it.
    """
    archive = cpio.Archive()
    for folder in ("bin", "dev", "croft"):
        archive.folder(folder)
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/ttyS0", 4, 64)
    archive.character_device("dev/null", 1, 3, 0o666)
    archive.file("bin/busybox", busybox, 0o755)
    archive.file("init", (TOOLS / "init.sh").read_bytes(), 0o755)
    archive.file("croft/poweroff", (TOOLS / "poweroff.sh").read_bytes(), 0o755)
    if modules:
        archive.folder("croft/modules")
        for name, contents in modules:
            archive.file(f"croft/modules/{name}", contents)
        archive.file("croft/load", "".join(f"{name}\n" for name, _ in modules).encode())
        archive.file("croft/devices", "".join(f"{name}\n" for name in devices).encode())
    return gzip.compress(archive.data(), 6 if modules else 9, mtime=0)
