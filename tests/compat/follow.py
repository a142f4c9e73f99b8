# SPDX-License-Identifier: MIT
"""Coding predict: regions, and where old bytes have gone. From docs/coding-predict.md."""
import bisect
from collections import namedtuple

NONE, NEAR, EXACT = range(3)
Region = namedtuple("Region", "start bytes kind group va mem")
NOTHING = Region(0, 0, 0, 0, 0, 0)


class Regions:
    def __init__(self, items):
        self.items = items
        self.starts = [r.start for r in items]
        self.order = sorted(range(len(items)), key=lambda i: (items[i].group, items[i].va, i))
        self.keys = [(items[i].group, items[i].va) for i in self.order]

    def at(self, position):
        i = bisect.bisect_right(self.starts, position) - 1
        if i >= 0 and position < self.items[i].start + self.items[i].bytes:
            return self.items[i]
        return None

    def limit(self, position, end):
        """Where the region, or there being none, ends."""
        i = bisect.bisect_right(self.starts, position)
        if i < len(self.items):
            end = min(end, self.items[i].start)
        region = self.at(position)
        return (min(end, region.start + region.bytes) if region else end), region

    def phase(self, position):
        """What is added to positions to count by addresses: of the last region that starts before or here."""
        i = bisect.bisect_right(self.starts, position) - 1
        return self.items[i].va - self.items[i].start & 3 if i >= 0 else 0

    def of_kind(self, group, kind):
        """The first by address."""
        i = bisect.bisect_left(self.keys, (group, 0))
        while i < len(self.order) and self.ranked(i).group == group:
            if self.ranked(i).kind == kind:
                return self.ranked(i)
            i += 1
        return None

    def ranked(self, rank):
        return self.items[self.order[rank]]

    def base(self, group):
        return self.items[self.order[bisect.bisect_left(self.keys, (group, 0))]].va

    def group_end(self, group):
        return bisect.bisect_left(self.keys, (group + 1, 0))


class Map:
    """pieces: (at, bytes, diagonal); types and symbols: (old, count, shift)."""

    def __init__(self, old_regions, new_regions, old_bytes, new_bytes, pieces, types, symbols):
        self.symbols = symbols
        self.old, self.new, self.new_bytes = old_regions, new_regions, new_bytes
        self.pieces, self.types = pieces, types
        self.type_olds = [t[0] for t in types]
        owner = [0] * old_bytes
        ranked = sorted((p for p in pieces if p[1] >= 8), key=lambda p: (p[1], -p[0]))
        for number, (at, size, diagonal) in enumerate(ranked, 1):
            owner[at + diagonal:at + diagonal + size] = [number] * size
        self.entries = []
        for x, number in enumerate(owner):
            if not number:
                continue
            diagonal = ranked[number - 1][2]
            if self.entries and self.entries[-1][1] == x and self.entries[-1][2] == diagonal:
                self.entries[-1][1] = x + 1
            else:
                self.entries.append([x, x + 1, diagonal])
        self.ends = [e[1] for e in self.entries]

    def position(self, x):
        if not self.entries:
            return NONE, 0
        i = bisect.bisect_right(self.ends, x)
        behind = self.entries[i] if i < len(self.entries) else None
        before = self.entries[i - 1] if i > 0 else None
        if behind and behind[0] <= x:
            return EXACT, x - behind[2]
        if not behind or (before and x - before[1] < behind[0] - x):
            entry = before
        else:
            entry = behind
        moved = x - entry[2]
        return (NEAR, moved) if 0 <= moved <= self.new_bytes else (NONE, 0)

    def address(self, group, a):
        rank = bisect.bisect_right(self.old.keys, (group, a)) - 1
        if rank < 0:
            return NONE, 0
        r = self.old.ranked(rank)
        if r.group != group or a - r.va > r.mem:
            return NONE, 0
        if a - r.va > r.bytes:
            back = self.old.group_end(group) - rank
            other = self.new.group_end(group) - back
            if other < 0 or self.new.ranked(other).group != group:
                return NONE, 0
            n = self.new.ranked(other)
            return NEAR, (a - (r.va + r.bytes) + n.va + n.bytes) % (1 << 64)
        answer, x = self.position(r.start + a - r.va)
        if answer == NONE:
            return NONE, 0
        n = self.new.at(x) or (self.new.at(x - 1) if x > 0 else None)
        if not n or n.group != group:
            return NONE, 0
        return answer, (n.va + x - n.start) % (1 << 64)

    def type(self, t):
        i = bisect.bisect_right(self.type_olds, t) - 1
        if i < 0:
            return NEAR, t
        old, count, shift = self.types[i]
        return (EXACT if t - old < count else NEAR), (t + shift) & 0xffffffff

    def symbol(self, old):
        for first, count, shift in self.symbols:
            if first <= old < first + count:
                return old + shift
        return None

    def symbol_back(self, new):
        for first, count, shift in self.symbols:
            if first + shift <= new < first + shift + count:
                return new - shift
        return None

    def fresh(self, total):
        taken = sum(count for _, count, _ in self.symbols)
        end = self.symbols[-1][0] + self.symbols[-1][2] + self.symbols[-1][1] if self.symbols else 0
        return max(total, end) - taken

    def fresh_number(self, rank):
        for first, count, shift in self.symbols:
            if first + shift <= rank:
                rank += count
        return rank
