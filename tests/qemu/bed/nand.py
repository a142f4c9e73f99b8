# SPDX-License-Identifier: MIT
"""The file with the cells of the NAND module (nand/dfota_nand.c), as the host writes and reads it between two boots."""
import os
import struct

PAGE, OOB, PAGES = 2048, 64, 64
BLOCK = PAGE * PAGES
HEAD = struct.Struct("<IIQQIIQQQQ")
HEAD_BYTES, MAGIC = 4096, 0x44444E41
GOOD, BAD, WORN = range(3)
ERASED, PROGRAMMED, TORN = range(3)
ADDRESS = 128 << 20  # where QEMU puts the file in the guest's memory
FIELDS = "magic blocks operations cut_at cut_kind seed programmed erased twice disorder".split()


class Nand:
    """`parts`: name and size in blocks of each partition, in their order."""

    def __init__(self, path, parts):
        self.path, self.parts = path, parts
        self.blocks = sum(size for _, size in parts)
        need = HEAD_BYTES + self.blocks * (BLOCK + PAGES * OOB + PAGES + 1)
        self.bytes = -(-need // (2 << 20)) * (2 << 20)

    def first(self, name):
        at = 0
        for part, size in self.parts:
            if part == name:
                return at
            at += size
        raise KeyError(name)

    def words(self):
        """For the kernel's command line."""
        return (f"dfota_nand.address={ADDRESS:#x} dfota_nand.bytes={self.bytes:#x} "
                f"dfota_nand.names={','.join(name for name, _ in self.parts)} "
                f"dfota_nand.sizes={','.join(str(size) for _, size in self.parts)}")

    def create(self, bad=()):
        """A fresh chip: all erased, these blocks marked bad by its maker."""
        with open(self.path, "wb") as file:
            file.write(HEAD.pack(MAGIC, self.blocks, *[0] * 8).ljust(HEAD_BYTES, b"\0"))
            for _ in range(self.blocks):
                file.write(b"\xff" * BLOCK)
            file.write(b"\xff" * (self.blocks * PAGES * OOB) + bytes(self.blocks * PAGES))
            file.write(bytes(BAD if block in bad else GOOD for block in range(self.blocks)))
            file.truncate(self.bytes)

    def head(self):
        with open(self.path, "rb") as file:
            return dict(zip(FIELDS, HEAD.unpack(file.read(HEAD.size))))

    def arm(self, after, kind=0, seed=0):
        """Cut at the operation that many after now; 0 = never."""
        at = self.head()["operations"] + after if after else 0
        with open(self.path, "r+b") as file:
            file.seek(16)
            file.write(struct.pack("<QII", at, kind, seed))

    def _at(self, file, offset, count):
        return os.pread(file.fileno(), count, offset)

    def marks(self):
        with open(self.path, "rb") as file:
            return self._at(file, HEAD_BYTES + self.blocks * (BLOCK + PAGES * OOB + PAGES), self.blocks)

    def program(self, name, data):
        """Puts an image into a partition as a factory does: page by page over its good blocks."""
        marks, block = self.marks(), self.first(name)
        size = dict(self.parts)[name]
        states = HEAD_BYTES + self.blocks * (BLOCK + PAGES * OOB)
        with open(self.path, "r+b") as file:
            for at in range(0, len(data), BLOCK):
                while marks[block] != GOOD:
                    block += 1
                if block >= self.first(name) + size:
                    raise ValueError(f"{name} does not fit")
                piece = data[at:at + BLOCK]
                os.pwrite(file.fileno(), piece, HEAD_BYTES + block * BLOCK)
                os.pwrite(file.fileno(), bytes([PROGRAMMED]) * -(-len(piece) // PAGE), states + block * PAGES)
                block += 1

    def read(self, name, count):
        """The first bytes of a partition over its good blocks; None in place of a block that does not read well."""
        marks, first = self.marks(), self.first(name)
        states = HEAD_BYTES + self.blocks * (BLOCK + PAGES * OOB)
        out = []
        with open(self.path, "rb") as file:
            for block in range(first, first + dict(self.parts)[name]):
                if marks[block] == BAD or sum(len(piece) for piece in out) >= count:
                    continue
                if TORN in self._at(file, states + block * PAGES, PAGES):
                    return None
                out.append(self._at(file, HEAD_BYTES + block * BLOCK, BLOCK))
        return b"".join(out)[:count]
