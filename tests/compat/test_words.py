#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Instruction sets of the codec and of isa.py, which was written from the documents, agree on code made by chance.

usage: test_words.py WORDS [SEED]
"""
import random
import subprocess
import sys

import isa
import predict  # reads the tables of opcodes

RECORDS = 12000
M64 = (1 << 64) - 1
BASES = (0x400000, 0x10000, 0xffff800080000000, 0xfffffff8, 8)
A32 = (0x0a000000, 0x0b000000, 0xf4000000, 0x051f0000, 0x059f0000, 0x0d1f0a00, 0x0d9f0a00, 0x028f0000, 0x024f0000)
SHORT = (0x4800, 0xa000, 0xe000, 0xd000, 0xb100)
LONG = (0xf81f, 0xf85f, 0xf8df, 0xe95f, 0xe9df, 0xed1f, 0xed9f, 0xf20f, 0xf2af, 0xf60f, 0xf6af)
RISCV = (0x6f, 0x63, 0x17, 0x03, 0x13, 0x67, 0x23, 0x27)
SHORT_RISCV = (0x2000, 0x4000, 0x6000, 0x0401, 0x4401, 0x8c01, 0xe001, 0x0402, 0x2402, 0x6402, 0x8402, 0x8416, 0x9402, 0xe022)  # some write x8


def word(chance):
    """32 bits that often are something to one of the sets."""
    w = chance.getrandbits(32)
    return chance.choice((
        lambda: w,
        lambda: w & 0x00ffffff | chance.choice(list(isa.A64.tops)) << 24,
        lambda: w & 0xf000ffff & ~0xf00 | chance.choice(A32) | w & 0xf00,
        lambda: w & 0xf00f0fff | chance.choice((0x03000000, 0x03400000)) | chance.choice((0, 0x1000)),
        lambda: w & 0xffff0000 | chance.choice(SHORT) | chance.getrandbits(11),
        lambda: w & 0x7fff0000 | 0x8000f000 | chance.getrandbits(11),
        lambda: w & 0xffff0000 | chance.choice(LONG),
        lambda: w & 0x70ff0000 | chance.choice((0xf240, 0xf2c0)) | w & 15 | chance.choice((0, 1024)),
        lambda: w & 0xffffff00 | chance.choice((0xe8, 0xe9, 0x0f, 0x48, 0xc7, 0xb8, 0x8b, 0xc5, 0xc4, 0x62, 0x8f, 0x66)),
        lambda: w & 0xff000000 | 0x0500 | chance.choice((0x48, 0x8b)) << 16 | w & 255,
        lambda: w & ~0x7f | chance.choice(RISCV),
        lambda: w & 0xfff07000 & ~0x7000 * chance.getrandbits(1) | 8 << 7 | 8 << 15 | chance.choice(RISCV),
        lambda: w & 0xffff0000 | chance.choice((0xa001, 0xc001, 0xe001)) | chance.getrandbits(13) & ~3,
        lambda: chance.choice(SHORT_RISCV) << 16 | chance.choice(SHORT_RISCV),
    ))() & 0xffffffff


def record(chance):
    code = b"".join(word(chance).to_bytes(4, "little") for _ in range(32))
    va = chance.choice(BASES) + 4 * chance.randrange(4096) & M64
    reach = 1 << chance.randrange(1, 33)
    target = va + chance.choice((1, 2, 4, 8)) * chance.randrange(-reach, reach) & M64
    return code, va, target


def lines(code, va, target, seen):
    for number, chosen in isa.SETS.items():
        done = 0
        for token in chosen.split(code, 64, 128):
            size, kind, behind = token
            w, found, built = isa.load(code, 64 + done, size), None, None
            if kind:
                found = chosen.target((code, done, 128), 64 + done, token, w, va + done & M64)
                built = chosen.build(token, w, va + done & M64, target)
                seen.setdefault((number, kind), set()).update({found is not None and "target", built is not None and "build"})
            yield (f"{size} {kind} {behind} {found is not None:d} {found or 0:x} {built is not None:d} {built or 0:x}",
                   (number, hex(w), hex(va), hex(target)))
            done += size


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    chance = random.Random(seed)
    records = [record(chance) for _ in range(RECORDS)]
    data = b"".join(code + va.to_bytes(8, "little") + target.to_bytes(8, "little") for code, va, target in records)
    said = subprocess.run([sys.argv[1]], input=data, capture_output=True, timeout=300, check=True).stdout.decode().splitlines()
    seen, own = {}, []
    for code, va, target in records:
        own += lines(code, va, target, seen)
    wrong = [(a, *rest) for (a, rest), b in zip(own, said) if a != b]
    print(f"seed {seed}: {len(own)} tokens, {len(wrong)} differ", *wrong[:5], sep="\n")
    classes = {(0, c) for c in range(1, 10)} | {(1, c) for c in range(1, 9)} | {(2, c) for c in range(1, 15)} | {(3, c) for c in range(1, 6)} | {(18, c) for c in range(1, 8)}
    blind = [c for c in sorted(classes) if "build" not in seen.get(c, ())]
    print("never built:", blind)
    return 1 if wrong or blind or len(own) != len(said) else 0


if __name__ == "__main__":
    assert predict.isa is isa
    sys.exit(main())
