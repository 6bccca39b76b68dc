"""The firmware of QEMU's machine: its BIOS, or UEFI (OVMF) of 32 or of 64 bits.

64-bit firmware needs a 64-bit processor and the QEMU that has one. Undercroft is the same 32-bit
code on all of them.
"""

import dataclasses

from .errors import CroftError

_OVMF32 = "/usr/share/OVMF/OVMF32_CODE_4M.secboot.fd"
_OVMF32_VARIABLES = "/usr/share/OVMF/OVMF32_VARS_4M.fd"
_OVMF64 = "/usr/share/ovmf/OVMF.fd"


@dataclasses.dataclass(frozen=True)
class Firmware:
    emulator: str
    cpu: str
    words: tuple = ()
    is_bios: bool = False


# No VT-x, no SVM: a Pentium III, interpreted by TCG; where that is not enough, the plainest 64-bit
# processor. The 32-bit OVMF of Debian is built for secure boot alone, which asks for SMM.
KINDS = {
    "bios": Firmware("qemu-system-i386", "pentium3", is_bios=True),
    "uefi32": Firmware(
        "qemu-system-i386", "pentium3",
        ("-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
         "-drive", f"if=pflash,format=raw,readonly=on,file={_OVMF32}",
         "-drive", f"if=pflash,format=raw,snapshot=on,file={_OVMF32_VARIABLES}")),
    "uefi64": Firmware("qemu-system-x86_64", "qemu64,-svm", ("-machine", "q35", "-bios", _OVMF64)),
}
NAMES = tuple(KINDS)


def check(name, boot, machine):
    """Refuses what cannot be: UEFI boots from an image, and Bochs has a BIOS alone."""
    if name != "bios" and (boot == "kernel" or machine == "bochs"):
        raise CroftError(f"--firmware {name} goes with QEMU and --boot grub")
