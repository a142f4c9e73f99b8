# SPDX-License-Identifier: MIT
"""Coding predict: prelude and segments. From docs/coding-predict.md."""
import pathlib

import isa
from follow import EXACT, NEAR, NONE, NOTHING, Map, Region, Regions
from isa import load, sx
from model import U32, Coder, Mixer, Model, h2, h3, h4, log2

M64 = (1 << 64) - 1
isa.x86_tables((pathlib.Path(__file__).resolve().parents[2] / "docs/coding-predict.md").read_text())


class Corrupt(Exception):
    pass


def need(good, text):
    if not good:
        raise Corrupt(text)


# ---- prelude


class Prelude:
    def __init__(self, data, old_bytes, new_bytes, room):
        self.old_bytes, self.new_bytes = old_bytes, new_bytes
        n = len(data)
        self.region_room, self.piece_room, self.run_room = room
        need(self.region_room <= 4096 and self.piece_room <= 1 << 19 and self.run_room <= 1 << 20, "room")
        self.coder = Coder(data)
        self.model = Model(self.coder, new_bytes)
        self.mixer = Mixer([1792], 5, 5, 400, 4000, 2000)
        self.last, self.before = [0] * 26, [0] * 26
        old = self.regions(None, old_bytes)
        new = self.regions(old, new_bytes)
        self.new_regions = Regions(new)
        pieces = self.pieces()
        types = self.types()
        symbols = self.symbols(len(types))
        self.names = None
        if symbols:
            old_pairs = self.pairs(None)
            self.names = Names(old_pairs, self.pairs(old_pairs))
        need(self.coder.taken <= n + 4, "prelude too short")
        self.map = Map(Regions(old), self.new_regions, old_bytes, new_bytes, pieces, types, symbols)

    def bit(self, f, where, h):
        at, last = f << 16 | where, self.last[f]
        return self.model.code(self.mixer, [
            h2(at, 1), h3(at, last, 2), h3(at, h, 3), h4(at, last, self.before[f], 4), h4(at, last, h, 5)],
            [64 * f + min(where, 63)])

    def number(self, f, h, most):
        b, v = 0, 1
        while b < 64 and self.bit(f, b, h):
            b += 1
        if b == 64:
            v = 1 << 64
        for i in range(b - 1 if b < 64 else -1, -1, -1):
            k = b - i
            where = 64 + 16 * b + v if k <= 3 else 2048 + 64 * b + i
            v = 2 * v + self.bit(f, where, h)
        self.before[f], self.last[f] = self.last[f], b
        need(v - 1 <= most, f"field {f}")
        return v - 1

    def signed(self, f, h):
        v = self.number(f, h, M64)
        return v >> 1 ^ -(v & 1)

    def near(self, f, h, expected, most):
        v = expected + self.signed(f, h) & M64
        need(v <= most, f"field {f}")
        return v

    def regions(self, twins, image):
        items, before = [], NOTHING
        for i in range(self.number(0, int(twins is not None), self.region_room)):
            twin = twins[i] if twins and i < len(twins) else None
            t, like = int(twin is not None), twin or NOTHING
            end = before.start + before.bytes
            start = end + self.number(1, t, image - end)
            size = self.near(2, t, like.bytes, image - start)
            kind = self.near(3, t << 8 | before.kind, like.kind, 18)
            group = self.near(4, t, twin.group if twin else before.group, 65535)
            va = (twin.va if twin else before.va + start - before.start) + self.signed(5, t) & M64
            mem = size + self.number(6, t, U32 - size)
            need(size > 0 and va + mem <= M64, "region")
            before = Region(start, size, kind, group, va, mem)
            items.append(before)
        return items

    def recent(self, f, g, h, values, quarters):
        i = self.number(f, h, len(values))
        if i:
            value = values.pop(i - 1)
        else:
            u = self.bit(12, 0, h) if quarters else 0
            d = self.signed(g, h << 1 | u)
            need(-U32 <= d <= U32, "distance")
            value = values[0] + (4 * d if u else d)
            need(-(1 << 31) <= value < 1 << 31, "distance")
        values.insert(0, value)
        del values[8:]
        return value

    def pieces(self):
        items, end, values = [], 0, [0]
        for _ in range(self.number(7, 0, self.piece_room)):
            at = end + self.number(8, 1, self.new_bytes - end)
            region = self.new_regions.at(at)
            k = region.kind + 1 if region else 0
            q = self.number(9, k, (1 << 30) - 1)
            c = k << 2 | at & 3
            a = self.bit(10, 1, c)
            b = self.bit(10, 2 + a, c)
            size = 4 * q + 2 * a + b + 1
            diagonal = self.recent(11, 13, k << 8 | log2(q), values, True)
            end = at + size
            need(end <= self.new_bytes and at + diagonal >= 0 and end + diagonal <= self.old_bytes, "piece")
            items.append((at, size, diagonal))
        return items

    def types(self):
        items, end, values, top = [], 0, [0], (1 << 31) - 1
        for _ in range(self.number(14, 0, self.run_room)):
            old = end + self.number(15, 0, top - end)
            count = 1 + self.number(16, 0, top - old)
            end = old + count
            need(end <= top, "types")
            items.append((old, count, self.recent(17, 18, log2(count), values, False)))
        return items


    def symbols(self, types):
        items, old, new, top = [], 0, 0, 1 << 24
        for _ in range(self.number(19, 0, self.run_room - types)):
            gone = self.number(20, 0, top - old)
            fresh = self.number(22, log2(gone), top - new)
            count = 1 + self.number(21, 0, top)
            items.append((old + gone, count, new + fresh - old - gone))
            old, new = old + gone + count, new + fresh + count
            need(old <= top and new <= top, "symbols")
        return items

    def byte(self, f, h):
        part = 1
        while part < 256:
            part = part << 1 | self.bit(f, part, h << 8 | part)
        return part & 255

    def pairs(self, twins):
        pairs = {}
        for token in range(255, -1, -1):
            first, _ = twins.get(token, (0, 0)) if twins else (0, 0)
            h = 0 if twins is None else 2 if token in twins else 1
            if self.bit(23, 0, h):
                a = self.byte(24, first)
                pairs[token] = a, self.byte(25, a)
        return {token: pair for token, pair in pairs.items() if pair != (0, 0)}


# ---- names of symbols


class Names:
    def __init__(self, old, new):
        for pairs in (old, new):
            need(all(part not in pairs or part > token for token, pair in pairs.items() for part in pair), "pairs")
        self.texts = {token: bytes([token]) for token in range(256) if token not in old}
        for token in sorted(old, reverse=True):
            self.texts[token] = b"".join(self.texts[part] for part in old[token])
        need(sum(map(len, self.texts.values())) <= 8192, "texts")
        self.tokens = {}
        for token in sorted(new):
            self.tokens[new[token]] = token

    def entry(self, tokens):
        """The new entry; None if there is none."""
        text = b"".join(self.texts[token] for token in tokens)
        if not 0 < len(text) <= 1024:
            return None
        while True:
            best = max((self.tokens.get(pair, -1) for pair in zip(text, text[1:])), default=-1)
            if best < 0:
                break
            pair = next(pair for pair, token in self.tokens.items() if token == best)
            text = text.replace(bytes(pair), bytes([best]))
        size = len(text)
        return (bytes([size]) if size < 128 else bytes([size & 255 | 128, size >> 7])) + text


# ---- BTF

SHAPES = {}  # kind: third, once, body; roles as in the document
for _kinds, _third, _once, _body in (
        ((1,), 0, 1, (0,)), ((2, 8, 9, 10, 11, 12, 18), 1, 1, ()), ((3,), 0, 1, (1, 1, 0)), ((4, 5), 0, 0, (2, 1, 0)),
        ((6,), 0, 0, (2, 0)), ((13,), 1, 0, (2, 1)), ((14, 17), 1, 1, (0,)), ((15,), 0, 0, (1, 0, 0)),
        ((19,), 0, 0, (2, 0, 0))):
    for _kind in _kinds:
        SHAPES[_kind] = _third, _once, _body


class Pool:
    """Words that loads have reached, and the last one of each register."""
    def __init__(self):
        self.words, self.loaded = {}, {}

    def find(self, old):
        word = self.words.get(old >> 2 & 1023)
        return word if word and word[0] == old else None

    def pass_by(self, code, token, w, old, old_va, new_va):
        what, register, distance = code.use(token, w, old_va & U32)
        if what == "load":
            place = old + distance & U32
            if place == U32:
                return
            if not self.find(place):
                self.words[place >> 2 & 1023] = place, None
            self.loaded[register] = place
        elif what == "add":
            place = self.loaded.pop(register, None)
            if place is not None and self.find(place):
                self.words[place >> 2 & 1023] = place, (old_va + distance & U32, new_va + distance & U32)


class Walk:
    def __init__(self, region):
        self.region, self.state = region, (0, 0, 0)
        self.position = 0

    def role(self):
        at, kind, _ = self.state
        third, _, body = SHAPES.get(kind, (0, 1, ()))
        if at < 3:
            return (2, 0, third)[at]
        return body[at - 3] if at - 3 < len(body) else 0

    def step(self, w):
        at, kind, left = self.state
        if at == 1:
            kind = w >> 24 & 31
            _, once, body = SHAPES.get(kind, (0, 1, ()))
            left = len(body) * (1 if once else w & 65535)
        if at < 2:
            self.state = at + 1, kind, left
            return
        if at == 2:
            at = 3
        else:
            left, at = left - 1 & U32, at + 1
            if at - 3 >= len(SHAPES.get(kind, (0, 1, ()))[2]):
                at = 3
        self.state = (at, kind, left) if 0 < left < 1 << 31 else (0, 0, 0)


# ---- segment


def hb(v, b):
    return (v & U32) * 0x9e3779b1 % (1 << 32) >> (32 - b)


class Segment:
    def __init__(self, image, chunk, start, end):
        self.map, self.old, self.start, self.end = image.map, image.old, start, end
        self.names = image.names
        self.coder = Coder(chunk)
        self.model = Model(self.coder, end - start)
        self.block_mixer = Mixer([32, 64], 6, 5, 255, 3500, 1000)
        self.flag_mixer = Mixer([1280, 256], 7, 5, 400, 2950, 1000)
        self.literal_mixer = Mixer([512, 4096, 2048], 12, 6, 60, 2450, 750)
        self.out = bytearray()
        self.outcomes = self.since = self.longs = self.shorts = self.klass = self.role = 0
        self.targets, self.nears, self.words, self.fields, self.values = {}, {}, {}, {}, {}
        self.delta = 0
        self.scores, self.hits = {}, {}
        self.coded, self.index, self.found, self.looked = 0, {}, 0, 0
        self.walk = None
        self.pool = Pool()
        self.id_at = None
        self.run()
        need(len(chunk) <= self.coder.taken <= len(chunk) + 4, "chunk length")

    def run(self):
        at = self.start
        for piece_at, size, diagonal in self.map.pieces:
            if piece_at + size <= at or at >= self.end:
                continue
            if piece_at >= self.end:
                break
            if piece_at > at:
                self.gap(at, piece_at)
                at = piece_at
            end = min(piece_at + size, self.end)
            self.piece(at, end, diagonal)
            at = end
        if at < self.end:
            self.gap(at, self.end)

    def alive(self):
        need(self.coder.taken <= len(self.coder.data) + 4, "chunk too short")

    def gap(self, at, end):
        while at < end:
            limit, region = self.map.new.limit(at, end)
            if region and region.kind in (8, 9):
                (self.name_table if region.kind == 8 else self.sequence_table)(region, at, limit)
            else:
                self.literals(limit - at, region)
            at = limit
        self.outcomes = (self.outcomes << 2 | 3) & U32

    def literals(self, count, region):
        for _ in range(count):
            self.alive()
            self.literal(1, None, None, region.kind + 1 if region else 0)
            self.passed()

    def window(self):
        phase, index, old_index, at, end = (self.plain(bits) for bits in (11, 22, 22, 31, 31))
        need(at <= end <= len(self.old), "window")
        return phase, index, old_index, at, end

    def old_name(self, at, end):
        """Tokens of the old entry and where it ends; None if it is not all there."""
        if end - at < 2:
            return None, end
        first, head = self.old[at], 1
        size = first
        if first & 128:
            head, size = 2, first & 127 | self.old[at + 1] << 7
        if head + size > min(end - at, 1026):
            return None, end
        return self.old[at + head:at + head + size], at + head + size

    def name_table(self, region, at, end):
        phase, index, old_index, old_at, old_end = self.window()
        top = end - self.start
        self.literals(min(phase, end - at), region)
        while len(self.out) < top:
            self.alive()
            old, entry, tokens = self.map.symbol_back(index), None, b""
            if old is not None and old >= old_index:
                while old_index <= old and tokens is not None:
                    tokens, old_at = self.old_name(old_at, old_end)
                    old_index += tokens is not None
                if tokens is not None:
                    entry = self.names.entry(tokens)
            if entry:
                self.out += entry[:top - len(self.out)]
            else:
                self.literal_name(region, top)
            index += 1

    def literal_name(self, region, top):
        z = len(self.out)
        self.literals(1, region)
        size, left = self.out[z], 0
        if size & 128 and len(self.out) < top:
            self.literals(1, region)
            size = size & 127 | self.out[z + 1] << 7
        elif size & 128:
            return
        left = top - len(self.out)
        self.literals(min(size, left), region)

    def chance(self, name):
        bit = self.coder.bit(self.chances[name])
        self.chances[name] += 65535 - self.chances[name] >> 6 if bit else -(self.chances[name] >> 6)
        return bit

    def sequence_table(self, region, at, end):
        phase, _, _, old_at, old_end = self.window()
        self.chances = {"next": 64512, "fresh": 49152, "skip": 16384}
        fresh = self.map.fresh(region.bytes // 3)
        top = end - self.start
        self.literals(min(phase, end - at), region)
        while top - len(self.out) >= 3:
            number = None
            while number is None:
                self.alive()
                following = None
                while following is None and old_end - old_at >= 3:
                    following = self.map.symbol(int.from_bytes(self.old[old_at:old_at + 3], "big"))
                    old_at += 0 if following is not None else 3
                if following is not None:
                    if self.chance("next"):
                        number, old_at = following & 0xffffff, old_at + 3
                        break
                    if self.chance("skip"):
                        old_at += 3
                        continue
                if fresh and self.chance("fresh"):
                    rank = self.plain(log2(fresh - 1))
                    need(rank < fresh, "rank")
                    number = self.map.fresh_number(rank)
                else:
                    number = self.plain(24)
            self.out += (number & 0xffffff).to_bytes(3, "big")
        self.literals(top - len(self.out), region)

    def piece(self, at, end, diagonal):
        self.piece_at, self.piece_end = at, end
        while at < end:
            limit, self.n = self.map.new.limit(at, end)
            old_limit, self.o = self.map.old.limit(at + diagonal, end + diagonal)
            limit = min(limit, old_limit - diagonal)
            self.stretch(at, limit, diagonal)
            at = limit

    def stretch(self, at, end, diagonal):
        """A run: one new and one old region."""
        self.long_end = self.block_end = 0
        code = None
        if self.n and self.o and self.n.kind == self.o.kind:
            code = isa.SETS.get(self.n.kind)
        phase = self.map.new.phase(at)
        if code and (diagonal + self.map.old.phase(at + diagonal) - phase) % code.step:
            code = None
        kind = self.n.kind + 1 if self.n else 0
        while at < end:
            self.alive()
            old = at + diagonal
            if code and (at + phase) % code.step == 0 and end - at >= code.step:
                if self.pool.find(old) and end - at >= 4 and (at + phase) % 4 == 0:
                    self.base = self.pool.find(old)[1]
                    self.token(at, old, (4, 15, 0), end)
                    at += 4
                    continue
                text_end = min(old + end - at, old + 64, len(self.old))
                for token in code.split(self.old, old, text_end):
                    self.token(at, at + diagonal, token, end)
                    if hasattr(code, "use"):
                        self.pool.pass_by(code, token, self.word, self.old_at, self.va(self.o, self.old_at), self.va(self.n, at))
                    at += token[0]
            elif not code and (at + phase) % 4 == 0 and end - at >= 4:
                self.role = self.role_at(at) if self.n and self.n.kind == 6 else 0
                self.token(at, old, (4, 0, 0), end)
                at += 4
            else:
                self.literal(1, self.old[old], self.old[old], kind)
                self.passed()
                at += 1

    def role_at(self, at):
        if self.n.start % 4 or at % 4:
            return 0
        if not self.walk or self.walk.region is not self.n:
            self.walk = Walk(self.n)
            self.walk.position = self.n.start
            if self.n.start < self.start:
                self.walk.position = self.start
                self.walk.state = tuple(self.plain(bits) for bits in (3, 5, 18))
        while self.walk.position < at:
            self.walk.step(load(self.out, self.walk.position - self.start))
            self.walk.position += 4
        return self.walk.role()

    def plain(self, bits):
        value = 0
        for _ in range(bits):
            value = value << 1 | self.coder.bit(32768)
        return value

    # -- blocks

    def block(self, s, end):
        if s < self.block_end:
            return
        self.clean = False
        if s >= self.long_end and end - s >= 256:
            self.long_end = self.block_end = s + 256
            self.clean = self.block_decision(s, 1)
            if self.clean:
                return
        if end - s >= 64:
            self.block_end = s + 64
            self.clean = self.block_decision(s, 0)
        else:
            self.block_end = end

    def block_decision(self, s, l):
        history = self.longs if l else self.shorts
        f, g, c = log2(s - self.piece_at), log2(self.piece_end - s), self.klass
        since = log2(self.since)
        bit = self.model.code(self.block_mixer, [
            h3(l, history & 255, 11), h4(l, c, f << 8 | g, 12), h4(l, history & 15, c, 13),
            h4(l, since, (f << 8 | history) & U32, 14), h4(l, self.outcomes & 255, self.longs & 3, 15),
            h4(l, s >> 12, history & 3, 16)],
            [16 * l + (history & 15), 32 * l + min(since, 31)])
        if l:
            self.longs = (self.longs << 1 | bit) & U32
        else:
            self.shorts = (self.shorts << 1 | bit) & U32
        return bool(bit)

    # -- tokens

    def token(self, at, old, token, end):
        self.at, self.old_at, self.tok = at, old, token
        size = token[0]
        self.word = load(self.old, old, size)
        self.block(at, end)
        self.candidates()
        outcome = 0
        if self.clean:
            y = self.ranked[0][0]
        else:
            later = self.have
            for j, (value, mask) in enumerate(self.ranked[:5]):
                later &= ~mask
                if self.flag(j, mask, later):
                    y, outcome = value, int(j > 0)
                    break
            else:
                outcome = 2
                y = self.literal(size, self.word, self.ranked[0][0], self.klass >> 4)
        if self.clean or outcome < 2:
            self.out += y.to_bytes(size, "little")
        self.since = 0 if outcome else self.since + 1
        if outcome or len(self.ranked) > 1:
            self.outcomes = (self.outcomes << 2 | outcome) & U32
        self.learn(y)
        if not self.clean:
            self.passed()

    def flag(self, j, mask, later):
        x, z = self.at, self.at - self.start
        jm = h3(mask, j, self.klass)
        jo = h3(jm, later, x & 3)
        last = self.outcomes & 3
        pre = load(self.old, self.old_at - 4) if self.old_at >= 4 else 0
        post = load(self.old, self.old_at + 4) if len(self.old) - self.old_at >= 8 else 0
        same = int(z >= 4 and load(self.out, z - 4) == pre)
        f, g = min(log2(x - self.piece_at), 12), min(log2(self.piece_end - x), 12)
        return self.model.code(self.flag_mixer, [
            jo, h4(jm, log2(self.since), self.outcomes & 15, 2), h3(jm, self.word, 3), h4(jm, f << 8 | g, 0, 4),
            h4(jm, pre >> 21 << 11 | post >> 21, last, 5), h4(jm, self.target & U32, self.exact, 6),
            h4(jo, same, self.word >> 22, 7)],
            [4 * self.klass + min(j, 3),
             ((min(bin(self.have).count("1"), 7) * 4 + min(j, 3)) * 4 + last) * 2 + (mask & 1)])

    def give(self, k, value):
        if value is not None:
            self.made[k] = value
            self.have |= 1 << k

    def va(self, region, x):
        return region.va + x - region.start & M64

    def build(self, address):
        if self.tok[1] == 15:
            return address - self.base[1] & U32
        code = isa.SETS[self.n.kind]
        return code.build(self.tok, self.word, self.va(self.n, self.at), address)

    def from_map(self):
        self.target = self.exact = 0
        self.has_target = False
        o, n, word = self.o, self.n, self.word
        if not o or not n or o.group != n.group or o.kind != n.kind:
            return
        if self.tok[1] == 15 and not self.base:
            self.pointer()
            return
        if self.tok[1]:
            text = (self.old, max(0, self.old_at - 64), min(len(self.old), self.old_at + 64))
            if self.tok[1] == 15:
                target = word + self.base[0] & U32
            else:
                target = isa.SETS[o.kind].target(text, self.old_at, self.tok, word, self.va(o, self.old_at))
            if target is None:
                return
            self.target, self.has_target = target, True
            answer, moved = self.map.address(o.group, target)
            self.exact = int(answer == EXACT)
            if answer != NONE:
                self.give(1, self.build(moved))
            return
        if self.tok[0] != 4 or word == 0 or self.va(o, self.old_at) % 4:
            return
        if o.kind == 6:
            self.target = word
            if self.role:
                self.has_target = True
                answer, moved = self.map.type(word) if self.role == 1 else self.map.address(o.group, word)
                self.exact = int(answer == EXACT)
                if answer != NONE:
                    self.give(1, moved & U32)
        elif o.kind == 10:
            flip = U32 if word >> 31 else 0
            old_base, new_base = self.map.old.base(o.group), self.map.new.base(o.group)
            answer, moved = self.map.address(o.group, old_base + (word ^ flip) & M64)
            if answer != NONE:
                self.give(5, (moved - new_base & U32) ^ flip)
        elif o.kind in (0, 1, 4, 5, 18):
            self.distance()
            self.pointer()
        elif o.kind == 11:
            answer, moved = self.map.address(o.group, o.va + sx(word, 32) & M64)
            if answer != NONE:
                self.give(5, moved - n.va & U32)
        elif o.kind == 12:
            self.distance()
            answer, moved = self.map.address(o.group, self.va(o, self.old_at) - word & M64)
            if answer == EXACT:
                self.give(5, self.va(n, self.at) - moved & U32)
        elif o.kind in (13, 14):
            self.pointer()
        elif o.kind == 15:
            if (self.old_at - o.start) % 8 == 0:
                self.pointer()
            else:
                number = self.symbol(13, word >> 8)
                if number is not None:
                    self.give(5, number << 8 & U32 | word & 255)
        elif o.kind == 16:
            inside = (self.old_at - o.start) % 24
            if inside in (0, 16):
                self.pointer()
            elif inside == 12:
                self.give(5, self.symbol(14, word))
        elif o.kind == 17:
            number = self.symbol(14, word)
            self.give(5, self.symbol(13, word) if number is None else number)

    def symbol(self, kind, number):
        """New number of a symbol of the program."""
        old, new = self.map.old.of_kind(self.o.group, kind), self.map.new.of_kind(self.o.group, kind)
        size = 24 if kind == 14 else 16
        if not old or not new or number == 0 or number >= old.bytes // size:
            return None
        answer, moved = self.map.address(self.o.group, old.va + number * size & M64)
        moved = moved - new.va & M64
        return moved // size if answer == EXACT and moved % size == 0 and moved // size <= U32 else None

    def distance(self):
        answer, moved = self.map.address(self.o.group, self.va(self.o, self.old_at) + sx(self.word, 32) & M64)
        if answer == EXACT:
            self.give(4, moved - self.va(self.n, self.at) & U32)

    def pointer(self):
        a, o = self.word, self.o
        if len(self.old) - self.old_at >= 8:
            a |= load(self.old, self.old_at + 4) << 32
        if a >> 32 != o.va >> 32:
            a = self.word
        answer, moved = self.map.address(o.group, a)
        if answer == EXACT or (answer == NEAR and a >> 32):
            self.give(5, moved & U32)

    def target_key(self, address):
        return hb(address & U32 ^ (address >> 32) * 31 & U32 ^ self.o.group << 20 & U32, 13)

    def near_key(self, address):
        return hb(address >> 12 & U32 ^ self.o.group << 20 & U32, 12)

    def candidates(self):
        word = self.word
        kind = self.n.kind + 1 if self.n and self.o else 0
        self.klass = kind << 4 | (self.tok[1] or self.role)
        self.made, self.have = {}, 0
        self.give(0, word)
        self.from_map()
        if self.has_target and self.tok[1]:
            t_old, t_new = self.targets.get(self.target_key(self.target), (None, 0))
            if t_old == self.target and t_new:
                self.give(2, self.build(t_new))
            else:
                u_old, u_new = self.nears.get(self.near_key(self.target), (0, 0))
                if u_new and -65536 <= sx(u_old - self.target, 64) < 65536:
                    self.give(3, self.build(u_new + self.target - u_old & M64))
        elif 1 in self.made:
            key = self.role << 32 | word
            t_old, t_new = self.targets.get(self.target_key(key), (0, 0))
            if t_old == key:
                self.give(2, t_new & U32)
        if self.tok[0] == 4:
            self.from_data()
            if kind == 13 and self.o.kind == 12 and self.o.group == self.n.group:
                self.range()
            if kind == 0:
                self.identity()
        self.rank()

    def range(self):
        if self.at - self.start < 4 or self.old_at < 4 or self.word == 0:
            return
        start = self.va(self.o, self.old_at) - 4 + sx(load(self.old, self.old_at - 4), 32)
        answer, moved = self.map.address(self.o.group, start + self.word - 1 & M64)
        if answer == EXACT:
            start = self.va(self.n, self.at) - 4 + sx(load(self.out, self.at - self.start - 4), 32)
            self.give(13, moved + 1 - start & U32)

    def identity(self):
        z = self.at - self.start
        if self.id_at is None or z - self.id_at < 24:
            return
        known, digits = bytes(self.out[z - 4:z]), self.out[self.id_at:self.id_at + 20].hex().encode()
        i = digits[:36].find(known)
        if i >= 0 and i + 8 <= 40:
            self.give(14, load(digits, i + 4))

    def from_data(self):
        word = self.word
        if 1 not in self.made:
            old, new = self.words.get(hb(word, 15), (0, 0))
            if old == word and new:
                self.give(6, new)
        old, new = self.fields.get(hb(word >> 10, 13), (0, 0))
        if old == word >> 10 and new:
            self.give(7, new << 10 | word & 1023)
        if self.delta:
            self.give(8, word + self.delta & U32)
        z = self.at - self.start
        for k, b in ((9, 8), (10, 12), (11, 24)):
            if z >= b and self.old_at >= b:
                d = load(self.out, z - b) - load(self.old, self.old_at - b) & U32
                if d:
                    self.give(k, word + d & U32)
        if 0 < word < 1 << 26:
            old, new = self.values.get(hb(word >> 6, 13), (0, 0))
            if new and old >> 6 == word >> 6:
                self.give(12, word + new & U32)

    def rank(self):
        found = {}
        for k in sorted(self.made):
            key = k, self.klass
            score = self.scores.get(key, [32768, 32768])[self.hits.get(key, 0)]
            mask, best = found.get(self.made[k], (0, 0))
            found[self.made[k]] = mask | 1 << k, max(best, score)
        self.ranked = [(v, m) for v, (m, s) in sorted(found.items(), key=lambda item: -item[1][1])]

    # -- learning

    def learn(self, y):
        if y == 0x00554e47 and self.tok[0] == 4:
            self.id_at = self.at + 4 - self.start
        if len(self.ranked) > 1:
            for k, value in self.made.items():
                key = k, self.klass
                scores, hit = self.scores.setdefault(key, [32768, 32768]), self.hits.get(key, 0)
                s = scores[hit]
                self.hits[key] = int(value == y)
                scores[hit] = s + ((65535 - s) * 5 >> 8) if value == y else s - (s * 5 >> 8)
        pc = self.made.get(1)
        if self.has_target and self.tok[1]:
            self.learn_target(y, pc)
        elif pc is not None:
            key = self.role << 32 | self.word
            place = self.target_key(key)
            if self.targets.get(place, (0, 0))[0] == key or pc != y:
                self.targets[place] = key, y
        if self.tok[0] == 4 and pc is None:
            self.learn_data(y)

    def learn_target(self, y, pc):
        place = self.target_key(self.target)
        if pc is not None and pc == y and self.targets.get(place, (None, 0))[0] != self.target:
            return
        code, z = isa.SETS[self.n.kind], self.at - self.start
        if self.tok[1] in code.behind:
            return
        if self.tok[1] == 15:
            new = y + self.base[1] & U32
            if new:
                self.targets[place] = self.nears[self.near_key(self.target)] = self.target, new
            return
        if code.checked and code.split(self.out, z, z + self.tok[0])[0][1] != self.tok[1]:
            return
        text = (self.out, max(0, z - 64, z - (self.at - self.n.start)), z + self.tok[0])
        new = code.target(text, z, self.tok, y, self.va(self.n, self.at))
        if new:
            self.targets[place] = self.nears[self.near_key(self.target)] = self.target, new

    def learn_data(self, y):
        o = self.word
        place = hb(o, 15)
        old, new = self.words.get(place, (0, 0))
        if o != y:
            self.words[place] = o, y
            self.delta = y - o & U32
        elif old == o and new:
            self.words[place] = o, y
        place = hb(o >> 10, 13)
        old, new = self.fields.get(place, (0, 0))
        if o >> 10 != y >> 10 and o & 1023 == y & 1023:
            self.fields[place] = o >> 10, y >> 10
        elif old == o >> 10 and o == y:
            self.fields[place] = old, y >> 10
        if 0 < o < 1 << 26:
            place = hb(o >> 6, 13)
            if o != y:
                self.values[place] = o, y - o & U32
            elif self.values.get(place, (0, 0))[0] == o:
                self.values[place] = o, 0

    # -- literals

    def passed(self):
        z = len(self.out)
        self.found, self.looked = 0, z
        if z >= 6:
            i = h2(load(self.out, z - 4), load(self.out, z - 6, 2)) >> 16
            self.found = self.index.get(i, 0)
            self.index[i] = z + 1

    def back(self, b):
        z = len(self.out)
        return load(self.out, z - b) if z >= b else 0

    def match(self, n):
        if self.looked != len(self.out):
            self.passed()
        z, place, m = len(self.out), self.found - 1, 0
        if place < 0:
            return 0, 0
        while m < 32 and m < place and self.out[place - 1 - m] == self.out[z - 1 - m]:
            m += 1
        return (place, m) if m >= 6 and place + n <= z else (place, 0)

    def literal(self, n, old, guess, kind):
        """Codes it, appends it and returns it."""
        place, m = self.match(n)
        known = 0
        for i in range(n - 1, -1, -1):
            number = 0 if n == 1 else 1 + i if n == 4 else 5 + i
            old_byte = -1 if old is None else old >> 8 * i & 255
            guess_byte = -1 if guess is None else guess >> 8 * i & 255
            match_byte = self.out[place + i] if m else -1
            byte = self.literal_byte(n, number, (old_byte, guess_byte, match_byte), min(m, 15), known, kind)
            if m and match_byte != byte:
                m = 0
            self.coded = (self.coded << 8 | byte) & U32
            known = known << 8 | byte
        self.out += known.to_bytes(n, "little")
        return known

    def literal_byte(self, n, number, expected, mc, known, kind):
        e, u, c = expected[0] + 1, expected[1] + 1, self.coded
        w4 = self.back(4)
        bases = (0, c & 255, c & 65535, h3(w4 >> 21, self.back(8) >> 21, known), e << 8 | 1, u << 16 | e,
                 h2(self.back(24), known), h3(u, known, c & 255), h3(self.back(12), kind, known), h3(w4, kind, known))
        hashes = [h2(base, i << 16 | number) for i, base in enumerate(bases)]
        part = 1
        for t in range(8):
            o, g, m = (2 if v < 0 or (v | 256) >> (8 - t) != part else v >> (7 - t) & 1 for v in expected)
            pairs = [self.model.pair((h + (part >> 1) * 0x9e3779b1) * 0x85ebca6b & U32, part & 1) for h in hashes]
            contexts = [h4(o, g, number << 4 | t, 0), h4(m, mc, number, 99)]
            part = part << 1 | self.model.code(self.literal_mixer, contexts, [
                ((2 * number + (o < 2)) * 3 + m) * 3 + g,
                (8 * number + t) * 64 + (3 * o + g) * 6 + (1 + mc // 8 if m < 2 else 0),
                ((256 if n > 1 else 0) + part) * 4 + (3 if m == 2 else m)], pairs)
        return part & 255


class Image:
    def __init__(self, prelude, old, new_bytes, room):
        self.old = old
        told = Prelude(prelude, len(old), new_bytes, room)
        self.map, self.names = told.map, told.names

    def decode(self, chunk, start, end):
        return bytes(Segment(self, chunk, start, end).out)
