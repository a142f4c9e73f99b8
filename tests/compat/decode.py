#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A second decoder of packages, written from docs/package-format.md and what it links to. Slow; for small packages.

usage: decode.py PACKAGE OLD_FOLDER OUT_FOLDER
"""
import hashlib
import json
import lzma
import pathlib
import struct
import sys
import zipfile

import predict


class Corrupt(Exception):
    pass


def need(good, text):
    if not good:
        raise Corrupt(text)


def unzigzag(v):
    return v >> 1 ^ -(v & 1)


class Bytes:
    """Reads numbers one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data), "too short")
        self.at += count
        return self.data[self.at - count:self.at]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                need(value < 1 << 64, "number")
                return value
        raise Corrupt("number")


# ---- coding plain


def plain_unpack(packed, size, packing):
    if packing == 255:
        return packed
    pb, lp, lc = packing // 45, packing // 9 % 5, packing % 9
    need(pb <= 4 and lc + lp <= 4, "packing")
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[
        {"id": lzma.FILTER_LZMA2, "dict_size": max(size, 4096), "lc": lc, "lp": lp, "pb": pb}])
    data = decoder.decompress(packed)
    need(decoder.eof and not decoder.unused_data and len(data) == size, "packed stream")
    return data


def plain_add(at, old, difference, words):
    out, i = bytearray(), 0
    while i < len(old):
        if words and (at + i) % 4 == 0 and len(old) - i >= 4:
            total = sum(int.from_bytes(part[i:i + 4], "little") for part in (old, difference))
            out += (total & 0xffffffff).to_bytes(4, "little")
            i += 4
        else:
            out.append((old[i] + difference[i]) & 255)
            i += 1
    return bytes(out)


def plain_decode(chunk, old, at, size, segment):
    head = Bytes(chunk)
    flags = head.take(1)[0]
    need(flags < 2, "flags")
    sizes = [head.varint() for _ in range(3)]
    need(sizes[0] <= segment // 4 + 64 and sizes[1] + sizes[2] <= size, "sizes")
    packings = [(n, head.take(1)[0], head.varint()) if n else (0, 255, 0) for n in sizes]
    streams = [Bytes(plain_unpack(head.take(packed), n, packing)) for n, packing, packed in packings]
    need(all(len(s.data) == n for s, n in zip(streams, sizes)) and head.at == len(chunk), "streams")
    control, difference, literal = streams
    out, diagonal = bytearray(), 0
    while control.at < len(control.data):
        argument, operation = divmod(control.varint(), 4)
        if operation == 3:
            diagonal = diagonal + unzigzag(argument)
            continue
        need(0 < argument <= size - len(out), "length")
        if operation == 0:
            out += literal.take(argument)
            continue
        start = (at + len(out) + diagonal) % (1 << 64)
        need(start + argument <= len(old), "old bytes")
        part = old[start:start + argument]
        out += plain_add(at + len(out), part, difference.take(argument), flags) if operation == 2 else part
    need(len(out) == size and all(s.at == len(s.data) for s in streams), "left over")
    return bytes(out)


# ---- deltas and packages


def decode_delta(delta, old):
    header = struct.unpack_from("<3sBIQQIIIIQIIIIQQIII", delta)
    (magic, form, _unit, old_bytes, new_bytes, segment, steps, _copies, copy_bytes, chunk_bytes, prelude_bytes,
     _stash, _live, codings, _moved, _changed, *room) = header
    need(magic == b"DFD" and form == 1, "header")
    need(old_bytes == len(old), "old image")
    prelude_at = 92 + 64 * steps + copy_bytes
    chunk_at = prelude_at + prelude_bytes
    need(chunk_at + chunk_bytes == len(delta), "size")
    image = None
    if codings >> 2 & 1:
        image = predict.Image(delta[prelude_at:chunk_at], old, new_bytes, room)
    new = bytearray(new_bytes)
    used, done = set(), 0
    for i in range(steps):
        first, count, _units, kind, coding, _n, size, source, target, digest = struct.unpack_from(
            "<IIQBBHI8s16s16s", delta, 92 + 64 * i)
        start, end = first * segment, min((first + count) * segment, new_bytes)
        old_part = old[start:(first + count) * segment]
        need(hashlib.sha256(old_part).digest()[:8] == source, f"step {i}: old bytes")
        if kind == 3:
            continue
        if kind == 0:
            part = old[start:end]
        else:
            chunk = delta[chunk_at:chunk_at + size]
            chunk_at += size
            need(hashlib.sha256(chunk).digest()[:16] == digest, f"step {i}: chunk")
            need(codings >> coding & 1 and 1 <= size <= end - start, f"step {i}: coding")
            if coding == 0:
                part = chunk
            elif coding == 1:
                part = plain_decode(chunk, old, start, end - start, segment)
            else:
                part = image.decode(chunk, start, end)
            used.add(coding)
        need(len(part) == end - start, f"step {i}: size")
        need(hashlib.sha256(part).digest()[:16] == target, f"step {i}: new bytes")
        new[start:end] = part
        done += len(part)
    need(done == new_bytes and chunk_at == len(delta), "steps")
    return bytes(new), used


def manifest(path):
    with zipfile.ZipFile(path) as package:
        return json.loads(package.read("manifest.json"))


def decode_package(path, old_folder):
    """Yields name, new image, codings used."""
    told = manifest(path)
    need(told["format"] == 1, "format")
    with zipfile.ZipFile(path) as package:
        for partition in told["partitions"]:
            name = partition["name"]
            old = (pathlib.Path(old_folder) / f"{name}.img").read_bytes()
            need(hashlib.sha256(old).hexdigest() == partition["old"]["sha256"], f"{name}: old image")
            delta = package.read(f"{name}.delta")
            index = delta[:partition["delta"]["index"]]
            need(hashlib.sha256(index).hexdigest() == partition["delta"]["sha256"], f"{name}: index")
            new, used = decode_delta(delta, old)
            need(hashlib.sha256(new).hexdigest() == partition["new"]["sha256"], f"{name}: new image")
            yield name, new, used


def main():
    package, old_folder, out_folder = sys.argv[1:]
    for name, new, used in decode_package(package, old_folder):
        (pathlib.Path(out_folder) / f"{name}.img").write_bytes(new)
        print(name, len(new), "codings", *sorted(used))


if __name__ == "__main__":
    main()
