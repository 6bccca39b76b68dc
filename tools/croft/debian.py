"""Fetches Debian packages of architecture i386 without enabling it on this machine.

apt runs over the machine's own sources, but with its own lists, cache and (empty) status below
cache/apt. Knows nothing of what the packages are for.
"""

import re
import subprocess

from . import paths, progress
from .errors import CroftError

APT = paths.CACHE / "apt"
DEBS = paths.CACHE / "debs"


def _options():
    for folder in ("lists/partial", "cache/archives/partial", "log"):
        (APT / folder).mkdir(parents=True, exist_ok=True)
    status = APT / "status"
    status.touch()
    settings = {
        "Dir::State": APT,
        "Dir::State::Lists": APT / "lists",
        "Dir::State::status": status,
        "Dir::Cache": APT / "cache",
        "Dir::Log": APT / "log",
        "APT::Architecture": "i386",
        "APT::Architectures": "i386",
        "APT::Sandbox::User": "root",  # the cache need not be readable for the user _apt
        "Acquire::Languages": "none",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _apt_cache(*words):
    try:
        return subprocess.run(["apt-cache", *_options(), *words], capture_output=True, text=True,
                              check=False).stdout
    except FileNotFoundError:
        raise CroftError("apt-cache is not installed: guests are fetched by apt") from None


def update():
    """Reads the i386 lists of the machine's sources. A list that fails does not stop it."""
    try:
        progress.run_logged("Reading the i386 package lists",
                            ["apt-get", *_options(), "update"], "apt-i386-update.log",
                            show_failure=False)
    except CroftError:
        progress.say("some i386 package list could not be read; going on with the others")


def candidate(package):
    """The version that apt would fetch of `package`, or None."""
    found = re.search(r"^\s+Candidate: (\S+)", _apt_cache("policy", package), re.MULTILINE)
    return found.group(1) if found and found.group(1) != "(none)" else None


def dependency(package, pattern):
    """The first dependency of `package` whose name matches `pattern`."""
    for line in _apt_cache("depends", package).splitlines():
        found = re.match(r"\s*Depends: (\S+)", line)
        if found and re.fullmatch(pattern, found.group(1)):
            return found.group(1)
    raise CroftError(f"package {package} (i386) depends on nothing like {pattern}")


def _packages_in(folder):
    """What apt has left there; images for another machine's firmware come as architecture all."""
    return sorted([*folder.glob("*_i386.deb"), *folder.glob("*_all.deb")])


def fetch(package):
    """Downloads `package`; returns (path of the .deb, version)."""
    version = candidate(package)
    if version is None:
        raise CroftError(
            f"the apt sources of this machine do not offer {package} for i386",
            "check that the Debian line in /etc/apt has no arch= or Architectures: limit")
    folder = DEBS / package
    folder.mkdir(parents=True, exist_ok=True)
    present = _packages_in(folder)
    wanted = f"_{version.replace(':', '%3a')}_"
    for deb in present:
        if wanted in deb.name:
            return deb, version
    for deb in present:
        deb.unlink()
    progress.run_logged(f"Fetching {package} {version} (i386)",
                        ["apt-get", *_options(), "download", package],
                        f"fetch-{package}.log", cwd=folder)
    debs = _packages_in(folder)
    if not debs:
        raise CroftError(f"apt-get downloaded no file for {package}")
    return debs[-1], version


def extract(deb, member, target):
    """Writes the file `member` ("./boot/vmlinuz-...") of `deb` to `target`, as it is in there."""
    unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
    partial = target.with_name(target.name + ".partial")
    with partial.open("wb") as output:
        taken = subprocess.run(["tar", "-xOf", "-", member], stdin=unpack.stdout, stdout=output,
                               stderr=subprocess.PIPE, check=False)
    unpack.stdout.close()
    unpack.wait()
    if taken.returncode != 0 or partial.stat().st_size == 0:
        partial.unlink()
        raise CroftError(f"{deb.name} holds no {member}")
    partial.replace(target)
