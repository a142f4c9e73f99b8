# SPDX-License-Identifier: MIT
"""A program with the tables that a linker derives: symbols, hashes, relocations, unwind tables, an identity."""
import hashlib
import struct

FUNCTIONS, SYMBOLS, BUCKETS = 420, 600, 128
HEADS = {True: (64, 56, 64), False: (52, 32, 40)}  # sizes of the head, of a segment's and a section's record


def digest(text):
    return hashlib.sha256(text.encode()).digest()


def function_words(number, later):
    bits = digest(f"function {number}")
    words = [0x91000000 | bits[i] << 5 | bits[i + 1] & 31 for i in range(3 + bits[0] % 7)]
    if later and number % 60 == 7:
        words[1:1] = [0xd503201f] * 2
    return words


def numbers_of_symbols(later):
    """Old names in their order; the later program has some more among them."""
    names = []
    for i in range(SYMBOLS):
        if later and i % 150 == 99:
            names.append(f"fresh_{i}")
        names.append(f"symbol_{i}")
    return names


def frames(places, sizes, at, table_at):
    """.eh_frame_hdr and .eh_frame, which stands at `at`."""
    cie = struct.pack("<IIB3sBBB", 16, 0, 1, b"zR\0", 4, 0x78, 30) + bytes([1, 0x1b, 12, 31, 0])
    out, entries = bytearray(cie + bytes(20 - len(cie))), []
    for number, (place, size) in enumerate(zip(places, sizes)):
        own = at + len(out)
        program = digest(f"frame {number}")[:3 + number % 3 * 4]
        out += struct.pack("<IIiI", 13 + len(program), len(out) + 4, place - (own + 8), size) + bytes(1) + program
        entries.append(struct.pack("<ii", place - table_at, own - table_at))
    out += bytes(4)
    table = bytes([1, 0x1b, 3, 0x3b]) + struct.pack("<iI", at - (table_at + 4), len(entries)) + b"".join(entries)
    return table, bytes(out)


def linked(wide, later):
    head, segment_bytes, section_bytes = HEADS[wide]
    identity = digest(f"identity {wide} {later}")[:20]
    names = numbers_of_symbols(later)
    parts, at = {}, head + 2 * segment_bytes

    def put(name, data, align=8):
        nonlocal at
        at += -at % align
        parts[name] = (at, data)
        at += len(data)

    symbol_bytes, reloc_bytes = (24, 24) if wide else (16, 8)
    at += -at % 8
    by_bucket = sorted(names, key=lambda name: (digest(name)[0] % BUCKETS, name))
    hash_at, sizes = at, [4 * len(function_words(i, later)) for i in range(FUNCTIONS)]
    # Sizes do not depend on contents, so places are known before.
    symbols_at = hash_at + 16 + 8 + 4 * (BUCKETS + len(names))
    symbols_at += -symbols_at % 8
    relocs_at = symbols_at + symbol_bytes * (len(names) + 1)
    relocs_at += -relocs_at % 8
    text_at = relocs_at + reloc_bytes * len(names)
    text_at += -text_at % 8
    places = [text_at + sum(sizes[:i]) for i in range(FUNCTIONS)]
    buckets = [next((i + 1 for i, name in enumerate(by_bucket) if digest(name)[0] % BUCKETS == b), 0) for b in range(BUCKETS)]
    put("hash", struct.pack("<IIII", BUCKETS, 1, 1, 6) + digest("bloom")[:8 if wide else 4] + struct.pack(f"<{BUCKETS}I", *buckets) +
        b"".join(digest("hash " + name)[:4] for name in by_bucket) + bytes(0 if wide else 4))
    symbols, relocs = bytes(symbol_bytes), b""
    for i, name in enumerate(by_bucket):
        place = places[digest(name)[1] * 7 % FUNCTIONS]
        symbols += struct.pack("<IBBHQQ", 11 * i, 18, 0, 9, place, 4) if wide else struct.pack("<IIIBBH", 11 * i, place, 4, 18, 0, 9)
    number = {name: i + 1 for i, name in enumerate(by_bucket)}
    for i, name in enumerate(names):
        place = places[i % FUNCTIONS]
        relocs += struct.pack("<QIIq", place, 1026, number[name], 0) if wide else struct.pack("<II", place, number[name] << 8 | 22)
    put("symbols", symbols)
    put("relocs", relocs)
    put("text", b"".join(struct.pack("<I", word) for i in range(FUNCTIONS) for word in function_words(i, later)))
    assert [parts[name][0] for name in ("symbols", "relocs", "text")] == [symbols_at, relocs_at, text_at]
    at += -at % 8
    table_at, frames_at = at, at + 12 + 8 * FUNCTIONS
    frames_at += -frames_at % 8
    table, records = frames(places, sizes, frames_at, table_at)
    put("table", table)
    put("frames", records)
    put("note", struct.pack("<III4s", 4, 20, 3, b"GNU\0") + identity)
    loaded = at
    put("link", identity.hex()[2:].encode() + b".debug\0\0" + digest(f"sum {later}")[:4], 4)
    return assemble(wide, parts, loaded, at)


def assemble(wide, parts, loaded, end):
    head, segment_bytes, section_bytes = HEADS[wide]
    form, word = ("<IIQQQQQQ", "Q") if wide else ("<IIIIIIII", "I")
    out = bytearray(end)
    for at, data in parts.values():
        out[at:at + len(data)] = data

    def segment(kind, flags, at, size):
        return struct.pack(form, kind, flags, at, at, at, size, size, 8) if wide else struct.pack(form, kind, at, at, at, size, size, flags, 8)

    out[head:head + 2 * segment_bytes] = (segment(1, 5, 0, loaded) +
                                          segment(0x6474e550, 4, parts["table"][0], len(parts["table"][1])))
    types = {"hash": (0x6ffffff6, 2), "symbols": (11, 2), "relocs": (4 if wide else 9, 2), "text": (1, 6)}
    sections = bytes(section_bytes)
    for name, (kind, flags) in types.items():
        at, data = parts[name]
        sections += struct.pack(f"<II4{word}II2{word}", 0, kind, flags, at, at, len(data), 0, 0, 8, 0)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    out[:head] = ident + struct.pack(f"<HHI3{word}IHHHHHH", 3, 183 if wide else 40, 1, parts["text"][0], head, end, 0, head,
                                     segment_bytes, 2, section_bytes, len(types) + 1, 0)
    return bytes(out) + sections
