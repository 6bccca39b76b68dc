"""What becomes of a disk's file when a run is broken off. What Linux writes on disks is looked at in
test_linux_default.py and test_linux_ata.py.
"""

import pytest


@pytest.mark.hosted
def test_a_run_that_is_broken_off_leaves_the_file(croft, tmp_path):
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))
    result = croft.execute("true", "--disk", f"{disk},save", timeout=4)
    assert result.returncode != 0 and "nothing was saved" in result.stderr, result.stderr
    assert disk.read_bytes() == bytes(1 << 20)
