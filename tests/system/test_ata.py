"""Twin runs with disks on the IDE controller: the bare machine gets the same image from QEMU."""

import pytest

import test_guests
from test_guests import bare, compare, hosted

SECTORS = 5000


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """5000 sectors, each unlike the others."""
    path = tmp_path_factory.mktemp("disk") / "image"
    path.write_bytes(b"".join((i * 2654435761 % 2**32).to_bytes(4, "little") * 128
                              for i in range(SECTORS)))
    return path


def drive(image, index, more=""):
    return "-drive", f"file={image},format=raw,if=ide,index={index},snapshot=on{more}"


@pytest.fixture(scope="module")
def bare_disk(image):
    return bare("ata", "disk", cpu=drive(image, 0))


def test_bare_disk(bare_disk):
    status, transcript, text = bare_disk
    assert transcript[-1:] == ["| ata: passed"], text
    assert status == test_guests.PASSED, text


@pytest.mark.hosted
@pytest.mark.parametrize("options", ["", "engine=interpret"])
def test_twin_with_a_disk(image, bare_disk, options):
    compare(bare_disk, hosted("ata", options, "disk", [f"{image} undercroft.disk=ata"]))


@pytest.mark.hosted
def test_twin_with_a_cdrom(image):
    expected = bare("ata", "cdrom", cpu=drive(image, 2, ",media=cdrom"))
    assert expected[1][-1:] == ["| ata: passed"], expected[2]
    compare(expected, hosted("ata", "", "cdrom", [f"{image} undercroft.disk=cdrom"]))


@pytest.mark.hosted
def test_twin_of_the_ide_functions_range(image):
    expected = bare("pci", "ide", cpu=drive(image, 0))
    assert expected[1][-1:] == ["| pci: passed"], expected[2]
    compare(expected, hosted("pci", "", "ide", [f"{image} undercroft.disk=ata"]))
