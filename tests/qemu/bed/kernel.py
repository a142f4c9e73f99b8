# SPDX-License-Identifier: MIT
"""Debian's kernel for the guest: unpacked from its package into a cache folder, with the NAND module built beside it.

The version is that of the installed headers, because the module is built against them.
"""
import lzma
import os
import pathlib
import re
import shutil
import subprocess

NEEDED = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "mke2fs": "e2fsprogs",
          "depmod": "kmod", "strip": "binutils", "make": "make", "gcc": "gcc", "dpkg-deb": "dpkg"}
NAND = pathlib.Path(__file__).resolve().parents[1] / "nand"


class Missing(Exception):
    """Something that the bed needs is not on this machine: nothing was tested."""


def cache():
    root = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "dfota" / "qemu"
    root.mkdir(parents=True, exist_ok=True)
    return root


def need(programs):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    absent = [package for program, package in programs.items() if not shutil.which(program, path=path)]
    if absent:
        raise Missing(f"not installed: {' '.join(sorted(absent))}; scripts/setup qemu installs it")


def run(*words, **options):
    result = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            **options)
    if result.returncode:
        raise Missing(f"{words[0]}: exit {result.returncode}\n{result.stdout[-2000:]}")
    return result.stdout


def headers():
    """Folder of the newest installed headers and the version that it is for."""
    found = []
    for folder in pathlib.Path("/usr/src").glob("linux-headers-*-amd64"):
        version = folder.name.removeprefix("linux-headers-")
        if "cloud" not in version and "rt" not in version:
            found.append(([int(number) for number in re.findall(r"\d+", version)], version, folder))
    if not found:
        raise Missing("no linux-headers-amd64; scripts/setup qemu installs them")
    _, version, folder = max(found)
    return version, folder


def unpack(version):
    """The kernel's package, once; complete or not there."""
    root = cache() / version
    if root.exists():
        return root
    package = f"linux-image-{version}-unsigned"
    work = cache() / f"{version}.{os.getpid()}"
    work.mkdir()
    try:
        run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package, cwd=work)
        deb, = work.glob("*.deb")
        run("dpkg-deb", "-x", deb, work / "tree")
        deb.unlink()
        run("/sbin/depmod", "-b", work / "tree", version)
        extract(work / "tree" / "boot" / f"vmlinuz-{version}", work / "vmlinux")
        work.rename(root)
    except Missing as error:
        raise Missing(f"{package} cannot be had: apt-get update and upgrade may help\n{error}") \
            from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return root


def extract(image, target):
    """The kernel inside a bzImage: QEMU starts it at once, where inflating takes seconds of an emulated processor."""
    data = image.read_bytes()
    at = data.find(b"\xfd7zXZ\x00")
    if at < 0:
        raise Missing(f"{image.name} is not compressed with xz")
    target.write_bytes(lzma.LZMADecompressor().decompress(data[at:]))
    if target.read_bytes()[:4] != b"\x7fELF":
        raise Missing(f"{image.name} holds no kernel")


def build_nand(version, folder):
    """The module, built anew when its source is newer."""
    work = cache() / f"nand-{version}"
    module, source = work / "dfota_nand.ko", NAND / "dfota_nand.c"
    if module.exists() and module.stat().st_mtime > source.stat().st_mtime:
        return module
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(NAND, work)
    run("make", "-s", "-C", folder, f"M={work}", "modules")
    return module


def older(version):
    """The newest release before that one which Debian still has."""
    found = []
    for name in run("apt-cache", "pkgnames", "linux-image-").split():
        match = re.fullmatch(r"linux-image-([0-9.]+-[0-9]+-amd64)-unsigned", name)
        if match:
            found.append(([int(number) for number in re.findall(r"\d+", match[1])], match[1]))
    before = [item for item in found if item[0] < [int(number) for number in re.findall(r"\d+", version)]]
    if not before:
        raise Missing(f"no kernel older than {version} among Debian's packages")
    return max(before)[1]


class Kernel:
    """That of the installed headers, with the NAND module, or another version without it."""

    def __init__(self, version=None):
        need(NEEDED)
        folder = None
        if not version:
            version, folder = headers()
        self.version = version
        root = unpack(self.version)
        self.vmlinux, self.tree = root / "vmlinux", root / "tree"
        self.modules = self.tree / "lib" / "modules" / self.version
        self.nand = build_nand(self.version, folder) if folder else None

    def resolve(self, names):
        """Files of these modules and of all they need, in the order of loading. Built-in ones need none."""
        depends = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            path, _, rest = line.partition(":")
            depends[pathlib.Path(path).stem.replace("-", "_")] = (path, rest.split())
        builtin = {pathlib.Path(line).stem.replace("-", "_")
                   for line in (self.modules / "modules.builtin").read_text().split()}
        order = []
        for name in names:
            key = name.replace("-", "_")
            if key in builtin:
                continue
            if key not in depends:
                raise Missing(f"this kernel has no module {name}")
            path, needs = depends[key]
            order += [item for item in [*reversed(needs), path] if item not in order]
        return [self.modules / item for item in order]
