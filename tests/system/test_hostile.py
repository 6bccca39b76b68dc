"""Resource control: a guest cannot keep the processor, and cannot harm who runs it."""

import sys

import pexpect
import pytest

from test_autopsy import STOPPED, kernel
from test_guests import IMAGE, MACHINE, ROOT, boot

sys.path.insert(0, str(ROOT / "tools"))

from croft import hostile  # noqa: E402

pytestmark = pytest.mark.hosted

SPIN = b"\xfa\xeb\xfe"  # cli; jmp $
BREAK = "\x01b"        # to QEMU's multiplexer
ATTACKS = ["code", "user", "tables", "descriptors", "ports", "spaces", "cache", "cpupage",
           "registers"]


@pytest.fixture
def spinning(tmp_path):
    image = tmp_path / "image"
    image.write_bytes(kernel(SPIN))
    return str(image)


@pytest.mark.parametrize("options", ["", "engine=interpret"])
def test_the_watchdog_ends_a_guest_that_spins_with_interrupts_off(spinning, options):
    status, _, text = boot([spinning], f"watchdog=2 {options}")
    assert "stopped: the watchdog" in text and status == STOPPED, text


@pytest.mark.parametrize("options", ["", "engine=interpret"])
def test_the_console_answers_while_a_guest_spins_with_interrupts_off(spinning, options):
    at = MACHINE.index("-monitor")  # and the three words behind it
    command = [*MACHINE[:at], *MACHINE[at + 4:], "-serial", "mon:stdio", "-m", "256", "-kernel", str(IMAGE), "-append",
               f"mem=64M {options}", "-initrd", spinning]
    machine = pexpect.spawn(command[0], command[1:], timeout=60)
    machine.expect("undercroft: guest:")
    for letter, answer in [("?", "x stop the guest"), ("r", "code 0xeb 0xfe"),
                           ("s", "-- statistics --"), ("w", "frames gained: 1[0-9]{4} now"),
                           ("x", "stopped: somebody asked for it on the console")]:
        machine.send(BREAK + letter)
        machine.expect(answer)
    machine.expect(pexpect.EOF)
    machine.close()
    assert machine.exitstatus == STOPPED


@pytest.mark.parametrize("words", [
    pytest.param(words, marks=[] if words in ("tables", "spaces") else pytest.mark.long)
    for words in ATTACKS])
def test_an_attack_ends_in_a_report_and_changes_nothing(words):
    what, is_fault, text = hostile.attack(3, words, "withdraw=every:200", rounds=4)
    assert not is_fault, f"{what}\n{text}"
    assert "| round 0: " + words in text, text


@pytest.mark.long
def test_many_attacks():
    passed, text = hostile.campaign(5, 1000)
    assert passed, text


def test_a_run_is_judged_by_its_report():
    good = "check: monitor's text 1 unchanged; 5 shadow entries, 0 of them wrong\n"
    for status, text, fault in [
            (65, good, False), (65, "", True), (67, good, False), (43, "", True),
            (37, good, False), (None, good, True), (1, good, False), (0, good, True),
            (43, good + "undercroft: panic: here\n", True),
            (65, good.replace("0 of", "2 of"), True), (65, good.replace("unch", "CH"), False),
            (65, good.replace("unchanged", "CHANGED"), True),
            (39, good + "undercroft: the guest was stopped: the watchdog: slow\n", False),
            (39, good + "undercroft: the guest was stopped: a page fault at a cache address\n",
             True)]:
        assert hostile.judge(status, text, "")[1] == fault, (status, text)
    assert hostile.judge(67, good, "spaces cache")[1]
