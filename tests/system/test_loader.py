"""What a kernel is told at its start: by GRUB on the bare machine, and by Undercroft after GRUB.

The kernel is tests/loader/boot_report.cpp, with a header of every kind. Where things lie and how much
memory there is are not compared; what the guest's PC has not, is not told of (NOT_THERE).
"""

import re
import subprocess

import pytest

import grub_boots
import loader_images
import transcripts
from transcripts import ROOT

WORDS = "a=1 b=2 'three  words' \"quo'te\""
MODULES = {"one": bytes(range(256)) * 17, "two": b"x"}
ARGUMENTS = {"one": "first 'with  words'", "two": ""}
PASSED, REFUSED = 65, 0x14 * 2 + 1

# GRUB tells of no sections where a kernel is loaded by an address tag. No disk BIOS (5: boot device), no VBE (7), no APM (10). ACPI's RSDP is that of 2.0, which comes twice
# (15), while QEMU's is that of 1.0.
NOT_THERE = re.compile(r"\| (tag (5|7|10|15) of|vbe mode|sections of 0 bytes|0 sections)")
NOT_THERE_FLAGS = 0x802


class Loaders:
    """GRUB with a kernel as its own, and with Undercroft between the two."""

    def __init__(self, folder):
        self.folder = folder
        self.cd = grub_boots.make_cd(folder)
        stripped = folder / "undercroft"
        subprocess.run(["objcopy", "--strip-debug", str(ROOT / "build" / "undercroft.elf"),
                        str(stripped)], check=True)
        self.monitor = stripped.read_bytes()

    def _boot(self, image, first_line, module, modules, memory):
        files = {"kernel": image, **{name: MODULES[name] for name in modules}}
        lines = [first_line, *(f"{module} (hd0)/{name} {ARGUMENTS[name]}" for name in modules)]
        if "undercroft" in first_line:
            files["undercroft"] = self.monitor
        return grub_boots.boot(self.folder, self.cd, files, "\n".join(lines), memory)

    def bare(self, image, version, modules=tuple(MODULES), megabytes=64):
        digit = "2" if version == "2" else ""
        return self._boot(image, f"multiboot{digit} (hd0)/kernel {WORDS}", f"module{digit}", modules,
                          megabytes)

    def bare_linux(self, image):
        script = f"linux (hd0)/kernel {WORDS}\ninitrd (hd0)/one"
        return grub_boots.boot(self.folder, self.cd, {"kernel": image, "one": MODULES["one"]}, script, 64)

    def hosted(self, image, modules=tuple(MODULES), megabytes=64):
        first = f"multiboot2 (hd0)/undercroft mem={megabytes}M\nmodule2 (hd0)/kernel {WORDS}"
        return self._boot(image, first, "module2", modules, 128 + megabytes * 3 // 2)


@pytest.fixture(scope="module")
def loaders(tmp_path_factory):
    return Loaders(tmp_path_factory.mktemp("loader"))


KERNEL = loader_images.Kernel(ROOT / "build" / "loader" / "boot_report.elf")
CASES = loader_images.cases(KERNEL)
BZIMAGES = loader_images.bzimages(KERNEL)
REFUSALS = loader_images.refused(KERNEL)
QUICK = {"1 ELF", "1 virtual entry", "1 address fields before ELF", "2 ELF", "2 address tag",
         "2 all tags", "2.03", "2.12 that moves", "1 unknown wish", "2 unknown information"}


def each(names):
    """For parametrize: all of them, but only some without --all."""
    return [pytest.param(name, marks=[] if name in QUICK else pytest.mark.long) for name in names]


def report(text):
    """The lines of the kernel, without what the guest's PC has not. GRUB's last line, without an end,
    may stand before the first."""
    lines = transcripts.lines_of(text[text.index("| boot_report: begins"):])
    flags = re.compile(r"(?<=\| flags )\w+")
    return [flags.sub(lambda found: f"{int(found.group(), 16) & ~NOT_THERE_FLAGS:x}", line)
            for line in lines if not NOT_THERE.match(line)]


def compare(bare, hosted):
    status, text = bare
    assert status == PASSED, text
    expected = report(text)
    status, text = hosted
    transcripts.assert_equal(expected, report(text), "GRUB", text)
    assert status == PASSED, text
    return expected


@pytest.mark.hosted
@pytest.mark.parametrize("name", each(CASES))
def test_a_kernel_is_told_what_grub_tells_it(name, loaders):
    megabytes = 256 if "224 MB" in name else 64
    bare = loaders.bare(CASES[name], name[0], megabytes=megabytes)
    expected = compare(bare, loaders.hosted(CASES[name], megabytes=megabytes))
    assert sum(line.startswith("| module of") for line in expected) == 2


@pytest.mark.hosted
@pytest.mark.parametrize("name", ["1 ELF", pytest.param("2 ELF", marks=pytest.mark.long)])
def test_a_kernel_without_modules_is_told_so(name, loaders):
    bare = loaders.bare(CASES[name], name[0], modules=())
    expected = compare(bare, loaders.hosted(CASES[name], modules=()))
    assert not any(line.startswith("| module of") for line in expected)


@pytest.mark.hosted
@pytest.mark.parametrize("name", each(BZIMAGES))
def test_a_linux_kernel_is_told_what_grub_tells_it(name, loaders):
    image = BZIMAGES[name]
    expected = compare(loaders.bare_linux(image), loaders.hosted(image, modules=("one",)))
    assert any(line.startswith("| initrd of 4352 bytes") for line in expected)


@pytest.mark.hosted
@pytest.mark.parametrize("name", each(REFUSALS))
def test_a_kernel_that_grub_refuses_is_refused(name, loaders):
    image, field = REFUSALS[name]
    _, text = loaders.bare(image, name[0])
    assert "GRUB is back" in text and "| boot_report" not in text, text
    status, text = loaders.hosted(image)
    assert re.search(rf"undercroft: guest: .*{field}", text), text
    assert status == REFUSED, text
