"""Kernels for tests of loaders: build/loader/boot_report.elf with multiboot headers of every kind.

The kernel begins with an empty area, into which a header is written here; all else of the file
(ELF entry, program headers, no ELF at all) is bent as a case wants it.
"""

import struct

AREA = 512  # bytes at the start of the image; the runtime's own header follows, and is taken away
LINKED_AT = 0x100000


def header1(flags, words=()):
    """A multiboot 1 header; `words` follow the checksum."""
    magic = 0x1BADB002
    return struct.pack(f"<III{len(words)}I", magic, flags, -(magic + flags) % 2**32, *words)


def tag(kind, words=(), optional=False):
    """A tag of a multiboot 2 header; `words` are 32 bits each."""
    body = struct.pack(f"<HHI{len(words)}I", kind, int(optional), 8 + 4 * len(words), *words)
    return body + bytes(-len(body) % 8)


def header2(*tags):
    magic, body = 0xE85250D6, b"".join(tags) + tag(0)
    length = 16 + len(body)
    return struct.pack("<IIII", magic, 0, length, -(magic + length) % 2**32) + body


class Kernel:
    """The ELF file as it was built, and what can be made of it."""

    PROGRAM_HEADER = 52

    def __init__(self, path):
        self.elf = bytearray(path.read_bytes())
        self.entry, = struct.unpack_from("<I", self.elf, 24)
        kind, self.offset, self.virtual, _, self.file_bytes, self.memory_bytes = struct.unpack_from(
            "<6I", self.elf, self.PROGRAM_HEADER)
        assert kind == 1 and self.virtual == LINKED_AT

    def addresses(self, load_end=0):
        """The address fields of both versions, without the entry: header, load, end, end of bss."""
        return (LINKED_AT, LINKED_AT, load_end, LINKED_AT + self.memory_bytes)

    def elf_with(self, header, virtual=None, entry=None, kind=2, memory_bytes=None):
        """`kind` is e_type, ET_EXEC or ET_DYN."""
        image = bytearray(self.elf)
        struct.pack_into("<H", image, 16, kind)
        assert len(header) <= AREA
        image[self.offset:self.offset + AREA] = header.ljust(AREA, b"\0")
        struct.pack_into("<I", image, self.offset + AREA, 0)
        if virtual is not None:
            struct.pack_into("<I", image, self.PROGRAM_HEADER + 8, virtual)
        if entry is not None:
            struct.pack_into("<I", image, 24, entry)
        if memory_bytes is not None:
            struct.pack_into("<I", image, self.PROGRAM_HEADER + 20, memory_bytes)
        return bytes(image)

    def flat_with(self, header):
        image = self.elf_with(header)
        return image[self.offset:self.offset + self.file_bytes]


def refused(kernel):
    """{name: (image, the field that Undercroft names)}: what GRUB does not boot either."""
    entry = kernel.entry
    return {
        "1 unknown wish": (kernel.elf_with(header1(0x13)), "multiboot flags"),
        "1 entry outside": (kernel.elf_with(header1(3), entry=0x5), "e_entry"),
        "1 relocatable object": (kernel.elf_with(header1(3), kind=1), "e_type"),
        "2 unknown tag": (kernel.elf_with(header2(tag(99))), "tag type"),
        "2 unknown information": (kernel.elf_with(header2(tag(1, (1, 77)))), "mbi_tag_types"),
        "2 address tag without entry": (kernel.flat_with(header2(tag(2, kernel.addresses()))),
                                        "entry_addr"),
        "2 no room to move": (kernel.elf_with(header2(tag(10, (entry, entry + 4096, 4096, 0)))),
                              "max_addr"),
    }


def cases(kernel):
    """{name: image}: what GRUB boots. The name begins with the version of multiboot."""
    entry, high = kernel.entry, 0xC0000000
    virtual = {"virtual": LINKED_AT + high, "entry": entry + high}
    address_tag, entry_tag = tag(2, kernel.addresses()), tag(3, (entry,))
    return {
        "1 ELF": kernel.elf_with(header1(3)),
        "1 without any wish": kernel.elf_with(header1(0)),
        "1 text screen": kernel.elf_with(header1(7, (0, 0, 0, 0, 0, 1, 80, 25, 0))),
        "1 shared object": kernel.elf_with(header1(3), kind=3),
        "1 with 224 MB of bss": kernel.elf_with(header1(3), memory_bytes=224 << 20),
        "1 virtual entry": kernel.elf_with(header1(3), **virtual),
        "1 address fields before ELF": kernel.elf_with(
            header1(0x10003, (*kernel.addresses(), entry)), virtual=5, entry=high),
        "1 address fields": kernel.flat_with(header1(0x10003, (*kernel.addresses(), entry))),
        "2 ELF": kernel.elf_with(header2()),
        "2 virtual entry": kernel.elf_with(header2(), **virtual),
        "2 entry tag": kernel.elf_with(header2(entry_tag), entry=LINKED_AT),
        "2 address tag": kernel.flat_with(header2(address_tag, entry_tag)),
        "2 all tags": kernel.elf_with(header2(
            tag(1, [kind for kind in range(1, 22) if kind != 13]), tag(1, (77,), optional=True), tag(4, (2,)), tag(6), tag(7),
            tag(99, (1, 2, 3), optional=True))),
        "2 relocatable": kernel.elf_with(header2(tag(10, (LINKED_AT, 0xFFFFFFFF, 4096, 1)))),
    }
