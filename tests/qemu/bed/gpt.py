# SPDX-License-Identifier: MIT
"""A partition table as kernels read it: GPT, both copies."""
import struct
import uuid
import zlib

SECTOR = 512
ENTRIES, ENTRY_BYTES = 128, 128
TABLE_SECTORS = ENTRIES * ENTRY_BYTES // SECTOR
ALIGN = 2048
LINUX = uuid.UUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4").bytes_le


def layout(sizes):
    """First sector and sectors of each partition in order, and the sectors of the disk."""
    at, places = ALIGN, {}
    for name, size in sizes.items():
        sectors = -(-size // SECTOR)
        places[name] = (at, sectors)
        at += -(-sectors // ALIGN) * ALIGN
    return places, at + ALIGN


def _header(here, other, table, last, entries, disk):
    head = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, here, other, TABLE_SECTORS + 2, last, disk, table,
                       ENTRIES, ENTRY_BYTES, zlib.crc32(entries))
    return head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]


def write(file, sizes, identity=b"dfota test bed.."):
    places, sectors = layout(sizes)
    entries = b"".join(struct.pack("<16s16sQQQ", LINUX, identity[:15] + bytes([number]), first, first + count - 1, 0) +
                       name.encode("utf-16le").ljust(72, b"\0")
                       for number, (name, (first, count)) in enumerate(places.items(), 1)).ljust(ENTRIES * ENTRY_BYTES, b"\0")
    last = sectors - TABLE_SECTORS - 2
    guard = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, sectors - 1)
    file.truncate(sectors * SECTOR)
    file.seek(0)
    file.write(b"\0" * 446 + guard + b"\0" * 48 + b"\x55\xaa")
    file.write(_header(1, sectors - 1, 2, last, entries, identity).ljust(SECTOR, b"\0") + entries)
    file.seek((sectors - 1 - TABLE_SECTORS) * SECTOR)
    file.write(entries + _header(sectors - 1, 1, sectors - 1 - TABLE_SECTORS, last, entries, identity).ljust(SECTOR, b"\0"))
    return places
