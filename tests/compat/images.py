#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Images of the packages in this folder: small programs of every instruction set, linked twice.

What is made here is fixed for ever: packages name the digests. Nothing but SHA-256 gives the chances.

usage: images.py FOLDER      makes FOLDER/v1 and FOLDER/v2
"""
import hashlib
import pathlib
import struct
import sys

from linked import linked

BASE = {"a64": 0x400000, "a32": 0x10000, "t32": 0x10000, "x86": 0x400000, "riscv": 0x10000, "btf": 0x400000, "names": 0x400000}
MACHINE = {"a64": 183, "a32": 40, "t32": 40, "x86": 62, "riscv": 243, "btf": 183, "names": 183}
DATA = 0x20000  # from code to data
BTF_TYPES = 1200  # enough for two segments
SYMBOLS = 4300    # the same, and markers enough to be found


class Chance:
    def __init__(self, seed):
        self.seed, self.count, self.left = seed, 0, b""

    def byte(self):
        if not self.left:
            self.left = hashlib.sha256(f"{self.seed} {self.count}".encode()).digest()
            self.count += 1
        first, self.left = self.left[0], self.left[1:]
        return first

    def below(self, n):
        return int.from_bytes(bytes(self.byte() for _ in range(4)), "little") % n


def put(word, value, i, n):
    mask = (1 << n) - 1
    return word & ~(mask << i) | (value & mask) << i


# Each item is (bytes, make): make(address, target) gives its bytes, target being where it points to.


def a64_items(chance):
    r, d = chance.below(28), chance.below(28)
    mov = [0xaa0003e0 | r << 16 | d, 0x8b000000 | r << 16 | d << 5 | r, 0xd2800000 | chance.below(65536) << 5 | d]

    def page(word, at, to):
        v = (to >> 12) - (at >> 12)
        return struct.pack("<I", put(put(word, v >> 2, 5, 19), v, 29, 2))

    def adr(at, to):
        return struct.pack("<I", put(put(0x10000000 | d, (to - at) >> 2, 5, 19), to - at, 29, 2))

    def branch(word, i, n):
        return 4, lambda at, to: struct.pack("<I", put(word, (to - at) >> 2, i, n))

    adrp = (4, lambda at, to: page(0x90000000 | r, at, to))
    return {
        "plain": [[(4, lambda at, to, w=w: struct.pack("<I", w))] for w in mov],
        "code": [[branch(0x94000000, 0, 26)]] * 4 + [[branch(0x14000000, 0, 26)], [branch(0x54000001, 5, 19)],
                 [branch(0xb4000000 | d, 5, 19)], [branch(0x36000000 | d, 5, 14)]],
        "data": [[adrp, (4, lambda at, to: struct.pack("<I", put(0x91000000 | r << 5 | r, to, 10, 12)))],
                 [adrp, (4, lambda at, to: struct.pack("<I", put(0xf9400000 | r << 5 | d, (to & 4095) >> 3, 10, 12)))],
                 [branch(0x58000000 | d, 5, 19)], [(4, adr)]],
        "start": [(4, lambda at, to: struct.pack("<I", 0xa9be7bfd))],
    }


def a32_items(chance):
    r = chance.below(11)

    def half(word, shift):
        return 4, lambda at, to: struct.pack("<I", put(put(word | r << 12, to >> (shift + 12), 16, 4), to >> shift, 0, 12))

    def literal(word, scale, n):
        return 4, lambda at, to: struct.pack("<I", word | r << 12 | min(max(to - at - 8, 0) >> scale, (1 << n) - 1))

    def branch(word, i=2):
        return 4, lambda at, to: struct.pack("<I", put(word, (to - at - 8) >> 2, 0, 24))

    def pooled(user):
        """Loads the word behind a branch around it: a distance if the program counter is added, else an address."""
        words = [(4, lambda at, to, w=w: struct.pack("<I", w)) for w in (0xe59f0004 | r << 12, user, 0xea000000)]
        return words + [(4, lambda at, to: struct.pack("<I", to if user == 0xe1a00000 else to - at & 0xffffffff))]

    mov = [0xe1a00000 | r << 12 | chance.below(11), 0xe0800000 | r << 12 | chance.below(11) << 16, 0xe3a00000 | r << 12 | chance.below(256)]
    return {
        "plain": [[(4, lambda at, to, w=w: struct.pack("<I", w))] for w in mov],
        "code": [[branch(0xeb000000)]] * 4 + [[branch(0x0a000000)], [branch(0xfa000000)], [literal(0xe59f0000, 0, 12)],
                 [literal(0xed9f0b00, 2, 8)], [literal(0xe28f0000, 0, 8)]],
        "data": [[half(0xe3000000, 0), half(0xe3400000, 16)], pooled(0xe08f0000 | r << 12 | r), pooled(0xe1a00000)],
        "start": [(4, lambda at, to: struct.pack("<I", 0xe92d4070))],
    }


def t32_items(chance):
    r = chance.below(8)

    def far(second, down=False):
        def make(at, to):
            d = to - ((at + 4) & ~3 if down else at + 4)
            sign = d >> 24 & 1
            first = 0xf000 | sign << 10 | d >> 12 & 1023
            return struct.pack("<HH", first, second | ((d >> 23 & 1) ^ sign ^ 1) << 13 |
                               ((d >> 22 & 1) ^ sign ^ 1) << 11 | d >> 1 & 2047)
        return 4, make

    def condition(at, to):
        d = to - at - 4
        return struct.pack("<HH", 0xf040 | d >> 20 << 10 & 1024 | d >> 12 & 63,
                           0x8000 | d >> 18 << 13 & 8192 | d >> 19 << 11 & 2048 | d >> 1 & 2047)

    def half(first, shift):
        def make(at, to):
            v = to >> shift & 0xffff
            return struct.pack("<HH", first | v >> 12 | v >> 11 << 10 & 1024, v >> 8 << 12 & 0x7000 | r << 8 | v & 255)
        return 4, make

    def near(word, scale, n, down):
        def make(at, to):
            d = to - ((at + 4) & ~3 if down else at + 4)
            return struct.pack("<H", word | (d >> scale & (1 << n) - 1 if down is False or d >= 0 else 0))
        return 2, make

    def wide(first, n, scale):
        def make(at, to):
            d = to - ((at + 4) & ~3)
            v = min(abs(d) >> scale, (1 << n) - 1)
            return struct.pack("<HH", first | (128 if d >= 0 else 0), r << 12 | v)
        return 4, make

    def pooled(user):
        """As in ARM code; the word stands at a multiple of four."""
        def word(at, to):
            value = struct.pack("<I", to if user == 0xbf00 else to - at & 0xffffffff)
            return bytes(2) + value if at % 4 else value + bytes(2)
        halves = [(2, lambda at, to, w=w: struct.pack("<H", w)) for w in (0x4801 | r << 8, user, 0xe002)]
        return halves + [(6, word)]

    mov = [0x4600 | r << 3 | chance.below(8), 0x1c00 | r, 0x2000 | r << 8 | chance.below(256)]
    return {
        "plain": [[(2, lambda at, to, w=w: struct.pack("<H", w))] for w in mov],
        "code": [[far(0xd000)]] * 4 + [[far(0x9000)], [(4, condition)], [near(0xe000, 1, 11, False)],
                 [near(0x4800 | r << 8, 2, 8, True)], [near(0xa000 | r << 8, 2, 8, True)], [wide(0xf85f, 12, 0)],
                 [wide(0xed1f, 8, 2)], [near(0xd000, 1, 8, False)]],
        "data": [[half(0xf240, 0), half(0xf2c0, 16)], pooled(0x4478 | r), pooled(0xbf00)],
        "start": [(2, lambda at, to: struct.pack("<H", 0xb570))],
    }


def x86_items(chance):
    r = chance.below(8)

    def relative(head, tail=b""):
        n = len(head) + 4 + len(tail)
        return n, lambda at, to: head + struct.pack("<i", to - at - n) + tail

    mov = [bytes([0x89, 0xc0 | r]), bytes([0x48, 0x83, 0xc0 | r, chance.byte()]), bytes([0x8b, 0x44, 0x24, chance.byte()]),
           bytes([0xb8 | r]) + struct.pack("<I", chance.below(65536)), bytes([0x66, 0x0f, 0x6f, 0x40 | r & 3, 8])]
    return {
        "plain": [[(len(w), lambda at, to, w=w: w)] for w in mov],
        "code": [[relative(b"\xe8")]] * 4 + [[relative(b"\xe9")], [relative(b"\x0f\x84")]],
        "data": [[relative(bytes([0x48, 0x8d, 0x05 | r << 3]))], [relative(b"\xc7\x05", struct.pack("<I", chance.below(99)))],
                 [(5, lambda at, to: bytes([0xb8 | r]) + struct.pack("<I", to))]],
        "start": [(2, lambda at, to: b"\x55\x53")],
    }


def riscv_items(chance):
    r = 5 + chance.below(3)

    def placed(word, parts, size=4):
        def make(at, to):
            w = word
            for bit, place, n in parts:
                w = put(w, (to - at) >> bit, place, n)
            return struct.pack("<I", w)[:size]
        return size, make

    def pair(word, parts):
        """AUIPC and what adds the low bits, which are signed."""
        def low(at, to):
            return placed(word | r << 15, parts)[1](at - 4, to)
        return [(4, lambda at, to: struct.pack("<I", 0x17 | r << 7 | (to - at + 0x800) & 0xfffff000)), (4, low)]

    # A load from what was loaded, which is no part of an address.
    field = (4, lambda at, to: struct.pack("<I", 0x01003703 | r << 15))
    jal = ((20, 31, 1), (12, 12, 8), (11, 20, 1), (1, 21, 10))
    branch = ((12, 31, 1), (11, 7, 1), (5, 25, 6), (1, 8, 4))
    jump = ((11, 12, 1), (10, 8, 1), (8, 9, 2), (7, 6, 1), (6, 7, 1), (5, 2, 1), (4, 11, 1), (1, 3, 3))
    near = ((8, 12, 1), (6, 5, 2), (5, 2, 1), (3, 10, 2), (1, 3, 2))
    immediate, store = ((0, 20, 12),), ((5, 25, 7), (0, 7, 5))
    return {
        "plain": [[(2, lambda at, to: struct.pack("<H", 0x8082 | r << 7))], [(4, lambda at, to: struct.pack("<I", 0x33 | r << 7 | r << 20))]],
        "code": [[placed(0xef, jal)]] * 3 + [[placed(0x6f, jal)], [placed(0x63 | r << 15, branch)], [placed(0xa001, jump, 2)],
                 [placed(0xc001 | (r & 7) << 7, near, 2)], pair(0xe7, immediate)],
        "data": [pair(0x13 | r << 7, immediate), pair(0x3003 | r << 7, immediate) + [field], pair(0x3023 | 10 << 20, store)],
        "start": [(2, lambda at, to: struct.pack("<H", 0x1141))],
    }


ITEMS = {"a64": a64_items, "a32": a32_items, "t32": t32_items, "x86": x86_items, "riscv": riscv_items, "btf": a64_items, "names": a64_items}


def function(kind, chance, functions):
    """[(bytes, make, what it points to)]: a function by number, data by offset."""
    items = [(n, make, None) for n, make in ITEMS[kind](chance)["start"]]
    for _ in range(8 + chance.below(24)):
        choice = ("plain", "plain", "code", "code", "data")[chance.below(5)]
        group = ITEMS[kind](chance)[choice]
        group = group[chance.below(len(group))]
        to = ("code", chance.below(functions)) if choice == "code" else ("data", 8 * chance.below(96)) if choice == "data" else None
        items += [(n, make, to) for n, make in group]
    return items


def link(kind, functions, order, gap):
    """The program as ELF, functions placed in this order; `gap` bytes were put before data."""
    wide = MACHINE[kind] != 40
    head = 64 + 2 * 56 if wide else 52 + 2 * 32
    base, at, places = BASE[kind], head, {}
    for number in order:
        places[number] = base + at
        at += sum(item[0] for item in functions[number])
        at += -at % 4
    code_end, data_va = at, base + DATA + gap
    code = bytearray()
    for number in order:
        for size, make, to in functions[number]:
            here = base + head + len(code)
            aim = None if to is None else places[to[1]] if to[0] == "code" else data_va + to[1]
            try:
                part = make(here, aim)
            except struct.error:
                part = bytes(size)
            assert len(part) == size
            code += part
        code += bytes(-(head + len(code)) % 4)
    data = bytearray(gap)
    for i in range(96):
        aim = places[sorted(places)[i % len(functions)]]
        if i % 3 == 2:
            data += struct.pack("<iI", aim - (data_va + 8 * i), i)
        else:
            data += struct.pack("<Q", aim) if wide else struct.pack("<II", aim, data_va + 8 * (i // 2))
    if kind == "btf":
        data += btf(gap > 0)
    if kind == "names":
        data += bytes(-(code_end + len(data)) % 8)
        data += symbols(gap > 0)
    form = "<IIQQQQQQ" if wide else "<IIIIIIII"
    segments = b""
    for flags, offset, va, size, more in ((5, 0, base, code_end, 0), (6, code_end, base + DATA, len(data), 256)):
        fields = (offset, va, va, size, size + more)
        segments += (struct.pack(form, 1, flags, *fields, 4) if wide else struct.pack(form, 1, *fields, flags, 4))
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    if wide:
        elf = ident + struct.pack("<HHIQQQIHHHHHH", 2, MACHINE[kind], 1, base + head, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    else:
        elf = ident + struct.pack("<HHIIIIIHHHHHH", 2, MACHINE[kind], 1, base + head, 52, 0, 0, 52, 32, 2, 40, 0, 0)
    return elf + segments + bytes(code) + bytes(data)


def btf(later):
    """Type records of a struct kind or two; the later image has some more in the middle."""
    types, strings, chance = b"", bytearray(1), Chance("btf")
    numbers = [i for i in range(BTF_TYPES) if later or i % 40 != 17]
    place = {number: i + 1 for i, number in enumerate(numbers)}

    def name(text):
        strings.extend(text.encode() + b"\0")
        return len(strings) - len(text) - 1

    for i in range(BTF_TYPES):
        kind, other = (1, 2, 4, 4, 6, 8, 13, 3)[chance.below(8)], chance.below(BTF_TYPES)
        body = [chance.below(BTF_TYPES) for _ in range(1 + chance.below(4))]
        if i not in place:
            continue
        other, body = place.get(other, 1), [place.get(n, 1) for n in body]
        types += struct.pack("<II", name(f"type_{i}"), kind << 24 | (len(body) if kind in (4, 6, 13) else 0))
        types += struct.pack("<I", 4 * len(body) if kind in (1, 3, 4, 6) else other)
        if kind == 1:
            types += struct.pack("<I", 32)
        elif kind == 3:
            types += struct.pack("<III", other, 1, len(body))
        for k, n in enumerate(body):
            if kind == 4:
                types += struct.pack("<III", name(f"member_{i}_{k}"), n, 32 * k)
            elif kind in (6, 13):
                types += struct.pack("<II", name(f"value_{i}_{k}"), k if kind == 6 else n)
    strings = bytes(strings)
    return struct.pack("<HBBIIIII", 0xeb9f, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


def compress(text, pairs):
    for token, parts in pairs.items():
        text = text.replace(bytes(parts), bytes([token]))
    return text


def symbols(later):
    """A kernel's table of symbols; the later one has lost some and has new ones, and was compressed with other tokens."""
    chance = Chance("symbols")
    syllables = [bytes([97 + i % 20, 97 + (i * 7 + 3) % 26]) for i in range(48)]
    names = []
    for i in range(SYMBOLS):
        name = b"tTdDbB"[chance.below(6):][:1] + b"_".join(syllables[chance.below(48)] * (1 + chance.below(2))
                                                           for _ in range(2 + chance.below(3))) + b"%d" % (i % 100)
        gone, fresh = chance.below(90) == 0, chance.below(110) == 0
        if not (later and gone):
            names.append(name)
        if later and fresh:
            names.append(b"tfresh_%d" % i)
    free = [code for code in range(255, -1, -1) if not any(code in name for name in names)]
    rotated = list(dict.fromkeys(syllables[17:] + syllables[:17] if later else syllables))
    pairs, texts = {}, {code: bytes([code]) for name in names for code in name}
    for parts in [tuple(s) for s in rotated] + [(a, b) for a, b in zip(free[1:20], free[3 if later else 2:30])]:
        token = free[len(pairs)]
        pairs[token] = parts
        texts[token] = texts[parts[0]] + texts[parts[1]] if all(p in texts for p in parts) else bytes(parts)
    entries = [compress(name, pairs) for name in names]
    assert all(len(entry) < 128 for entry in entries)
    place, markers = 0, []
    for i, entry in enumerate(entries):
        if i % 256 == 0:
            markers.append(place)
        place += 1 + len(entry)
    out = bytearray()

    def put(data):
        out.extend(bytes(-len(out) % 8) + data)

    put(b"".join(struct.pack("<I", 16 * i + 8 * later) for i in range(len(names))))
    put(struct.pack("<QQ", BASE["names"], len(names)))
    put(b"".join(bytes([len(entry)]) + entry for entry in entries))
    put(b"".join(struct.pack("<I", marker) for marker in markers))
    put(b"".join(i.to_bytes(3, "big") for i in sorted(range(len(names)), key=lambda i: (names[i][1:], i))))
    table = [texts.get(code, b"") + b"\0" for code in range(256)]
    put(b"".join(table))
    put(b"".join(struct.pack("<H", sum(map(len, table[:code]))) for code in range(256)))
    return bytes(out)


def pair(kind):
    chance = Chance(kind)
    functions = [function(kind, chance, 60) for _ in range(60)]
    old = link(kind, functions, range(60), 0)
    for number in (3, 21, 40):  # an instruction more, and two other ones
        extra = ITEMS[kind](chance)["plain"][0]
        functions[number][5:5] = [(n, make, None) for n, make in extra]
    order = [*range(10), 50, *range(10, 50), *range(51, 60)]
    new = link(kind, functions, order, 24)
    return old, new


def squashfs(files):
    """The least that is one: files in the root, each starting where the last one ended; metadata are not compressed."""
    data, inodes, entries, block = bytearray(97), b"", b"", 1 << 17

    def head(kind, number):
        return struct.pack("<HHHHII", kind, 0o755, 0, 0, 0, number)

    def meta(content):
        assert len(content) <= 8192
        return struct.pack("<H", 0x8000 | len(content)) + content

    for number, (name, content) in enumerate(sorted(files.items()), 1):
        entries += struct.pack("<HhHH", len(inodes), number - 1, 2, len(name) - 1) + name.encode()
        inodes += head(2, number) + struct.pack("<IIII", len(data), 0xffffffff, 0, len(content))
        for at in range(0, len(content), block):
            inodes += struct.pack("<I", 1 << 24 | min(block, len(content) - at))
        data += content
    listing = struct.pack("<III", len(files) - 1, 0, 1) + entries
    root, table = len(inodes), len(data)
    inodes += head(1, len(files) + 1) + struct.pack("<IIHHI", 0, 2, len(listing) + 3, 0, len(files) + 2)
    listing_at = table + 2 + len(inodes)
    data += meta(inodes) + meta(listing)
    ids = len(data) + 6
    data += meta(bytes(4)) + struct.pack("<Q", len(data))
    data[:96] = b"hsqs" + struct.pack("<IIIIHHHHHHQQQQQQQQ", len(files) + 1, 0, block, 0, 1, 17, 0x21b, 1, 4, 0, root, len(data), ids,
                                      0xffffffffffffffff, table, listing_at, 0xffffffffffffffff, 0xffffffffffffffff)
    return bytes(data)


def tree(later):
    """Programs that start at any byte, and at another one later."""
    files = {kind: pair(kind)[later] for kind in ("a64", "t32", "x86")}
    return squashfs({"0": b"changed"[:5 + later], "b": b"odd", **files})


def images():
    """{version: {partition: bytes}}"""
    v1, v2 = {}, {}
    for kind in ("a64", "a32", "t32", "x86", "riscv", "btf", "names"):
        v1[kind], v2[kind] = pair(kind)
    for name, wide in (("linked64", True), ("linked32", False)):
        v1[name], v2[name] = linked(wide, False), linked(wide, True)
    v1["tree"], v2["tree"] = tree(0), tree(1)
    noise = Chance("noise")
    v1["raw"] = bytes(noise.byte() for _ in range(2048))
    v2["raw"] = bytes(noise.byte() for _ in range(2048))
    words = b"".join(struct.pack("<I", 7 * i) for i in range(2048))
    v1["plain"] = words
    v2["plain"] = b"".join(struct.pack("<I", 7 * i + (i % 5)) for i in range(1024)) + words[2048:] + b"more" * 99
    return {"v1": v1, "v2": v2}


def main():
    folder = pathlib.Path(sys.argv[1])
    for version, parts in images().items():
        (folder / version).mkdir(parents=True)
        (folder / version / "firmware.ini").write_text(f"project = COMPAT\nversion = {version}\n")
        for name, data in parts.items():
            (folder / version / f"{name}.img").write_bytes(data)


if __name__ == "__main__":
    main()
