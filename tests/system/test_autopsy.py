"""The report on a guest that was stopped: two kernels of a few bytes, one that triple-faults and one
that the watchdog ends. Exit statuses tell them apart."""

import re
import struct

import pytest

from test_guests import boot

BASE, ENTRY = 0x100000, 0x100020
TRIPLE_FAULT, STOPPED = 0x12 * 2 + 1, 0x13 * 2 + 1
UNMAPPED = 0x00801234


def kernel(code):
    """A multiboot 1 image with address fields, which runs `code`."""
    magic, flags = 0x1BADB002, 1 << 16
    header = struct.pack("<8I", magic, flags, -(magic + flags) & 0xFFFFFFFF, BASE, BASE, 0, 0,
                         ENTRY)
    return header + code + bytes(0x2000 - len(header) - len(code))


def little(value):
    return struct.pack("<I", value)


# Paging with one page table that maps the first 4 MB; an IDT without gates; then a read of what is
# not mapped.
PAGE_FAULT = b"".join([
    b"\xbc" + little(0x90000),                                # mov esp, stack
    b"\xbf" + little(0x200000), b"\x31\xc0",                  # mov edi, directory; xor eax, eax
    b"\xb9" + little(2048), b"\xfc\xf3\xab",                  # mov ecx, 2048; cld; rep stosd
    b"\xc7\x05" + little(0x200000) + little(0x201003),        # directory[0] = table
    b"\xbf" + little(0x201000), b"\xb8" + little(3),          # mov edi, table; mov eax, 3
    b"\xab\x05" + little(0x1000),                             # stosd; add eax, 4096
    b"\x3d" + little(0x400003), b"\x75\xf3",                  # cmp eax, 4 MB + 3; jne stosd
    b"\xb8" + little(0x200000), b"\x0f\x22\xd8",              # mov cr3, directory
    b"\x0f\x20\xc0\x0d" + little(0x80000000), b"\x0f\x22\xc0",  # paging on
    b"\x0f\x01\x1d" + little(BASE + 0x1000),                  # lidt: limit 0
    b"\xbb" + little(0x5EED5EED),                             # mov ebx, a number to be found
    b"\xa1" + little(UNMAPPED),                               # mov eax, [unmapped]
])
# Spins without interrupts, which is nothing wrong, but what the watchdog is for.
SPINNING = b"".join([
    b"\xbc" + little(0x90000),       # mov esp, stack
    b"\xbb" + little(0x5EED5EED),    # mov ebx, a number to be found
    b"\xfa\xeb\xfe",                 # cli; jmp to itself
])


def run(tmp_path, code, options):
    image = tmp_path / "image"
    image.write_bytes(kernel(code))
    status, _, text = boot([str(image)], options)
    return status, text


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "engine=interpret"])
def test_triple_fault(tmp_path, options):
    status, text = run(tmp_path, PAGE_FAULT, options)
    assert status == TRIPLE_FAULT, text
    assert "triple fault of the guest" in text
    assert f"to be delivered: vector 14 error code 0x0 address {UNMAPPED:#010x}" in text
    # #GP for the gate that is not there, then again for that of #DF
    faults = re.findall(r"fault (\d): vector (\d+) error code (\S+) address (\S+)", text)
    assert [(n, vector) for n, vector, _, _ in faults[:2]] == [("0", "13"), ("1", "13")], text
    eip = ENTRY + len(PAGE_FAULT) - 5
    assert f"eip {eip:#010x}" in text
    assert "ebx 0x5eed5eed" in text
    assert f"cr2 {UNMAPPED:#010x}" in text
    assert re.search(rf"page walk of {eip:#010x}: \[0x00200000\] = 0x002010\S+ "
                     rf"\[0x00201\S+\] = 0x00100\S+ -> {eip:#010x}", text), text
    assert re.search(rf"page walk of {UNMAPPED:#010x}: \[0x00200008\] = 0x00000000 not present",
                     text), text
    assert re.search(r"code 0xa1 0x34 0x12 0x80 0x00", text), text
    last = "instructions interpreted, newest last" if options else f"guest eip {eip:#010x}"
    assert last in text, text


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "engine=interpret"])
def test_guest_that_is_stopped(tmp_path, options):
    status, text = run(tmp_path, SPINNING, f"watchdog=1 {options}")
    assert status == STOPPED, text
    assert "the guest was stopped: the watchdog" in text
    eip = ENTRY + len(SPINNING) - 2
    assert f"eip {eip:#010x}" in text
    assert "ebx 0x5eed5eed" in text
    assert "code 0xeb 0xfe" in text
    if options:
        assert re.search(r"instructions interpreted, newest last:(\s+0x\S+:0x\S+)+", text), text
