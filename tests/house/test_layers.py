#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Holds the sources to the table of docs/architecture.md.

usage: test_layers.py SOURCE_ROOT [BUILD_ROOT]
With BUILD_ROOT the symbols of the device rooms' libraries are looked at too.
"""
import pathlib
import re
import subprocess
import sys

DEVICE_ROOMS = "base delta codec package flash updater at".split()

# Which library a system header belongs to; all others are the C library's.
LIBRARY_OF = {
    "lzma.h": "lzma", "divsufsort.h": "divsufsort", "zip.h": "zip", "jansson.h": "jansson", "systemd/sd-bus.h": "systemd",
    "ini.h": "ini", "uv.h": "uv", "pthread.h": "pthread", "event2/": "event", "curl/": "curl",
    "openssl/": "openssl", "zlib.h": "zlib", "zstd.h": "zstd", "lz4.h": "lz4", "lz4hc.h": "lz4",
}
# What a device room has no business with, and what nobody calls.
DEVICE_BANNED = ["getenv", "secure_getenv", "setenv", "time", "clock_gettime", "gettimeofday", "printf",
                 "fprintf", "puts", "perror", "syslog", "exit", "abort"]
BANNED = ["system", "popen", "sprintf", "vsprintf", "strcpy", "strcat", "strtok", "atoi", "atol", "gets",
          "execlp", "execvp", "tmpnam", "mktemp"]
LINES_MAX = 700

failures = []
checked = 0


def check(good, text):
    global checked
    checked += 1
    if not good:
        failures.append(text)


def table(root):
    """Rows of the architecture table: room -> (headers, rooms, libraries)."""
    rows = {}
    for line in (root / "docs/architecture.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 5 and re.fullmatch(r"[a-z]+", cells[0]) and cells[0] != "room":
            rows[cells[0]] = (cells[2].split(), cells[3].split(), cells[4].split())
    return rows


def without_comments_and_strings(text):
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def library_of(header):
    for prefix, library in LIBRARY_OF.items():
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            return library
    return None


def check_file(path, room, rows, room_of_header):
    text = path.read_text()
    name = path.relative_to(path.parents[2])
    headers, rooms, libraries = rows[room]
    for kind, header in re.findall(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', text, flags=re.M):
        if kind == '"' and header.startswith("dfota/"):
            owner = room_of_header.get(header[len("dfota/"):-len(".h")])
            check(owner == room or owner in rooms, f"{name}: {room} may not use {header} (of {owner})")
        elif kind == '"':
            check((path.parent / header).is_file(), f"{name}: {header} is not a file of this room")
        else:
            library = library_of(header)
            check(library is None or library in libraries, f"{name}: {room} may not use <{header}>")
    code = without_comments_and_strings(text)
    for word in BANNED + (DEVICE_BANNED if room in DEVICE_ROOMS else []):
        check(not re.search(rf"(?<![\w.>]){word}\s*\(", code), f"{name}: calls {word}()")
    check(text.count("\n") <= LINES_MAX, f"{name}: longer than {LINES_MAX} lines")
    check(text.startswith("/* SPDX-License-Identifier: MIT"), f"{name}: no licence line at its head")


def check_headers(root, rows, room_of_header):
    for path in sorted((root / "include/dfota").glob("*.h")):
        room = room_of_header.get(path.stem)
        check(room is not None, f"include/dfota/{path.name}: no room's header in the table")
        if room is None:
            continue
        for header in re.findall(r'#\s*include\s+"dfota/([^"]+)\.h"', path.read_text()):
            owner = room_of_header.get(header)
            check(owner == room or owner in rows[room][1], f"include/dfota/{path.name}: uses {header}.h of {owner}")


def check_symbols(build, room):
    """A device room keeps no mutable state between calls: nothing in .data or .bss."""
    for archive in sorted((build / "src" / room).glob("*.a")):
        table = subprocess.run(["objdump", "-t", str(archive)], capture_output=True, text=True, check=True)
        for line in table.stdout.splitlines():
            # address, flags, section, size, name; constants with pointers stand in .data.rel.ro
            match = re.match(r"[0-9a-f]{16} .{6}O (\.(?:bss|data|tbss|tdata)\S*|\*COM\*)\s+\S+ (\S+)", line)
            if match and not match[1].startswith(".data.rel.ro") and "asan" not in match[2].lower():
                check(False, f"{archive.name}: mutable global {match[2]}")
        check(True, "")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    rows = table(root)
    room_of_header = {header: room for room, row in rows.items() for header in row[0]}
    folders = {path.name for path in (root / "src").iterdir() if path.is_dir()}
    check(folders == set(rows), f"folders of src/ and rows of the table differ: {folders ^ set(rows)}")
    seen = []
    for room, (_, rooms, _) in rows.items():
        check(set(rooms) <= set(seen), f"row {room}: uses a room that is not above it")
        seen.append(room)
    for room in sorted(set(rows) & folders):
        for path in sorted((root / "src" / room).glob("*.[ch]")):
            check_file(path, room, rows, room_of_header)
    check_headers(root, rows, room_of_header)
    if len(sys.argv) > 2:
        for room in DEVICE_ROOMS:
            check_symbols(pathlib.Path(sys.argv[2]), room)
    for failure in failures:
        print(failure)
    print(f"{checked} checks, {len(failures)} failed")
    return 1 if failures or checked < 50 else 0


sys.exit(main())
