"""Debian packages of this machine: which of packages.txt are missing, and their installation."""

import os
import re
import subprocess

from . import paths, progress
from .errors import CroftError


def listed(groups):
    """The packages of packages.txt in `groups`, as {name: what it is for}."""
    found = {}
    group = None
    for line in (paths.ROOT / "packages.txt").read_text().splitlines():
        text, _, purpose = line.partition("#")
        text = text.strip()
        heading = re.fullmatch(r"\[([a-z-]+)\]", text)
        if heading:
            group = heading.group(1)
        elif text and group in groups:
            found[text] = purpose.strip()
    return found


def missing(wanted):
    """Those of `wanted` that dpkg does not have installed."""
    try:
        answer = subprocess.run(
            ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n", *wanted],
            capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        raise CroftError("dpkg-query is not installed: croft expects Debian 12 or a relative",
                         "install what packages.txt names, then use cmake and QEMU by hand "
                         "(README.md)") from None
    installed = {line.split()[1] for line in answer.splitlines() if line.startswith("ii")}
    return [name for name in wanted if name not in installed]


def _privilege():
    """The words that make a command run as root; None if there are none."""
    if os.geteuid() == 0:
        return []
    try:
        able = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return ["sudo", "-n"] if able.returncode == 0 else None


def require(*groups):
    """Makes sure that the packages of `groups` are installed; installs what is missing."""
    wanted = listed(groups)
    lacking = missing(wanted)
    if not lacking:
        return
    progress.say("Debian packages to install:")
    for name in lacking:
        progress.say(f"  {name:18} {wanted[name]}")
    update = ["apt-get", "update"]
    install = ["apt-get", "install", "-y", "--no-install-recommends", *lacking]
    privilege = _privilege()
    if privilege is None:
        raise CroftError("installing them needs root",
                         "run:\n  sudo apt-get update\n  sudo " + " ".join(install))
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    try:
        progress.run_logged("Reading the package lists", privilege + update, "apt-update.log",
                            show_failure=False)
    except CroftError:  # one broken list must not stop the others
        progress.say("some package list could not be read; going on with the others")
    progress.run_logged(f"Installing {len(lacking)} packages", privilege + environment + install,
                        "apt-install.log")
    left = missing(wanted)
    if left:
        raise CroftError("still not installed: " + " ".join(left))
