# SPDX-License-Identifier: MIT
"""What differs between the media that partitions live on: how a fresh module of them is made, and how they are read afterwards."""
import pathlib
import re
import shutil
import subprocess
import tempfile

SECTOR = 512
EARLY = ["ext4", "crc32c_generic"]
LATE = ["virtio_pci", "virtio_blk"]


class Backend:
    """File: images in the state's file system. The others say where they differ."""

    name = "file"
    segment = 32 << 10
    nand_parts = ()
    early, late = EARLY, LATE
    programs = ()
    sizes = {"boot": 200_000, "modem": 60_000, "sbl": 20_000, "system": 330_001, "tz": 16_384}

    def disk_sizes(self):
        """Beside the state's."""
        return []

    def ini(self):
        return ""

    def prepare(self):
        """Shell lines that the guest runs before dfotad."""
        return ""

    def files_stay(self):
        return True

    def make(self, site):
        """Media of a module that runs v12, in `site.template`."""

    def read(self, trial, names):
        """Images by name, from media without power."""
        with tempfile.TemporaryDirectory(dir=trial.folder) as work:
            copy = pathlib.Path(work) / "state"
            shutil.copy(trial.folder / "state.img", copy)
            subprocess.run(["/sbin/e2fsck", "-fy", str(copy)], capture_output=True, check=False)
            out = {}
            for name in names:
                target = pathlib.Path(work) / name
                subprocess.run(["/sbin/debugfs", "-R", f"dump flash/{name}.img {target}", str(copy)], capture_output=True,
                               check=True)
                out[name] = target.read_bytes()
            return out


class File(Backend):
    pass


BACKENDS = {backend.name: backend for backend in (File,)}
