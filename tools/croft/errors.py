"""What croft says when it cannot go on, and the exit statuses it promises."""

# Exit statuses of `croft run` beyond 0 and the guest's own (documented in run_options.py and README.md).
FAILED = 1
GUEST_RESET = 101
GUEST_TRIPLE_FAULT = 102
GUEST_STOPPED = 103
BOOT_REFUSED = 104
MONITOR_PANIC = 105
TIMED_OUT = 106
NO_STATUS = 107


class CroftError(Exception):
    """A failure to be told to the user in one line; `hint` says what to do about it."""

    def __init__(self, message, hint=None, status=FAILED):
        super().__init__(message)
        self.hint = hint
        self.status = status
