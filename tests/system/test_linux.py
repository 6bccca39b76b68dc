"""Debian's Linux to a BusyBox shell: many checks in one boot."""

import hashlib
import re
import time

from conftest import faults_in


def test_kernel_is_debians(shell):
    output, status = shell.run("uname -a")
    assert status == 0
    assert re.search(r"^Linux undercroft 6\.1\.\d+-\d+-686 .* Debian .* i686", output)


def test_processor_offers_no_virtualization(shell):
    output, _ = shell.run("grep -m1 -w flags /proc/cpuinfo")
    flags = output.split()
    assert "fpu" in flags and "vmx" not in flags and "svm" not in flags


def test_memory_is_what_was_asked_for(shell):
    output, _ = shell.run("grep MemTotal /proc/meminfo")
    kilobytes = int(output.split()[1])
    assert 200 << 10 < kilobytes < 256 << 10


def test_timer_and_serial_interrupts_arrive(shell):
    def counts():
        output, status = shell.run("cat /proc/interrupts")
        assert status == 0
        return {int(line): int(count)
                for line, count in re.findall(r"^\s*(\d+):\s+(\d+)", output, re.MULTILINE)}
    before = counts()
    shell.run("sleep 1")
    after = counts()
    assert after[0] > before[0] + 50
    assert after[4] > before[4]


def test_pipeline(shell):
    output, status = shell.run("seq 1 1000 | grep 7 | sort -rn | head -n 3 | tr '\\n' ' '")
    assert (output.split(), status) == (["997", "987", "979"], 0)


def test_32_megabytes_through_dd_and_md5sum(shell):
    text = b"undercroft\n"
    part = (text * ((1 << 20) // len(text) + 1))[:1 << 20]
    wanted = hashlib.md5(part * 32).hexdigest()
    output, status = shell.run(
        "yes undercroft | head -c 1048576 >/tmp/part; "
        "i=0; while [ $i -lt 32 ]; do cat /tmp/part; i=$((i+1)); done >/tmp/data; "
        "dd if=/tmp/data of=/tmp/copy bs=64k 2>/dev/null; md5sum </tmp/copy", timeout=300)
    assert status == 0
    assert output.split()[0] == wanted
    shell.run("rm /tmp/part /tmp/data /tmp/copy")


def test_200_forks(shell):
    output, status = shell.run(
        "n=0; i=0; while [ $i -lt 200 ]; do /bin/true && n=$((n+1)); i=$((i+1)); done; echo $n",
        timeout=300)
    assert (output.strip(), status) == ("200", 0)


def test_floating_point(shell):
    output, status = shell.run(
        "awk 'BEGIN { printf \"%.10f %.10f %.6e\\n\", 355 / 113, 2 / 3 - 1e-9, 1.5e-300 / 7e5 }'")
    assert (output.strip(), status) == ("3.1415929204 0.6666666657 2.142857e-306", 0)


def test_floating_point_survives_task_switches(shell):
    sums = "awk 'BEGIN { for (i = 1; i < 60000; ++i) s += 1 / i; printf \"%.9f\\n\", s }'"
    output, _ = shell.run(f"({sums} & {sums} & {sums} & wait)", timeout=300)
    values = re.findall(r"\d+\.\d{9}", output)
    wanted = f"{sum(1 / i for i in range(1, 60000)):.9f}"
    assert values == [wanted] * 3


def test_a_second_takes_a_second(shell):
    started = time.monotonic()
    output, _ = shell.run("a=$(date +%s); sleep 3; b=$(date +%s); echo took $((b - a))")
    elapsed = time.monotonic() - started
    assert int(re.search(r"took (\d+)", output).group(1)) in (3, 4)
    assert 2.5 < elapsed < 8


def test_signals_and_jobs(shell):
    output, _ = shell.run("sleep 1000 & sleep 1; kill -TERM $!; wait $!; echo ended $?")
    assert "ended 143" in output


def test_interrupt_character_stops_a_program(shell):
    shell.terminal.sendline("sleep 1000")
    time.sleep(1)
    shell.terminal.sendcontrol("c")
    shell.terminal.expect(r"undercroft# ", timeout=30)
    _, status = shell.run("true")
    assert status == 0


def test_killed_program_gives_its_signal_as_status(shell):
    output, _ = shell.run("sh -c 'kill -SEGV $$'; echo ended $?")
    assert "ended 139" in output


def test_kernel_log_is_clean(shell):
    output, status = shell.run("dmesg")
    assert status == 0
    assert "Linux version" in output
    assert faults_in(output) == []


def test_exit_ends_the_run(shell):
    status, text = shell.leave("exit")
    assert (status, "the guest powered off" in text) == (0, True)
