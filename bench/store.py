# SPDX-License-Identifier: MIT
"""Debian packages in several versions: which there are, by architecture and release, and their unpacked content.

On top of scripts/archive.py: one private apt for each architecture, with the neighbouring releases. Every index and package is checked
by apt against the archive's signed hashes. An index that the archive does not serve as signed is left out, and said so.
"""
import functools
import pathlib
import re
import subprocess
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
import archive  # noqa: E402
from archive import Unavailable  # noqa: E402, F401

SUITES = ("bookworm-backports", "trixie", "trixie-updates", "sid")


def say(text):
    print(text, file=sys.stderr, flush=True)


class Store(archive.Archive):
    """One architecture."""

    def __init__(self, folder, architecture):
        super().__init__(folder, [architecture], SUITES)
        self.architecture, self.without = architecture, []
        sources = self.folder / "sources.list"
        lines = sources.read_text()
        for options, uri, suite in archive.machine_sources():
            if suite.endswith("-security"):
                lines += f"deb {options} {uri} trixie-security main\n"
        # Firmware that is not free is measured, never kept in the project; its licence is left to who runs this.
        sources.write_text(lines.replace(" main\n", " main non-free-firmware\n"))

    def update(self):
        try:
            super().update()
        except Unavailable as reason:
            if not any((self.folder / "lists").glob("*_Packages*")):
                raise
            served = {re.search(r"_dists_([^_]+)_", path.name)[1] for path in (self.folder / "lists").glob("*_Packages*")}
            asked = {line.split()[-3] for line in (self.folder / "sources.list").read_text().splitlines()}
            self.without = sorted(asked - served)
            say(f"data: WITHOUT {', '.join(self.without)} for {self.architecture}: the archive's index is not what it signed, or not there")

    def fetch(self, wanted):
        """Downloads several packages in one go, since apt reads all its lists each time; returns {package: path}."""
        debs = self.folder / "debs"
        self.run("apt-get", "-q", "download", *[f"{package}={version}" for package, version in wanted])
        found = {}
        for path in debs.glob("*.deb"):
            name = subprocess.run(["dpkg-deb", "-f", path, "Package"], capture_output=True, text=True, check=True).stdout.strip()
            found[name] = path
        for package, version in wanted:
            if package not in found:
                raise Unavailable(f"{package}={version} was not downloaded")
        return found

    def unpack_all(self, wanted, target):
        """[(package, version)] into one folder, in this order; returns ["package version"]."""
        target.mkdir(parents=True, exist_ok=True)
        found = self.fetch(wanted)
        try:
            for package, _ in wanted:
                subprocess.run(["dpkg-deb", "-x", found[package], target], check=True)
        finally:
            for path in found.values():
                path.unlink()
        return [f"{package} {version}" for package, version in wanted]

    def member(self, package, version, prefix):
        """Content of the first file of a package whose path begins so; the rest, often large, is not unpacked."""
        path = self.fetch([(package, version)])[package]
        try:
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE) as process:
                with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                    for info in tar:
                        if info.isfile() and info.name.lstrip("./").startswith(prefix):
                            data = tar.extractfile(info).read()
                            process.kill()
                            return data
        finally:
            path.unlink()
        raise Unavailable(f"no {prefix}* in {package} {version}")

    @functools.cached_property
    def index(self):
        """{package: {version: suites}} of what the lists name."""
        found = {}
        for path in sorted((self.folder / "lists").glob("*_Packages*")):
            suite = re.search(r"_dists_([^_]+)_", path.name)[1]
            text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], capture_output=True, text=True, check=True).stdout
            for block in text.split("\n\n"):
                fields = dict(re.findall(r"^(Package|Version): (.*)$", block, re.M))
                if fields:
                    found.setdefault(fields["Package"], {}).setdefault(fields["Version"], set()).add(suite)
        return found

    def family(self, package, release):
        """Versions of a package in a release (its updates and security fixes included), oldest first."""
        versions = [version for version, suites in self.index.get(package, {}).items()
                    if not release or any(suite == release or suite.startswith(f"{release}-") and "backports" not in suite
                                          for suite in suites)]
        return sorted(versions, key=functools.cmp_to_key(archive.version_compare))

    def kernels(self, pattern):
        """(version, package) of each kernel whose package name matches, oldest first. What is not signed stands in where it exists."""
        found = {}
        for package, versions in self.index.items():
            if re.fullmatch(pattern + "(-unsigned)?", package):
                for version in versions:
                    if package.endswith("-unsigned") or version not in found:
                        found[version] = package
        key = functools.cmp_to_key(archive.version_compare)
        return [(version, found[version]) for version in sorted(found, key=key)]


def upstream(version):
    return re.sub(r"-[^-]*$", "", version)


def steps(rows, count, version=lambda row: row[0]):
    """The newest `count` steps from one upstream version to the next, newest first; no version is in two of them."""
    found, at = [], len(rows) - 1
    while at > 0 and len(found) < count:
        old = at - 1
        while old >= 0 and upstream(version(rows[old])) == upstream(version(rows[at])):
            old -= 1
        if old < 0:
            break
        found.append((rows[old], rows[at]))
        at = old - 1
    return found
