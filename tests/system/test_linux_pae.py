"""Debian's Linux with PAE: three-level page tables, and page-table isolation if it is asked for."""

import re

import pytest

from conftest import faults_in

pytestmark = pytest.mark.long

FORKS = "n=0; i=0; while [ $i -lt 50 ]; do /bin/true && n=$((n+1)); i=$((i+1)); done; echo $n"


@pytest.fixture(scope="module")
def pae_shell(croft):
    opened = croft.shell("linux-pae", "--memory", "256M")
    yield opened
    if opened.terminal.isalive():
        opened.terminal.close(force=True)


def test_kernel_is_debians_with_pae(pae_shell):
    output, status = pae_shell.run("uname -a")
    assert status == 0
    assert re.search(r"^Linux undercroft 6\.1\.\d+-\d+-686-pae .* Debian .* i686", output)
    flags, _ = pae_shell.run("grep -m1 -w flags /proc/cpuinfo")
    assert "pae" in flags.split()


def test_memory_survives_forks_and_copies(pae_shell):
    output, status = pae_shell.run(FORKS, timeout=300)
    assert (output.strip(), status) == ("50", 0)
    output, status = pae_shell.run(
        "yes undercroft | head -c 8388608 >/tmp/data; cp /tmp/data /tmp/copy; "
        "cmp /tmp/data /tmp/copy && seq 1 1000 | grep 7 | sort -rn | head -n 2 | tr '\\n' ' '",
        timeout=300)
    assert (output.split(), status) == (["997", "987"], 0)


def test_page_table_isolation(croft):
    result = croft.execute(f"dmesg | grep isolation; {FORKS}", "linux-pae", "--append", "pti=on")
    assert result.returncode == 0, result.stderr
    assert "page tables isolation: enabled" in result.stdout
    assert result.stdout.split()[-1] == "50"


def test_real_time_kernel(croft):
    result = croft.execute(f"uname -v; dmesg; {FORKS}", "linux-rt-pae")
    assert result.returncode == 0, result.stderr
    assert "PREEMPT_RT" in result.stdout.splitlines()[0]
    assert faults_in(result.stdout) == []
    assert result.stdout.split()[-1] == "50"


def test_kernel_has_nothing_to_complain_of(pae_shell):
    output, _ = pae_shell.run("dmesg")
    assert faults_in(output) == []
