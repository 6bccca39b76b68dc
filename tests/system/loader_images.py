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

    def bzimage(self, version, **fields):
        """A bzImage of that protocol version; `fields` are those of BZIMAGE_FIELDS, or header_end."""
        setup = bytearray(3 * 512)
        values = {"setup_sects": 2, "boot_flag": 0xAA55, "jump": 0xEB, "loadflags": 1,
                  "header_end": 0x26C, "version": version, "code32_start": LINKED_AT,
                  "initrd_addr_max": 0x7FFFFFFF, "kernel_alignment": 0x100000, "cmdline_size": 255,
                  "pref_address": LINKED_AT, "init_size": 0x80000, **fields}
        struct.pack_into("4s", setup, 0x202, b"HdrS")
        setup[0x201] = values.pop("header_end") - 0x202
        # The entry, at the kernel's beginning: mov $"LINX", %eax; mov %esi, %ebx; jmp start
        jump = self.entry - (LINKED_AT + 12)
        start = struct.pack("<BIHBi", 0xB8, 0x584E494C, 0xF389, 0xE9, jump)
        image = bytearray(self.flat_with(start).ljust(self.memory_bytes, b"\0"))
        values["syssize"] = (len(image) + 15) // 16
        for name, value in values.items():
            at, form = BZIMAGE_FIELDS[name]
            struct.pack_into(form, setup, at, value)
        return bytes(setup + image)


# Offsets and widths of setup header fields.
BZIMAGE_FIELDS = {
    "setup_sects": (0x1F1, "<B"), "syssize": (0x1F4, "<I"), "boot_flag": (0x1FE, "<H"),
    "jump": (0x200, "<B"), "version": (0x206, "<H"), "loadflags": (0x211, "<B"),
    "code32_start": (0x214, "<I"), "initrd_addr_max": (0x22C, "<I"),
    "kernel_alignment": (0x230, "<I"), "relocatable_kernel": (0x234, "<B"),
    "min_alignment": (0x235, "<B"), "cmdline_size": (0x238, "<I"), "pref_address": (0x258, "<Q"),
    "init_size": (0x260, "<I"),
}


def bzimages(kernel):
    """{name: image} of Linux kernels that GRUB boots."""
    return {
        "2.03": kernel.bzimage(0x203, header_end=0x230, initrd_addr_max=0x37FFFFFF),
        "2.08": kernel.bzimage(0x208, header_end=0x250),
        "2.10 that cannot move": kernel.bzimage(0x20A, header_end=0x264, pref_address=0x1000000),
        "2.12 that moves": kernel.bzimage(0x20C, header_end=0x268, relocatable_kernel=1),
        "2.15 with a low initrd": kernel.bzimage(0x20F, relocatable_kernel=1,
                                                 initrd_addr_max=0x1FFFFFF),
    }


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
