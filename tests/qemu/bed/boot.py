# SPDX-License-Identifier: MIT
"""The guest boots what was upgraded: partition `boot` holds kernel and initramfs, of two releases of Debian's kernel.

This file is also the boot loader: before each life it reads the partition and gives QEMU what lies there. While an upgrade is under way
that is a mixture, which its digest tells; then the recovery image boots, as on a device with one. ATI tells what runs:
the guest's init puts the kernel's release and that of the initramfs into its second line.
"""
import hashlib
import pathlib
import struct

from . import backends, gpt, initramfs, kernel, machine
from .site import NEW, OLD, PROJECT, Site, write_firmware

HEAD = struct.Struct("<8sIII32s")
MAGIC, HEAD_BYTES = b"DFOTABED", 4096
MIB = 1 << 20


def image(release, system, work_initramfs):
    vmlinuz = (system.tree / "boot" / f"vmlinuz-{system.version}").read_bytes()
    body = vmlinuz + work_initramfs
    head = HEAD.pack(MAGIC, 1, len(vmlinuz), len(work_initramfs), hashlib.sha256(body).digest())
    return (head + release.encode()).ljust(HEAD_BYTES, b"\0") + body


def take_apart(data):
    """Kernel and initramfs, or None when it is not whole."""
    magic, _, kernel_bytes, initramfs_bytes, digest = HEAD.unpack_from(data)
    body = data[HEAD_BYTES:HEAD_BYTES + kernel_bytes + initramfs_bytes]
    if magic != MAGIC or hashlib.sha256(body).digest() != digest:
        return None
    return body[:kernel_bytes], body[kernel_bytes:]


class Loader(machine.Machine):
    """A machine without a kernel of its own."""

    def __init__(self, site, folder):
        super().__init__(folder, site.kernel.vmlinux, site.initrd, site.disks, pathlib.Path(folder) / "nbd")
        self.site, self.recovery = site, (site.kernel.vmlinux, site.initrd)
        self.booted = []

    def start(self, cold, job=None):
        first = gpt.layout(self.site.backend.table())[0]["boot"][0] * gpt.SECTOR
        with open(self.folder / "parts.img", "rb") as file:
            file.seek(first)
            found = take_apart(file.read(self.site.backend.table()["boot"]))
        self.booted.append("partition" if found else "recovery")
        self.kernel, self.initrd = self.recovery
        if found:
            self.kernel, self.initrd = self.folder / "kernel", self.folder / "initrd"
            self.kernel.write_bytes(found[0])
            self.initrd.write_bytes(found[1])
        super().start(True, job)


class Boot(backends.Block):
    """As Block, with one large partition."""

    name = "boot"
    segment = 128 << 10
    sizes = {"boot": 40 * MIB}
    chain = "disk@150.torn#1,disk@200.after#2,disk@120.before#3"
    area_bytes = 4 * MIB
    state_bytes = 96 * MIB

    def site(self, *words):
        return BootSite(*words)


class BootSite(Site):
    def firmware(self, rng):
        self.releases = {OLD: kernel.Kernel(kernel.older(self.kernel.version)), NEW: self.kernel}
        if self.releases[OLD].version == self.kernel.version:
            raise machine.Failed("both firmwares have the same kernel")
        images = {}
        for release, system in self.releases.items():
            ramfs = initramfs.build(system, self.backend.early, self.backend.late, [], self.dfotad,
                                    [("etc/release", f"{release}\n".encode())])
            images[release] = {"boot": image(release, system, ramfs)}
            write_firmware(self.folder / release, release, images[release], PROJECT)
        self.old, self.new = images[OLD], images[NEW]
        self.pack()

    def snapshot_make(self):
        self.snapshot = None # each life begins with its boot loader

    def machine(self, folder):
        return Loader(self, folder)

    def told(self, text, guest):
        want = f"Linux {self.releases[NEW].version} {NEW}"
        if f"\n{want}\n" not in text:
            return f"ATI does not tell that {want} runs: {text!r}"
        if guest.booted[0] != "partition" or guest.booted[-1] != "partition":
            return f"booted from: {guest.booted}"
        return None
