#!/usr/bin/env python3
"""Writes the executable sections of a Linux kernel, uncompressed, for decoder_text.

usage: extract_kernel_text.py BZIMAGE|DEB OUTPUT_DIRECTORY

Takes a bzImage, or a Debian linux-image package that holds one. Finds the compressed payload by the
boot protocol's fields (Linux, Documentation/arch/x86/boot.rst: setup_sects, payload_offset,
payload_length) and writes each section of the ELF32 image in it that is loaded and executable, as
OUTPUT_DIRECTORY/NAME.bin. Prints the files that it has written.
"""

import gzip
import lzma
import pathlib
import struct
import subprocess
import sys
import tempfile

SECTION_IS_LOADED_CODE = 0x2 | 0x4  # SHF_ALLOC | SHF_EXECINSTR
SECTION_HAS_NO_BYTES = 8  # SHT_NOBITS


def read_kernel(path):
    data = path.read_bytes()
    if not data.startswith(b"!<arch>"):
        return data
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["dpkg-deb", "-x", str(path), directory], check=True)
        (kernel,) = pathlib.Path(directory).glob("boot/vmlinuz-*")
        return kernel.read_bytes()


def payload(image):
    if image[0x202:0x206] != b"HdrS":
        sys.exit("not a bzImage: no HdrS at 0x202")
    setup_size = ((image[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    return image[setup_size + offset : setup_size + offset + length]


def decompress(data):
    if data.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data[:-4])  # the build appends the size
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE).stdout
    if data.startswith(b"\x7fELF"):
        return data
    sys.exit(f"unknown compression: {data[:6].hex()}")


def code_sections(elf):
    if elf[:6] != b"\x7fELF\x01\x01":
        sys.exit("the payload is no little-endian ELF32")
    (table,) = struct.unpack_from("<I", elf, 0x20)
    size, count, names_index = struct.unpack_from("<HHH", elf, 0x2E)
    headers = [struct.unpack_from("<10I", elf, table + i * size) for i in range(count)]
    names = headers[names_index][4]
    for name, kind, flags, _, offset, length, *_ in headers:
        code = flags & SECTION_IS_LOADED_CODE == SECTION_IS_LOADED_CODE
        if code and kind != SECTION_HAS_NO_BYTES:
            end = elf.index(b"\0", names + name)
            yield elf[names + name : end].decode(), elf[offset : offset + length]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    output = pathlib.Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    for name, data in code_sections(decompress(payload(read_kernel(pathlib.Path(sys.argv[1]))))):
        path = output / (name.lstrip(".") + ".bin")
        path.write_bytes(data)
        print(path, len(data))


main()
