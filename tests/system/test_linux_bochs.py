"""Debian's Linux to a BusyBox shell on the second machine, Bochs."""

import re

import pytest

from conftest import faults_in

pytestmark = pytest.mark.long(minutes=5)

BOOT_SECONDS = 900  # about 100 where nothing else runs


def test_boot_work_and_poweroff(croft):
    shell = croft.shell("--machine", "bochs", "--memory", "256M", patience=BOOT_SECONDS)
    output, status = shell.run("uname -a")
    assert status == 0
    assert re.search(r"^Linux undercroft 6\.1\.\d+-\d+-686 .* i686", output)
    output, _ = shell.run("n=0; while [ $n -lt 30 ]; do /bin/true && n=$((n+1)); done; echo $n")
    assert output.strip() == "30"
    output, _ = shell.run("seq 1 2000 | grep 7 | sort -rn | md5sum")
    assert output.split()[0] == "fa71a2a1497e5e54436b2ac983e4e3a4"
    output, _ = shell.run("awk 'BEGIN { for (i = 1; i < 9000; ++i) s += 1 / i; printf \"%.9f\", s }'")
    assert output.strip() == f"{sum(1 / i for i in range(1, 9000)):.9f}"
    output, _ = shell.run("dmesg")
    assert "Linux version" in output
    assert faults_in(output) == []
    status, text = shell.leave("poweroff", timeout=300)
    assert (status, "the guest powered off" in text) == (0, True)
