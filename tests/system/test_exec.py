"""`croft run --exec`: output, statuses, memory sizes and the monitor's options."""

import re

import pytest

from conftest import faults_in


def test_output_and_status_zero(croft):
    result = croft.execute("echo one; echo two >&2; printf three")
    assert (result.returncode, result.stdout) == (0, "one\ntwo\nthree")


@pytest.mark.parametrize("status", [1, 7, 255])
def test_status_is_the_commands(croft, status):
    assert croft.execute(f"exit {status}").returncode == status


def test_large_output_is_whole(croft):
    result = croft.execute("seq 1 20000")
    assert result.returncode == 0
    assert result.stdout.split() == [str(number) for number in range(1, 20001)]


def test_command_that_ends_the_run_has_no_status(croft):
    result = croft.execute("poweroff; sleep 100")
    assert result.returncode == 107
    assert "no status" in result.stderr


MEMORY = "awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo; dmesg"


def check_memory(croft, megabytes, *words):
    result = croft.execute(MEMORY, "--memory", f"{megabytes}M", *words)
    assert result.returncode == 0, result.stderr
    seen = int(result.stdout.split()[0])
    assert megabytes * 0.6 - 10 < seen < megabytes
    assert faults_in(result.stdout) == []


@pytest.mark.parametrize("megabytes", [64, 384])
def test_guest_memory_on_a_512_megabyte_machine(croft, bare, megabytes):
    check_memory(croft, megabytes, *([] if bare else ["--machine-memory", "512"]))


@pytest.mark.long
def test_two_gigabytes_on_a_3_gigabyte_machine(croft, bare):
    # lowmem of this kernel ends at 896 MB; the rest is high memory
    check_memory(croft, 2048, *([] if bare else ["--machine-memory", "3072"]))


WORK = "for i in 1 2 3 4 5; do uname -r; done | sort | uniq -c | awk '{ print $1 }'; dmesg"


def check_options(croft, options, timeout):
    result = croft.execute(WORK, "--monitor", options, timeout=timeout)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[0] == "5"
    assert faults_in(result.stdout) == []


@pytest.mark.hosted
def test_window_hops(croft):
    check_options(croft, "window=hop:1000", 300)


@pytest.mark.hosted
@pytest.mark.long
@pytest.mark.parametrize("options", ["window=hop:20", "guard=exact", "user=translate",
                                     "user=translate guard=exact"])
def test_slow_options(croft, options):
    check_options(croft, options, 1800)


@pytest.mark.hosted
@pytest.mark.long(minutes=40)
def test_interpreted(croft):
    check_options(croft, "engine=interpret slow=20", 7200)


# In the kernel's first memory, in what it maps of all memory, and where its fixed mappings are.
@pytest.mark.hosted
@pytest.mark.long
@pytest.mark.parametrize("place", ["0x00400000", "0xc0000000", "0xff400000"])
def test_first_place_of_the_window(croft, place):
    check_options(croft, f"window={place}", 300)


@pytest.mark.hosted
def test_more_memory_than_there_is_is_refused(croft):
    result = croft.execute("true", "--memory", "500M", "--machine-memory", "512")
    assert result.returncode == 104, result.stderr
    assert re.search(r"mem: 500 MB for the guest, but \d+ MB are free", croft.log.read_text())


@pytest.mark.hosted
@pytest.mark.long
def test_hardly_anything_is_interpreted(croft):
    # by the instruction: --boot kernel makes a time-stamp tick one
    result = croft.execute("true", "--boot", "kernel", timeout=900)
    assert result.returncode == 0, result.stderr
    shares = re.search(r"directly (\S+) % translated (\S+) % interpreted (\S+) %",
                       croft.log.read_text())
    direct, translated, interpreted = (float(share) for share in shares.groups())
    assert direct > 0
    assert interpreted <= 1
    assert 99.9 < direct + translated + interpreted < 100.1
