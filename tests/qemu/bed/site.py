# SPDX-License-Identifier: MIT
"""What all trials of a run share: two firmware versions, the package, a module that runs the old one, the guest's snapshot."""
import pathlib
import random
import shutil
import subprocess
import sys

from . import disk, initramfs, kernel, machine, nand

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "system"))
from harness import PROJECT, edited, text_like, write_firmware  # noqa: E402

OLD, NEW = "v12", "v13"
PACKAGE = "update.zip"
STATE_SECTOR = 4096  # ext4 writes its superblock in place and in whole blocks: what is smaller it does not survive
INI = "\nport = /dev/ttyS1\nreboot = kernel\nurc-settle-ms = 0\nreboot-ms = 50\n"


class Site:
    def __init__(self, folder, build, backend, seed, dfotad=None):
        self.folder, self.backend = pathlib.Path(folder), backend
        self.dfota = pathlib.Path(build) / "src/cli/dfota"
        self.dfotad = pathlib.Path(dfotad or pathlib.Path(build) / "src/module/dfotad")
        self.template = self.folder / "template"
        self.template.mkdir(parents=True)
        self.kernel = kernel.Kernel()
        self.disks = [("state", backend.state_bytes), *backend.disk_sizes()]
        self.firmware(random.Random(f"firmware-{seed}"))
        self.guest()
        folder = self.module()
        self.state(folder)
        self.backend.make(self)
        if not backend.files_stay: # they were there for what has made the media
            shutil.rmtree(folder / "flash")
            self.state(folder)
        self.snapshot_make()

    def tool(self, *words):
        result = subprocess.run([str(self.dfota), *map(str, words)], capture_output=True, text=True, timeout=600, check=False)
        if result.returncode:
            raise machine.Failed(f"dfota {words}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout

    def firmware(self, rng):
        """tz stays the same; the others change, hold something new, and most move within themselves."""
        sizes = self.backend.sizes
        self.old = {name: text_like(rng, size) for name, size in sizes.items()}
        self.new = {name: data if name == "tz" else edited(rng, data, name not in self.backend.stay)[:len(data) + self.backend.grows]
                    for name, data in self.old.items()}
        write_firmware(self.folder / OLD, OLD, self.old)
        write_firmware(self.folder / NEW, NEW, self.new)
        self.pack()

    def pack(self):
        self.key = self.folder / "release"
        self.tool("keygen", self.key)
        self.package = self.folder / PACKAGE
        self.tool("pack", self.folder / OLD, self.folder / NEW, "-o", self.package, "--key", f"{self.key}.key",
                  "--segment", self.backend.segment, *self.backend.pack)

    def module(self):
        folder = self.folder / "module"
        self.tool("mkmodule", folder, "--firmware", self.folder / OLD, "--trust", f"{self.key}.pub")
        with open(folder / "module.ini", "a", encoding="ascii") as file:
            file.write(INI + self.backend.ini())
        for name, data in self.new.items():
            (folder / f"{name}.bytes").write_text(f"{len(data)}\n")
        prepare = self.backend.prepare()
        if prepare:
            (folder / "prepare").write_text(prepare)
            (folder / "prepare").chmod(0o755)
        shutil.copy(self.package, folder / "ufs" / PACKAGE)
        return folder

    def state(self, folder):
        image = self.template / "state.img"
        image.unlink(missing_ok=True)
        kernel.run("/sbin/mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", folder, image, f"{self.backend.state_bytes >> 10}k")

    def guest(self):
        backend = self.backend
        late = [self.kernel.nand if name == "dfota_nand" else name for name in backend.late]
        self.initrd = self.folder / "initramfs"
        self.initrd.write_bytes(initramfs.build(self.kernel, backend.early, late, backend.programs, self.dfotad,
                                                [(f"jobs/{name}", text.encode()) for name, text in backend.jobs().items()]))

    def snapshot_make(self):
        guest = self.machine(self.folder)
        guest.make_snapshot()
        self.snapshot = guest.snapshot

    def told(self, text, guest):
        """What is wrong with what ATI told, beside the version; None when nothing is."""
        del text, guest

    def nand(self, folder):
        return nand.Nand(pathlib.Path(folder) / "nand", self.backend.nand_parts) if self.backend.nand_parts else None

    def machine(self, folder):
        chip = self.nand(folder)
        if chip and not chip.path.exists():
            chip.create()
        guest = machine.Machine(folder, self.kernel.vmlinux, self.initrd, self.disks, pathlib.Path(folder) / "nbd", chip)
        guest.snapshot = getattr(self, "snapshot", guest.snapshot)
        return guest


    def job_life(self, folder, job, done):
        """A life in which the guest runs a script of the backend. Returns what it said."""
        supply = disk.Supply()
        disks = [disk.Disk(supply, name, folder / f"{name}.img", STATE_SECTOR) for name, _ in self.disks]
        server = disk.Server(folder / "nbd-job", disks)
        guest = self.machine(folder)
        guest.disk_socket = folder / "nbd-job"
        if guest.nand:
            guest.nand.arm(0)
        supply.switch_on(cut=guest.process_kill)
        guest.start(True, job)
        try:
            guest.wait_console(done)
        finally:
            guest.end()
            supply.switch_off(False)
            server.close()
            for item in disks:
                item.close()
            guest.log.close()
        if done not in guest.console:
            raise machine.Failed(f"job {job}:\n{guest.console[-3000:]}")
        return guest.console


__all__ = ["NEW", "OLD", "PACKAGE", "PROJECT", "STATE_SECTOR", "Site"]
