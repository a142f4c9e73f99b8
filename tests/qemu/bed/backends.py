# SPDX-License-Identifier: MIT
"""What differs between the media that partitions live on: how a fresh module of them is made, and how they are read afterwards."""
import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import gpt, nand
from .site import Site

AREA = 1280 << 10  # journal, ring, and the stash that packages here may need


class Backend:
    name = None
    segment = 32 << 10
    sizes = {"boot": 200_000, "modem": 60_000, "sbl": 20_000, "system": 330_001, "tz": 16_384}
    early = ["ext4", "crc32c_generic"]
    late = ["virtio_pci", "virtio_blk"]  # after the snapshot: they look at media
    programs = []                        # that the guest's scripts call
    pack = []                            # more words for `dfota pack`
    nand_parts = ()
    area_bytes = AREA
    state_bytes = 24 << 20
    files_stay = False                   # whether images are files of the module's folder
    stay = ()                            # images whose parts stay where they are
    grows = 0                            # bytes that an image may become longer
    chain = None                         # the cuts of the one upgrade that is enough
    cuts = 200                           # as many as are tried when nothing is said

    def site(self, *words):
        return Site(*words)

    def disk_sizes(self):
        """Beside the state's: name and bytes."""
        return []

    def ini(self):
        """Lines of module.ini."""
        return ""

    def prepare(self):
        """Shell lines that the guest runs before dfotad."""
        return ""

    def jobs(self):
        """Scripts that the guest can run in place of dfotad."""
        return {}

    def make(self, site):
        """Media of a module that runs the old version, in `site.template`."""

    def read(self, trial):
        """Images by name, from media without power, as long as the new ones; None where they cannot be read."""
        raise NotImplementedError


class File(Backend):
    """Images in the file system that holds the state, too."""

    name = "file"
    files_stay = True
    grows = 3000

    def read(self, trial):
        with tempfile.TemporaryDirectory(dir=trial.folder) as work:
            copy = pathlib.Path(work) / "state"
            shutil.copy(trial.folder / "state.img", copy)
            subprocess.run(["/sbin/e2fsck", "-fy", str(copy)], capture_output=True, check=False)
            out = {}
            for name in trial.site.new:
                target = pathlib.Path(work) / name
                subprocess.run(["/sbin/debugfs", "-R", f"dump flash/{name}.img {target}", str(copy)], capture_output=True,
                               check=True)
                out[name] = target.read_bytes()
            return out


class Block(Backend):
    """Partitions of a disk with a volatile cache, and the area on another one: a flush of one does nothing for the other."""

    name = "block"
    grows = 3000

    def table(self):
        return {name: size + 8192 for name, size in self.sizes.items()}

    def disk_sizes(self):
        return [("parts", gpt.layout(self.table())[1] * gpt.SECTOR), ("area", self.area_bytes)]

    def ini(self):
        return "area = block:/dev/vdc\n" + "".join(f"partition-{name} = block:/dev/vdb{number}\n"
                                                   for number, name in enumerate(self.table(), 1))

    def make(self, site):
        (site.template / "area.img").write_bytes(b"\xa5" * self.area_bytes)
        with open(site.template / "parts.img", "w+b") as file:
            for name, (first, _) in gpt.write(file, self.table()).items():
                file.seek(first * gpt.SECTOR)
                file.write(site.old.get(name, b""))

    def read(self, trial):
        places, _ = gpt.layout(self.table())
        out = {}
        with open(trial.folder / "parts.img", "rb") as file:
            for name, data in trial.site.new.items():
                file.seek(places[name][0] * gpt.SECTOR)
                out[name] = file.read(len(data))
        return out


class Mtd(Backend):
    """Raw NAND, with blocks that are bad from the start."""

    name = "mtd"
    segment = nand.BLOCK
    late = ["virtio_pci", "virtio_blk", "mtd", "dfota_nand"]
    sizes = {"boot": 300_000, "modem": 140_000, "sbl": 20_000, "system": 500_001, "tz": 16_384}
    grows = 3000
    spare = 4  # blocks of each partition beyond those of its image

    @property
    def nand_parts(self):
        parts = [(name, -(-(size + self.grows) // nand.BLOCK) + self.spare) for name, size in self.sizes.items()]
        return parts + [("area", 20)]

    def ini(self):
        places = {name: f"mtd:/dev/mtd{number}" for number, (name, _) in enumerate(self.nand_parts)}
        return f"area = {places.pop('area')}\n" + "".join(f"partition-{name} = {place}\n" for name, place in places.items())

    def make(self, site):
        chip = site.nand(site.template)
        chip.create(bad={chip.first("boot") + 1, chip.first("system"), chip.first("area") + 2})
        for name, data in site.old.items():
            chip.program(name, data)

    def read(self, trial):
        return {name: trial.nand.read(name, len(data)) for name, data in trial.site.new.items()}


class Ubi(Backend):
    """Volumes of one UBI device on the same NAND, made with mtd-utils and read by the kernel."""

    name = "ubi"
    segment = 124 << 10  # a logical block: two pages of each block are UBI's
    late = ["virtio_pci", "virtio_blk", "mtd", "dfota_nand", "ubi"]
    programs = ["ubiformat", "ubiattach", "ubimkvol", "ubiupdatevol"]
    sizes = {"boot": 300_000, "modem": 140_000, "sbl": 20_000, "system": 500_001, "tz": 16_384}
    grows = 3000
    nand_parts = (("ubi", 72),)
    area_blocks = 14

    def volumes(self):
        return {name: -(-(size + self.grows) // self.segment) for name, size in self.sizes.items()} | {"area": self.area_blocks}

    def ini(self):
        places = {name: f"ubi:/dev/ubi0_{number}" for number, name in enumerate(self.volumes())}
        return f"area = {places.pop('area')}\n" + "".join(f"partition-{name} = {place}\n" for name, place in places.items())

    def prepare(self):
        return "ubiattach -p /dev/mtd0 >/dev/null || echo 'BED: UBI cannot be attached'\n"

    def jobs(self):
        volumes = list(self.volumes().items())
        make = ["ubiformat /dev/mtd0 -y -q", "ubiattach -p /dev/mtd0"]
        make += [f"ubimkvol /dev/ubi0 -n {number} -N {name} -S {blocks}" for number, (name, blocks) in enumerate(volumes)]
        make += [f"ubiupdatevol /dev/ubi0_{number} /module/flash/{name}.img" for number, (name, _) in enumerate(volumes)
                 if name in self.sizes]
        return {"make": "set -e\n" + "\n".join(make) + "\necho BED: made\n",
                "sums": "".join(f"echo BED: sum {name} $(head -c $(cat /module/{name}.bytes) /dev/ubi0_{number} | sha256sum)\n"
                                for number, (name, _) in enumerate(volumes) if name in self.sizes) + "echo BED: summed\n"}

    def make(self, site):
        chip = site.nand(site.template)
        chip.create(bad={5, 40})
        site.job_life(site.template, "make", "BED: made")

    def read(self, trial):
        text = trial.site.job_life(trial.folder, "sums", "BED: summed")
        found = dict(re.findall(r"BED: sum (\w+) ([0-9a-f]{64})", text))
        return {name: data if found.get(name) == hashlib.sha256(data).hexdigest() else None
                for name, data in trial.site.new.items()}


class UbiAtomic(Ubi):
    """The same with a package that needs no ring there."""

    name = "ubi-atomic"
    cuts = 60
    pack = ["--atomic"]
    stay = ("system", "boot") # so that many steps read the block that they change


BACKENDS = {backend.name: backend for backend in (File, Block, Mtd, Ubi, UbiAtomic)}
