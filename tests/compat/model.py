# SPDX-License-Identifier: MIT
"""Coding predict: arithmetic coder, slots and mixers. From docs/coding-predict.md."""

U32 = 0xffffffff
SQUASH = [int(n) for n in """
33554432 29381838 25336325 21529953 18048353 14945153 12242370 9935279 7999573 6398794 5090756 4032347
3182696 2504965 1967111 1541985 1207034 943794 737321 575625 449150 350317 273142 212915
165935 129301 100743 78485 61140 47625 37096 28894 22505 17528 13652 10632
8281 6449 5023 3912 3047 2373 1848 1439 1121 873""".split()]
SLOT_TOP = (1 << 22) - 1
RECIPROCAL = [655360 // (10 * n + 16) for n in range(1024)]
CONFIDENCE = [0, 102, 154, 205, 256]


def h2(a, b):
    h = ((a * 0x9e3779b1) & U32) ^ (((b + 0x7f4a7c15) & U32) * 0x85ebca6b & U32)
    h ^= h >> 15
    h = h * 0x2c1b3c6d & U32
    return h ^ h >> 13


def h3(a, b, c):
    return h2(h2(a, b), c)


def h4(a, b, c, d):
    return h2(h3(a, b, c), d)


def log2(v):
    return v.bit_length()


def squash(s):
    x = abs(s)
    i = x // 32
    p = max(1, (SQUASH[i] - (SQUASH[i] - SQUASH[i + 1]) // 32 * (x % 32) + 512) >> 10)
    return p if s < 0 else 65536 - p


SQUASHED = [squash(s) for s in range(-1420, 1421)]


def magnitudes():
    table, s = [], 1420
    for i in range(1024):
        q = (129 + 2 * (i % 64) << i // 64) // 2 - 64
        while s > 0 and squash(-s) * 64 < q:
            s -= 1
        table.append(s)
    return table


MAGNITUDES = magnitudes()


def stretch(p):
    less = (p if p < 1 << 21 else SLOT_TOP - p) + 64
    power = log2(less) - 7
    magnitude = MAGNITUDES[power << 6 | less >> power & 63]
    return -magnitude if p < 1 << 21 else magnitude


class Coder:
    def __init__(self, data):
        self.data, self.taken = data, 0
        self.low, self.high, self.code = 0, U32, 0
        for _ in range(4):
            self.code = self.code << 8 | self.next()

    def next(self):
        self.taken += 1
        return self.data[self.taken - 1] if self.taken <= len(self.data) else 0

    def bit(self, p):
        middle = self.low + ((self.high - self.low) * p >> 16)
        bit = int(self.code <= middle)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while (self.low ^ self.high) >> 24 == 0:
            self.low = self.low << 8 & U32
            self.high = (self.high << 8 | 255) & U32
            self.code = (self.code << 8 | self.next()) & U32
        return bit


class Mixer:
    def __init__(self, rows, contexts, rate, limit, first, second):
        inputs = 2 * contexts + 1
        self.rate, self.limit, self.start = rate, limit, [second if i % 2 else first for i in range(inputs)]
        self.sets = [{} for _ in rows]

    def row(self, number, selector):
        rows = self.sets[number]
        if selector not in rows:
            rows[selector] = list(self.start)
        return rows[selector]


class Model:
    def __init__(self, coder, size):
        self.coder = coder
        self.shift = 32 - min(max(log2(size) + 2, 12), 20)
        self.slots = {}

    def pair(self, h, bit):
        """One of two slots that stand together."""
        return h >> self.shift & ~1 | bit

    def code(self, mixer, contexts, selectors, slots=()):
        chosen = [*slots, *(c >> self.shift for c in contexts)]
        inputs = []
        for index in chosen:
            p, n = self.slots.get(index, (1 << 21, 0))
            inputs += [stretch(p), (p - (1 << 21) >> 13) * CONFIDENCE[min(n, 4)] >> 8]
        inputs.append(39)
        rows = [mixer.row(i, s) for i, s in enumerate(selectors)]
        votes = [max(-1420, min(1420, sum(w * x for w, x in zip(row, inputs)) >> 14)) for row in rows]
        mean = abs(sum(votes)) // len(votes) * (1 if sum(votes) > 0 else -1)
        bit = self.coder.bit(SQUASHED[mean + 1420])
        for row, vote in zip(rows, votes):
            step = ((bit << 16) - SQUASHED[vote + 1420]) * mixer.rate + 8 >> 4
            for i, x in enumerate(inputs):
                row[i] = max(-28000, min(28000, row[i] + ((step * 16 * x >> 16) + 1 >> 1)))
        for index in chosen:
            p, n = self.slots.get(index, (1 << 21, 0))
            p += ((SLOT_TOP if bit else 0) - p) * RECIPROCAL[n] >> 16
            self.slots[index] = p, n + 1 if n < mixer.limit else n
        return bit
