# SPDX-License-Identifier: MIT
"""Coding predict: instruction sets. From docs/coding-predict.md.

Each set has `step`, `behind` (classes whose target needs what stands behind), `checked` (must the new token's class be
equal?), split(text, at, end) -> [(bytes, class, behind)], target(text, at, token, word, va), build(token, word, va, target).
A text is (bytes, first, end): what of them counts as there.
"""
import re

M64 = (1 << 64) - 1
U32 = 0xffffffff


def load(data, at, count=4):
    return int.from_bytes(data[at:at + count], "little")


def field(w, i, n):
    return w >> i & (1 << n) - 1


def sx(v, n):
    v &= (1 << n) - 1
    return v - (1 << n) if v >> (n - 1) else v


def fits(d, n, s):
    return -(1 << (n - 1 + s)) <= d < 1 << (n - 1 + s) and d % (1 << s) == 0


def put(word, value, i, n):
    mask = (1 << n) - 1
    return word & ~(mask << i) | (value & mask) << i


class A64:
    step, behind, checked = 4, {7}, True
    tops = {}
    for number, text in enumerate(
            ("14 15 16 17", "94 95 96 97", "54 34 35 b4 b5", "36 37 b6 b7", "18 1c 58 5c 98 9c d8", "10 30 50 70",
             "90 b0 d0 f0", "91", "39 3d 79 7d b9 bd f9 fd"), 1):
        for top in text.split():
            tops[int(top, 16)] = number

    def kind(self, w):
        c = self.tops.get(w >> 24, 0)
        if (c == 8 and w & 0x00c00000) or (w >> 24 == 0x54 and w & 16):
            return 0
        return c

    def split(self, data, at, end):
        if end - at < 4:
            return [(end - at, 0, 0)]
        return [(4, self.kind(load(data, at)), 0)]

    @staticmethod
    def distance(w):
        return sx(field(w, 5, 19) << 2 | field(w, 29, 2), 21)

    @staticmethod
    def scale(w):
        return 4 if w & 0x04800000 == 0x04800000 else w >> 30

    def added(self, c, w):
        low = field(w, 10, 12) << (self.scale(w) if c == 9 else 0)
        return low if low < 4096 else None

    def low_behind(self, text, at, adrp):
        data, _, end = text
        for i in range(1, 13):
            p = at + 4 * i
            if p + 4 > end:
                return 0
            w = load(data, p)
            c = self.kind(w)
            if c == 7 and field(w, 0, 5) == field(adrp, 0, 5):
                return 0
            if c in (8, 9) and field(w, 5, 5) == field(adrp, 0, 5):
                return self.added(c, w) or 0
        return 0

    def page_before(self, text, at, register, va):
        data, first, _ = text
        if register == 31:
            return None
        for i in range(1, 17):
            p = at - 4 * i
            if p < first:
                return None
            w = load(data, p)
            if field(w, 0, 5) != register:
                continue
            if self.kind(w) == 7:
                return ((va - 4 * i) & M64 & ~4095) + self.distance(w) * 4096
            if (w & 0x7f000000 == 0x11000000 or w & 0x3fc00000 == 0x39400000 or w & 0x7fe0ffe0 == 0x2a0003e0 or
                    w & 0x7f800000 == 0x52800000):
                return None
        return None

    def target(self, text, at, token, w, va):
        c = token[1]
        if c in (1, 2):
            return va + sx(field(w, 0, 26), 26) * 4 & M64
        if c in (3, 5):
            return va + sx(field(w, 5, 19), 19) * 4 & M64
        if c == 4:
            return va + sx(field(w, 5, 14), 14) * 4 & M64
        if c == 6:
            return va + self.distance(w) & M64
        if c == 7:
            return (va & ~4095) + self.distance(w) * 4096 + self.low_behind(text, at, w) & M64
        low = self.added(c, w)
        page = self.page_before(text, at, field(w, 5, 5), va)
        return None if low is None or page is None else page + low & M64

    def build(self, token, w, va, target):
        c = token[1]
        d = sx(target - va, 64)
        if c in (1, 2):
            return put(w, d >> 2, 0, 26) if fits(d, 26, 2) else None
        if c in (3, 5):
            return put(w, d >> 2, 5, 19) if fits(d, 19, 2) else None
        if c == 4:
            return put(w, d >> 2, 5, 14) if fits(d, 14, 2) else None
        if c in (6, 7):
            if c == 7:
                d = sx((target & ~4095) - (va & ~4095), 64) >> 12
            return put(put(w, d >> 2, 5, 19), d, 29, 2) if fits(d, 21, 0) else None
        scale = self.scale(w) if c == 9 else 0
        low = target & 4095
        return None if low & (1 << scale) - 1 else put(w, low >> scale, 10, 12)


def magnitude(d, up, bits, scale):
    """(up, value) of a distance to data, or None."""
    if d:
        up = d < 1 << 31
    value = d if up else -d & U32
    if value >> scale >= 1 << bits or value & (1 << scale) - 1:
        return None
    return up, value >> scale


class A32:
    step, behind, checked = 4, {7}, True

    @staticmethod
    def kind(w):
        if w >> 28 == 15:
            return 3 if w & 0xfe000000 == 0xfa000000 else 0
        if field(w, 24, 4) in (10, 11):
            return field(w, 24, 4) - 9
        if w & 0x0f3f0000 == 0x051f0000:
            return 4
        if w & 0x0f3f0e00 == 0x0d1f0a00:
            return 5
        if w & 0x0fff0000 in (0x028f0000, 0x024f0000):
            return 6
        return {0x03000000: 7, 0x03400000: 8}.get(w & 0x0ff00000, 0)

    def split(self, data, at, end):
        if end - at < 4:
            return [(end - at, 0, 0)]
        return [(4, self.kind(load(data, at)), 0)]

    @staticmethod
    def half(w):
        return field(w, 16, 4) << 12 | field(w, 0, 12)

    def partner(self, text, at, w, forward):
        data, first, end = text
        for i in range(1, 9):
            p = at + 4 * i if forward else at - 4 * i
            if p < first or p + 4 > end:
                return None
            v = load(data, p)
            c = {0x03000000: 7, 0x03400000: 8}.get(v & 0x0ff00000)
            if c and field(v, 12, 4) == field(w, 12, 4):
                return self.half(v) if c == (8 if forward else 7) else None
        return None

    def target(self, text, at, token, w, va):
        c, up = token[1], field(w, 23, 1)
        if c in (7, 8):
            other = self.partner(text, at, w, c == 7)
            if other is None:
                return None
            return other << 16 | self.half(w) if c == 7 else self.half(w) << 16 | other
        if c in (1, 2):
            d = sx(field(w, 0, 24) << 2, 26)
        elif c == 3:
            d = sx(field(w, 0, 24) << 2 | field(w, 24, 1) << 1, 26)
        else:
            if c == 4:
                d = field(w, 0, 12)
            elif c == 5:
                d = field(w, 0, 8) * 4
            else:
                r = 2 * field(w, 8, 4)
                d = field(w, 0, 8)
                d = (d >> r | d << (32 - r)) & U32
            d = d if up else -d
        return va + 8 + d & U32

    @staticmethod
    def rotated(w, value):
        def serves(v):
            return {r: b for r in range(16) if (b := (v << 2 * r | v >> (32 - 2 * r)) & U32) < 256}

        r = 2 * field(w, 8, 4)
        own = min(serves((field(w, 0, 8) >> r | field(w, 0, 8) << (32 - r)) & U32))
        new = serves(value)
        if not new:
            return None
        r //= 2
        if r == own or r not in new:
            r = min(new)
        return put(w, r << 8 | new[r], 0, 12)

    def build(self, token, w, va, target):
        c, up = token[1], field(w, 23, 1)
        if target > U32:
            return None
        d = target - (va + 8) & U32
        s = sx(d, 32)
        if c in (1, 2):
            return put(w, s >> 2, 0, 24) if fits(s, 24, 2) else None
        if c == 3:
            return put(put(w, s >> 1, 24, 1), s >> 2, 0, 24) if fits(s, 25, 1) else None
        if c in (4, 5):
            bits, scale = (12, 0) if c == 4 else (8, 2)
            m = magnitude(d, up, bits, scale)
            return put(put(w, m[1], 0, bits), m[0], 23, 1) if m else None
        if c == 6:
            value = d if up else -d & U32
            first = self.rotated(w, value)
            if first is not None:
                return first
            return self.rotated(put(w, 1 if up else 2, 22, 2), -value & U32)
        half = target & 0xffff if c == 7 else target >> 16
        return put(put(w, half >> 12, 16, 4), half, 0, 12)

    @staticmethod
    def use(token, w, _va):
        if token[0] == 4 and w & 0x0fff0ff0 in (0x008f0000, 0x079f0000):
            return "add", field(w, 0, 4), 8
        if token[1] != 4 or field(w, 22, 1):
            return None, 0, 0
        d = field(w, 0, 12)
        return "load", field(w, 12, 4), 8 + d if field(w, 23, 1) else 8 - d


class T32:
    step, behind, checked = 2, {13}, False

    @staticmethod
    def is_long(first):
        return first >> 11 & 31 >= 0x1d

    @staticmethod
    def mov(w):
        return {0xf240: 13, 0xf2c0: 14}.get(w & 0x8000fbf0)

    @staticmethod
    def short_kind(w):
        if w & 0xf800 in (0x4800, 0xa000, 0xe000):
            return {0x4800: 8, 0xa000: 11, 0xe000: 5}[w & 0xf800]
        if w & 0xf000 == 0xd000 and w & 0x0e00 != 0x0e00:
            return 6
        return 7 if w & 0xf500 == 0xb100 else 0

    def long_kind(self, w):
        if w & 0xf800 == 0xf000 and w >> 31:
            top = w & 0xd0000000
            if top == 0xd0000000:
                return 1
            if top == 0xc0000000:
                return 0 if w >> 16 & 1 else 2
            if top == 0x90000000:
                return 3
            return 0 if w & 0x380 == 0x380 else 4
        if w & 0xfe1f == 0xf81f and w & 0x60 != 0x60:
            return 9
        if w & 0xff7f == 0xe95f or w & 0x0e00ff3f == 0x0a00ed1f:
            return 10
        if w & 0x8000fbff in (0xf20f, 0xf2af):
            return 12
        return self.mov(w) or 0

    def split(self, data, at, end):
        if end - at < 2:
            return [(1, 0, 0)]
        first = load(data, at, 2)
        if not self.is_long(first):
            return [(2, self.short_kind(first), 0)]
        if end - at < 4:
            return [(2, 0, 0)]
        return [(4, self.long_kind(load(data, at)), 0)]

    @staticmethod
    def split_field(w):
        return field(w, 10, 1) << 11 | field(w, 28, 3) << 8 | field(w, 16, 8)

    @staticmethod
    def put_split(w, v):
        return put(put(put(w, v >> 11, 10, 1), v >> 8, 28, 3), v, 16, 8)

    def half(self, w):
        return field(w, 0, 4) << 12 | self.split_field(w)

    def partner(self, text, at, w, forward):
        data, first, end = text
        p, distance = at, 4
        while distance <= 32:
            p = at + distance if forward else at - distance
            if p < first or p + 4 > end:
                return None
            v = load(data, p)
            if self.mov(v) and field(v, 24, 4) == field(w, 24, 4):
                return self.half(v) if self.mov(v) == (14 if forward else 13) else None
            distance += 4 if forward and self.is_long(v & 0xffff) else 2
        return None

    def target(self, text, at, token, w, va):
        c, pc = token[1], va + 4
        down = pc & ~3
        if c in (13, 14):
            other = self.partner(text, at, w, c == 13)
            if other is None:
                return None
            return other << 16 | self.half(w) if c == 13 else self.half(w) << 16 | other
        if c in (1, 2, 3):
            s = field(w, 10, 1)
            i1, i2 = field(w, 29, 1) ^ s ^ 1, field(w, 27, 1) ^ s ^ 1
            d = sx(s << 24 | i1 << 23 | i2 << 22 | field(w, 0, 10) << 12 | field(w, 16, 11) << 1, 25)
            return (down if c == 2 else pc) + d & U32
        if c == 4:
            d = sx(field(w, 10, 1) << 20 | field(w, 27, 1) << 19 | field(w, 29, 1) << 18 | field(w, 0, 6) << 12 |
                   field(w, 16, 11) << 1, 21)
            return pc + d & U32
        if c == 5:
            return pc + sx(field(w, 0, 11) << 1, 12) & U32
        if c == 6:
            return pc + sx(field(w, 0, 8) << 1, 9) & U32
        if c == 7:
            return pc + (field(w, 9, 1) << 6 | field(w, 3, 5) << 1) & U32
        if c in (8, 11):
            return down + field(w, 0, 8) * 4 & U32
        if c == 12:
            d = self.split_field(w)
            return down + (d if w & 0xa0 == 0 else -d) & U32
        d = field(w, 16, 12) if c == 9 else field(w, 16, 8) * 4
        return down + (d if w >> 7 & 1 else -d) & U32

    def build(self, token, w, va, target):
        c, pc = token[1], va + 4
        if target > U32:
            return None
        d = target - (pc & ~3 if c in (2, 8, 9, 10, 11, 12) else pc) & U32
        s = sx(d, 32)
        if c in (1, 2, 3):
            if not fits(s, *((23, 2) if c == 2 else (24, 1))):
                return None
            sign = field(d, 24, 1)
            w = put(put(put(w, sign, 10, 1), d >> 12, 0, 10), d >> 1, 16, 11)
            return put(put(w, field(d, 23, 1) ^ sign ^ 1, 29, 1), field(d, 22, 1) ^ sign ^ 1, 27, 1)
        if c == 4:
            if not fits(s, 20, 1):
                return None
            w = put(put(put(w, d >> 20, 10, 1), d >> 19, 27, 1), d >> 18, 29, 1)
            return put(put(w, d >> 12, 0, 6), d >> 1, 16, 11)
        if c == 5:
            return put(w, d >> 1, 0, 11) if fits(s, 11, 1) else None
        if c == 6:
            return put(w, d >> 1, 0, 8) if fits(s, 8, 1) else None
        if c == 7:
            return put(put(w, d >> 6, 9, 1), d >> 1, 3, 5) if d < 128 and d % 2 == 0 else None
        if c in (8, 11):
            return put(w, d >> 2, 0, 8) if d % 4 == 0 and d >> 2 < 256 else None
        if c in (13, 14):
            half = target & 0xffff if c == 13 else target >> 16
            return self.put_split(put(w, half >> 12, 0, 4), half & 0xfff)
        if c == 12:
            m = magnitude(d, w & 0xa0 == 0, 12, 0)
            return self.put_split(w & ~0xa0 | (0 if m[0] else 0xa0), m[1]) if m else None
        bits, scale = (12, 0) if c == 9 else (8, 2)
        m = magnitude(d, w >> 7 & 1, bits, scale)
        return put(put(w, m[0], 7, 1), m[1], 16, bits) if m else None

    @staticmethod
    def use(token, w, va):
        if token[:2] == (2, 0) and w & 0xff78 == 0x4478:
            return "add", field(w, 7, 1) << 3 | field(w, 0, 3), 4
        if token[1] == 8:
            register, d = field(w, 8, 3), 4 * field(w, 0, 8)
        elif token[1] == 9 and w & 0xff7f == 0xf85f:
            register, d = field(w, 28, 4), field(w, 16, 12) if w & 128 else -field(w, 16, 12)
        else:
            return None, 0, 0
        return "load", register, (va + 4 & U32 - 3) + d - va


class X86:
    step, behind, checked = 1, set(), False
    one = two = ()

    def read(self, data, at, end):
        """(length, displacement at or None, rip, immediate at, immediate bytes, kind) or None."""
        end = min(end, at + 15)
        p = at

        def byte():
            nonlocal p
            if p >= end:
                raise IndexError
            p += 1
            return data[p - 1]

        operand = address = wide = False
        while True:
            opcode = byte()
            if opcode == 0x66:
                operand = True
            elif opcode == 0x67:
                address = True
            elif opcode & 0xf0 == 0x40:
                wide = bool(opcode & 8)
                continue
            elif opcode not in (0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0, 0xf2, 0xf3):
                break
            wide = False
        operands, kind, vector = None, 5, None
        if opcode == 0x0f:
            opcode, number = byte(), 1
            if opcode in (0x38, 0x3a):
                number = 2 if opcode == 0x38 else 3
                opcode = byte()
            operands = self.by_map(number, opcode)
            if operands == "Z":
                kind = 3
        elif opcode == 0xc5:
            byte()
            vector = 1
        elif opcode == 0xc4 or (opcode == 0x8f and p < end and data[p] & 31 >= 8):
            vector = byte() & 31
            byte()
        elif opcode == 0x62:
            vector = byte() & 7
            byte()
            byte()
        else:
            operands = self.one[opcode]
            kind = {0xe8: 1, 0xe9: 2}.get(opcode, 5)
        if vector is not None:
            operands, operand = self.by_map(vector, byte()), False
            if "Z" in operands and vector != 10:
                return None
        if "X" in operands:
            return None
        displacement, rip = None, False
        if "M" in operands or "T" in operands:
            modrm = byte()
            mod, rm = modrm >> 6, modrm & 7
            if "T" in operands and modrm >> 3 & 7 > 1:
                operands = ""
            if mod != 3:
                sib = byte() if rm == 4 else 0
                rip = mod == 0 and rm == 5
                if mod == 2 or rip or (mod == 0 and rm == 4 and sib & 7 == 5):
                    displacement = p - at
                    p += 4
                elif mod == 1:
                    p += 1
        immediate_at, immediate = p - at, 0
        if "O" in operands:
            immediate = 4 if address else 8
        else:
            immediate = ("B" in operands) + 2 * ("H" in operands)
            if "V" in operands and wide:
                immediate += 8
            elif "Z" in operands or "V" in operands:
                immediate += 2 if operand and not wide and kind == 5 else 4
        p += immediate
        if p > end:
            return None
        return p - at, displacement, rip, immediate_at, immediate, kind

    def by_map(self, number, opcode):
        if number == 1:
            return self.two[opcode]
        return {2: "M", 5: "M", 6: "M", 9: "M", 3: "MB", 8: "MB", 10: "MZ"}.get(number, "X")

    def split(self, data, at, end):
        try:
            found = self.read(data, at, end)
        except IndexError:
            found = None
        if not found:
            return [(1, 0, 0)]
        length, displacement, rip, immediate_at, immediate, kind = found
        tokens, done = [], 0

        def cut(to):
            nonlocal done
            while done < to:
                n = min(4, to - done)
                tokens.append((n, 0, 0))
                done += n

        def cut_field(c):
            nonlocal done
            done += 4
            tokens.append((4, c, length - done))

        if displacement is not None:
            cut(displacement)
            cut_field(4 if rip else 5)
        if immediate >= 4:
            cut(immediate_at)
            cut_field(kind)
        cut(length)
        return tokens

    def target(self, text, at, token, w, va):
        if token[1] == 5:
            return None if -65536 <= sx(w, 32) < 65536 else sx(w, 32) & M64
        return va + 4 + token[2] + sx(w, 32) & M64

    def build(self, token, w, va, target):
        value = target
        if token[1] != 5:
            value -= va + 4 + token[2]
        elif -65536 <= sx(target, 32) < 65536:
            return None
        return value & U32 if sx(value, 32) == sx(value, 64) else None


def x86_tables(document):
    """The tables of opcodes stand in the document, and only there."""
    rows = re.findall(r"^([0-9a-f]0)((?:  ?[MBHZVOTX.]+ *){16})$", document, flags=re.M)
    assert len(rows) == 32 and [r[0] for r in rows] == [f"{i:x}0" for i in range(16)] * 2
    cells = [cell.strip(".") for _, row in rows for cell in row.split()]
    X86.one, X86.two = cells[:256], cells[256:]


class RiscV:
    step, behind, checked = 2, {3}, False
    lows = {0x03: 4, 0x07: 4, 0x13: 4, 0x67: 4, 0x23: 5, 0x27: 5}
    # Bits of a distance, each list from the sign down, with the place in the word of each stretch: (bit, place, count).
    parts = {1: ((20, 31, 1), (12, 12, 8), (11, 20, 1), (1, 21, 10)),
             2: ((12, 31, 1), (11, 7, 1), (5, 25, 6), (1, 8, 4)),
             4: ((0, 20, 12),), 5: ((5, 25, 7), (0, 7, 5)),
             6: ((11, 12, 1), (10, 8, 1), (8, 9, 2), (7, 6, 1), (6, 7, 1), (5, 2, 1), (4, 11, 1), (1, 3, 3)),
             7: ((8, 12, 1), (6, 5, 2), (5, 2, 1), (3, 10, 2), (1, 3, 2))}

    @staticmethod
    def auipc(w):
        return w & 0x7f == 0x17 and w & 0xf80 != 0

    def low(self, w):
        return self.lows.get(w & 0x7f, 0) if w & 0x7f not in (0x13, 0x67) or w & 0x7000 == 0 else 0

    @staticmethod
    def written(w):
        f, rd = field(w, 13, 3), field(w, 7, 5)
        if w & 3 == 0:
            return 8 + field(w, 2, 3) if f in (2, 3) else 0
        if w & 3 == 1:
            return rd if f < 4 else 8 + field(w, 7, 3) if f == 4 else 0
        if w & 3 == 2:
            return rd if f in (0, 2, 3) or f == 4 and field(w, 2, 5) else 0
        return 0 if w & 0x7f in (0x63, 0x23, 0x27, 0x07) else rd

    def lasts(self, data, p, at, register):
        """Does an instruction start at `at`, counted from p, without one before that writes the register?"""
        while p < at:
            w = load(data, p, 2)
            if self.written(w) == register:
                return False
            p += 4 if w & 3 == 3 else 2
        return p == at

    def before(self, data, at, first, w):
        for back in range(4, 34, 2):
            if at - back < first:
                break
            a = load(data, at - back)
            if self.auipc(a) and field(a, 7, 5) == field(w, 15, 5) and self.lasts(data, at - back + 4, at, field(w, 15, 5)):
                return back
        return 0

    def split(self, data, at, end):
        if end - at < 2:
            return [(end - at, 0, 0)]
        w = load(data, at, 2)
        if w & 3 != 3:
            return [(2, 6 if w & 0xe003 == 0xa001 else 7 if w & 0xc003 == 0xc001 else 0, 0)]
        if end - at < 4:
            return [(2, 0, 0)]
        w = load(data, at)
        if w & 0x7f in (0x6f, 0x63):
            return [(4, 1 if w & 0x7f == 0x6f else 2, 0)]
        if self.auipc(w):
            return [(4, 3, 0)]
        back = self.before(data, at, max(0, at - 64), w) if self.low(w) else 0
        return [(4, self.low(w) if back else 0, back)]

    def distance(self, c, w):
        d = 0
        for bit, place, count in self.parts[c]:
            d |= field(w, place, count) << bit
        bit, _, count = self.parts[c][0]
        return sx(d, bit + count)

    def added(self, text, at, w):
        data, _, end = text
        p = at + 4
        while p <= at + 32 and p + 4 <= end:
            other = load(data, p)
            if self.low(other) and field(other, 15, 5) == field(w, 7, 5):
                return self.distance(self.low(other), other)
            if self.written(other) == field(w, 7, 5):
                return 0
            p += 4 if other & 3 == 3 else 2
        return 0

    def target(self, text, at, token, w, va):
        _, c, back = token
        if c == 3:
            return va + (sx(w >> 12, 20) << 12) + self.added(text, at, w) & M64
        if c not in (4, 5):
            return va + self.distance(c, w) & M64
        if back < 4 or at - back < text[1]:
            return None
        a = load(text[0], at - back)
        if not self.auipc(a) or field(a, 7, 5) != field(w, 15, 5):
            return None
        return va - back + (sx(a >> 12, 20) << 12) + self.distance(c, w) & M64

    def build(self, token, w, va, target):
        _, c, back = token
        d = sx(target - va & M64, 64)
        if c == 3:
            d += 0x800
            return w & 0xfff | d & 0xfffff000 if -1 << 31 <= d < 1 << 31 else None
        if c in (4, 5):
            d += back
        elif not fits(d, {1: 20, 2: 12, 6: 11, 7: 8}[c], 1):
            return None
        for bit, place, count in self.parts[c]:
            w = put(w, d >> bit, place, count)
        return w


SETS = {0: A64(), 1: A32(), 2: T32(), 3: X86(), 18: RiscV()}
