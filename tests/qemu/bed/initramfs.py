# SPDX-License-Identifier: MIT
"""The guest's first file system: busybox, init, kernel modules, dfotad with the libraries that it loads.

Not compressed: an emulated processor copies faster than it inflates.
"""
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

INIT = pathlib.Path(__file__).resolve().parents[1] / "guest" / "init"
FOLDERS = "bin dev proc sys tmp mnt modules module run etc".split()


def bare(path):
    """The file without what only a debugger reads: it is all in the guest's memory."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["strip", "--strip-debug", "-o", out.name, str(path)], check=True)
        return pathlib.Path(out.name).read_bytes()


class Archive:
    """cpio in the kernel's format, "newc"."""

    def __init__(self):
        self.parts, self.seen, self.inode = [], set(), 0

    def _entry(self, name, mode, data):
        self.inode += 1
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def folder(self, name):
        name = name.strip("/")
        if not name or name in self.seen:
            return
        self.folder(str(pathlib.PurePath(name).parent) if "/" in name else "")
        self.seen.add(name)
        self._entry(name, stat.S_IFDIR | 0o755, b"")

    def add(self, name, data, mode=0o644):
        name = name.strip("/")
        if name in self.seen:
            return
        self.folder(str(pathlib.PurePath(name).parent) if "/" in name else "")
        self.seen.add(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def program(self, path, name):
        """An executable and what its dynamic linker loads."""
        path = pathlib.Path(path)
        self.add(name, bare(path), 0o755)
        listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            self.add(library, pathlib.Path(library).read_bytes(), 0o755)

    def bytes(self):
        end = Archive()
        end._entry("TRAILER!!!", 0, b"")
        return b"".join(self.parts + end.parts)


def build(kernel, early, late, programs, dfotad, extra=()):
    """`early` modules are loaded before a snapshot is made, `late` ones after it: those that look at media."""
    archive = Archive()
    for folder in FOLDERS:
        archive.folder(folder)
    archive.add("init", INIT.read_bytes(), 0o755)
    archive.program(shutil.which("busybox"), "bin/busybox")
    archive.program(dfotad, "bin/dfotad")
    for program in programs:
        archive.program(shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin"), f"bin/{program}")
    loaded = []
    for stage, names in ("early", early), ("late", late):
        files = [path for path in names if isinstance(path, pathlib.Path)]
        paths = [path for path in kernel.resolve([name for name in names if isinstance(name, str)]) + files
                 if path not in loaded]
        loaded += paths
        for path in paths:
            archive.add(f"modules/{path.name}", bare(path))
        archive.add(f"modules/{stage}", "".join(f"{path.name}\n" for path in paths).encode())
    for name, data in extra:
        archive.add(name, data)
    return archive.bytes()
