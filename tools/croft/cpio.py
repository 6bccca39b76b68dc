"""Writes cpio archives in the "newc" form that Linux takes as an initramfs.

Needs neither root nor mknod: device nodes are only entries here. Layout: the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import stat


class Archive:
    """Collects entries; `data()` is the finished archive. Equal entries give equal bytes."""

    def __init__(self):
        self._entries = []

    def _add(self, name, mode, content=b"", device=(0, 0)):
        self._entries.append(_entry(len(self._entries) + 1, name, mode, content, device))

    def folder(self, name, permissions=0o755):
        self._add(name, stat.S_IFDIR | permissions)

    def file(self, name, content, permissions=0o644):
        self._add(name, stat.S_IFREG | permissions, content)

    def character_device(self, name, major, minor, permissions=0o600):
        self._add(name, stat.S_IFCHR | permissions, device=(major, minor))

    def data(self):
        return b"".join(self._entries) + _entry(0, "TRAILER!!!", 0)


def _entry(inode, name, mode, content=b"", device=(0, 0)):
    # inode, mode, uid, gid, links, mtime, size, device (2), the node's device (2), name size, check
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name.encode() + b"\0") + _padded(content)


def _padded(piece):
    return piece + b"\0" * (-len(piece) % 4)
