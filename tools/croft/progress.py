"""Tells the user what is going on: one line per step on standard error, with the time it took.

Knows nothing of the steps themselves.
"""

import contextlib
import subprocess
import sys
import threading
import time

from . import paths
from .errors import CroftError

QUIET_SECONDS = 2  # a step that is done sooner is not mentioned
PLAIN_INTERVAL = 10  # seconds between signs of life where the line cannot be rewritten


def say(text):
    print(f"croft: {text}", file=sys.stderr, flush=True)


class _Ticker:
    """Shows a step once it takes longer than QUIET_SECONDS, then counts its seconds."""

    def __init__(self, title):
        self.title = title
        self.started = time.monotonic()
        self.shown = False
        self.detail = lambda: ""  # what the step is at, asked for at each sign of life
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def seconds(self):
        return time.monotonic() - self.started

    def _tick(self):
        if self._over.wait(QUIET_SECONDS):
            return
        rewrite = sys.stderr.isatty()
        while True:
            self.shown = True
            text = f"{self.title} ... {self.seconds():.0f} s {self.detail()}"[:78]
            if rewrite:
                print(f"\r\033[Kcroft: {text}", end="", file=sys.stderr, flush=True)
            else:
                say(text)
            if self._over.wait(1 if rewrite else PLAIN_INTERVAL):
                return

    def start(self):
        self._thread.start()

    def stop(self, outcome):
        self._over.set()
        self._thread.join()
        if self.shown:
            if sys.stderr.isatty():
                print("\r\033[K", end="", file=sys.stderr)
            say(f"{self.title}: {outcome} ({self.seconds():.0f} s)")


@contextlib.contextmanager
def step(title):
    """Runs its body as a step; yields the ticker, whose `detail` (a function) may be set."""
    ticker = _Ticker(title)
    ticker.start()
    try:
        yield ticker
    except BaseException:
        ticker.stop("failed")
        raise
    ticker.stop("done")


def _last_line(log):
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = file.read().decode("utf-8", "replace").split()
    # the build says how far it is as [12/120]; the last such word tells it shortly
    return next((word for word in reversed(lines) if word.startswith("[") and "/" in word), "")


def run_logged(title, command, log_name, hint=None, show_failure=True, **options):
    """Runs `command` as a step, its output in build/logs/`log_name`.

    A failure raises CroftError, after the tail of the output was shown (if `show_failure`).
    """
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    log = paths.LOGS / log_name
    with log.open("wb") as output:
        with step(title) as ticker:
            ticker.detail = lambda: _last_line(log)
            try:
                result = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, check=False, **options)
            except FileNotFoundError:
                raise CroftError(f"{command[0]} is not installed", hint) from None
    if result.returncode == 0:
        return
    if show_failure:
        tail = log.read_text(errors="replace").splitlines()[-40:]
        print("\n".join(tail), file=sys.stderr)
    raise CroftError(f"{title}: {command[0]} ended with status {result.returncode}",
                     hint or f"the whole output is in {log.relative_to(paths.ROOT)}")
