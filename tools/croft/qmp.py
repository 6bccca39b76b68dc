"""QEMU's machine protocol (QMP) as far as croft needs it: screens, keys, memory.

Knows the protocol and QEMU's names of keys; what is done when is screenshot.py's business.
"""

import json
import re
import socket
import time

from .errors import CroftError

HOLD = 0.1  # seconds that a key is down

# What is typed on a PC's keyboard with the layout of the USA.
_PLAIN = {" ": "spc", "\n": "ret", "\t": "tab", "-": "minus", "=": "equal", "[": "bracket_left",
          "]": "bracket_right", "\\": "backslash", ";": "semicolon", "'": "apostrophe",
          "`": "grave_accent", ",": "comma", ".": "dot", "/": "slash"}
_SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./"))
_NAMES = {"ret", "esc", "spc", "tab", "backspace", "up", "down", "left", "right", "home", "end",
          "pgup", "pgdn", "insert", "delete", "menu", "pause", "sysrq", "print", "scroll_lock",
          "num_lock", "caps_lock", "shift", "shift_r", "ctrl", "ctrl_r", "alt", "alt_r", "meta_l",
          "meta_r", "kp_enter", "kp_add", "kp_subtract", "kp_multiply", "kp_divide", "kp_decimal",
          *_PLAIN.values(), *(f"f{n}" for n in range(1, 13)), *(f"kp_{n}" for n in range(10))}


def _chord(character):
    """The keys that are down together for one character."""
    if character in _SHIFTED:
        return ["shift", *_chord(_SHIFTED[character])]
    if character.isascii() and character.isupper():
        return ["shift", character.lower()]
    if character in _PLAIN:
        return [_PLAIN[character]]
    if character.isascii() and character.isalnum():
        return [character]
    raise CroftError(f"{character!r} is on no key")


def chords(sequence):
    """'ls ret ctrl-c left:1.5' as (keys pressed together, seconds), one after another.

    A word is a key's name of QEMU, several of them joined by -, perhaps with the seconds that they
    are held down; or else it is a text that is typed.
    """
    result = []
    for word in sequence.split():
        names, _, seconds = word.partition(":")
        parts = names.split("-")
        keys = all(part in _NAMES or (len(part) == 1 and part.isalnum()) for part in parts)
        if keys and re.fullmatch(r"|\d+(\.\d+)?", seconds) and not word.endswith(":"):
            result.append(([part.lower() for part in parts], float(seconds or HOLD)))
        else:
            result += [(_chord(character), HOLD) for character in word]
    return result


class Connection:
    """To a QEMU started with -qmp unix:PATH,server=on,wait=off."""

    def __init__(self, path, patience=30):
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + patience
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise CroftError("QEMU does not answer on its QMP socket") from None
                time.sleep(0.05)
        self._lines = self._socket.makefile("r")
        self._lines.readline()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        """The command's result. A CroftError if QEMU refuses it, or has ended."""
        try:
            self._socket.sendall(json.dumps(
                {"execute": command, "arguments": arguments}).encode() + b"\n")
            while True:
                line = self._lines.readline()
                if not line:
                    raise CroftError("QEMU has ended")
                answer = json.loads(line)
                if "error" in answer:
                    raise CroftError(f"QEMU: {command}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]
        except (BrokenPipeError, ConnectionResetError):
            raise CroftError("QEMU has ended") from None

    def screendump(self, path):
        """What the machine's screen shows, as a PNG file."""
        self.execute("screendump", filename=str(path), format="png")

    def halted(self):
        """Whether the processor waits in HLT."""
        return "HLT=1" in self.execute("human-monitor-command",
                                       **{"command-line": "info registers"})

    def press(self, chord, hold=HOLD):
        """Keys that go down together, and up again `hold` seconds later."""
        self.execute("send-key", keys=[{"type": "qcode", "data": key} for key in chord],
                     **{"hold-time": int(hold * 1000)})
        time.sleep(hold + 0.1)

    def move_mouse(self, right, down):
        """By so many steps of a PS/2 mouse."""
        self.execute("input-send-event", events=[
            {"type": "rel", "data": {"axis": axis, "value": value}}
            for axis, value in (("x", right), ("y", down))])

    def press_button(self, button, down):
        """left, middle or right."""
        self.execute("input-send-event", events=[
            {"type": "btn", "data": {"button": button, "down": down}}])

    def memory(self, address, size, scratch):
        """Bytes of the machine's memory; `scratch` names a file to be used for it."""
        self.execute("pmemsave", val=address, size=size, filename=str(scratch))
        return scratch.read_bytes()

    def close(self):
        self._lines.close()
        self._socket.close()
