# SPDX-License-Identifier: MIT
"""Debian packages of other architectures and suites, through a private apt that leaves the machine's own alone.

Mirrors are read from the machine's own sources; none is named here. Nothing is installed: packages are downloaded and
unpacked. Versions are what the archive offers now.
"""
import functools
import pathlib
import re
import subprocess


class Unavailable(Exception):
    """The archive cannot be reached or does not have it."""


def stanzas(text):
    """Fields of each paragraph of a deb822 file."""
    for block in re.split(r"\n\s*\n", text):
        fields = {}
        for line in block.splitlines():
            if line.startswith("#") or ":" not in line or line[0].isspace():
                continue
            key, value = line.split(":", 1)
            fields[key.lower()] = value.strip()
        yield fields


def machine_sources():
    """(options, uri, suite) of each binary source of the machine with component main."""
    found = []
    for path in sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.sources")):
        for fields in stanzas(path.read_text()):
            if "deb" in fields.get("types", "").split() and "main" in fields.get("components", "").split():
                keys = fields.get("signed-by", "")
                options = f"[signed-by={keys}]" if keys.startswith("/") else ""
                found += [(options, uri, suite) for uri in fields.get("uris", "").split()
                          for suite in fields.get("suites", "").split()]
    lists = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.list"))]
    for path in lists:
        for line in path.read_text().splitlines() if path.is_file() else []:
            match = re.match(r"\s*deb\s+(\[[^\]]*\])?\s*(\S+)\s+(\S+)\s+(.*)", line)
            if match and "main" in match[4].split():
                found.append((match[1] or "", match[2], match[3]))
    return found


def source_lines(suites):
    """The machine's sources, and `suites` from the mirror that serves its main one."""
    lines, main = [], None
    for options, uri, suite in machine_sources():
        lines.append(f"deb {options} {uri} {suite} main")
        if main is None and "-" not in suite and "/" not in suite:
            main = (options, uri)
    if main is None:
        raise Unavailable("no Debian source with component main in /etc/apt")
    lines += [f"deb {main[0]} {main[1]} {suite} main" for suite in suites]
    return list(dict.fromkeys(lines))


class Archive:
    """A private apt in `folder` for some architectures; packages are unpacked below it."""

    def __init__(self, folder, architectures, suites=("trixie", "sid")):
        self.folder = pathlib.Path(folder)
        for name in ("lists/partial", "cache/archives/partial", "debs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text("\n".join(source_lines(suites)) + "\n")
        quoted = "".join(f'"{name}"; ' for name in architectures)
        (self.folder / "apt.conf").write_text(
            f'Dir::State "{self.folder}";\nDir::State::lists "{self.folder}/lists";\n'
            f'Dir::State::status "{self.folder}/status";\nDir::Cache "{self.folder}/cache";\n'
            f'Dir::Etc::sourcelist "{self.folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
            f'APT::Architecture "{architectures[0]}";\nAPT::Architectures {{ {quoted}}};\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::Check-Valid-Until "false";\n'
            'Acquire::Retries "3";\nAcquire::http::Timeout "60";\n')

    def run(self, *command):
        result = subprocess.run(command, cwd=self.folder / "debs", capture_output=True, text=True, check=False,
                                env={"APT_CONFIG": str(self.folder / "apt.conf"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                                     "LC_ALL": "C", "HOME": str(self.folder)})
        if result.returncode:
            raise Unavailable(f"{' '.join(command[:3])}: {result.stderr.strip()[-300:]}")
        return result.stdout

    def update(self):
        self.run("apt-get", "-q", "update")
        if not any((self.folder / "lists").glob("*_Packages*")):
            raise Unavailable("the archive's lists could not be fetched")

    @functools.lru_cache(maxsize=None)
    def versions(self, package):
        """All versions on offer, oldest first."""
        found = []
        for line in self.run("apt-cache", "madison", package).splitlines():
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) == 3 and "Sources" not in cells[2] and cells[1] not in found:
                found.append(cells[1])
        return sorted(found, key=functools.cmp_to_key(version_compare))

    def names(self, pattern):
        """Package names on offer that match a regular expression."""
        return sorted(name for name in self.run("apt-cache", "pkgnames").split() if re.fullmatch(pattern, name))

    def unpack(self, package, version, target):
        """Downloads and unpacks one package; returns "package version"."""
        debs = self.folder / "debs"
        before = set(debs.glob("*.deb"))
        self.run("apt-get", "-q", "download", f"{package}={version}")
        new = set(debs.glob("*.deb")) - before
        if len(new) != 1:
            raise Unavailable(f"{package}={version} was not downloaded")
        deb = new.pop()
        try:
            pathlib.Path(target).mkdir(parents=True, exist_ok=True)
            subprocess.run(["dpkg-deb", "-x", str(deb), str(target)], check=True)
        finally:
            deb.unlink()
        return f"{package} {version}"


def version_compare(a, b):
    if a == b:
        return 0
    return -1 if subprocess.run(["dpkg", "--compare-versions", a, "lt", b], check=False).returncode == 0 else 1
