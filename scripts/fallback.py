# SPDX-License-Identifier: MIT
"""Two versions of a small firmware, compiled on the spot: for machines that cannot reach an archive.

Real machine code from real compilers in two versions, with changes as a release has them: constants, code put in between,
functions that grew, a new table.
"""
import os
import pathlib
import random
import subprocess

PARTS = {"boot": 260, "sbl": 24, "tz": 16, "modem": 60}  # functions in each


def function(rng, name, others):
    """A C function of random but sensible shape that calls some of the others."""
    lines = [f"unsigned {name}(unsigned a, unsigned b)", "{", f"\tunsigned s = a * {rng.randrange(3, 9999)}u + table[b % 64];"]
    for _ in range(rng.randrange(3, 12)):
        kind = rng.randrange(4)
        if kind == 0:
            lines.append(f"\tfor (unsigned i = 0; i < b % {rng.randrange(2, 40)}; i++)\n\t\ts = s * {rng.randrange(3, 99)}u ^ table[(s + i) % 64];")
        elif kind == 1 and others:
            lines.append(f"\ts += {rng.choice(others)}(s >> {rng.randrange(1, 9)}, b + {rng.randrange(99)});")
        elif kind == 2:
            lines.append(f"\tif ((s & {rng.randrange(1, 255)}) == {rng.randrange(4)})\n\t\tnote(\"{name}: state {rng.randrange(999)}\", s);")
        else:
            lines.append(f"\ts ^= s >> {rng.randrange(1, 15)}; s += {rng.randrange(1 << 20)}u;")
    return "\n".join(lines + ["\treturn s;", "}", ""])


def source(part, count, newer):
    """The text of one program; in the newer version every thirtieth function is other code, and one in fifty is new."""
    out = ["static const unsigned table[64] = {" + ", ".join(str(random.Random(f"{part}{i}").randrange(1 << 32)) + "u" for i in range(64)) + "};",
           "unsigned notes;", "__attribute__((noinline)) void note(const char *text, unsigned value)",
           "{", "\tfor (; *text; text++)", "\t\tnotes = notes * 31u + (unsigned char)*text + value;", "}"]
    names = []
    for i in range(count):
        edition = newer and i % 30 == 7
        name = f"{part}_f{i}"
        out.append(function(random.Random(f"{part}{i}{edition}"), name, names[-20:]))
        names.append(name)
        if newer and i % 50 == 11:
            out.append(function(random.Random(f"{part}{i}new"), f"{part}_n{i}", names[-20:]))
    out.append("int main(void)\n{\n\tunsigned s = 1;\n" + "".join(f"\ts += {n}(s, notes);\n" for n in names) + "\treturn (int)s;\n}\n")
    return "\n".join(out)


def compile_to(path, text, folder):
    c = folder / "part.c"
    c.write_text(text)
    subprocess.run(["gcc", "-O2", "-g0", "-fno-ident", "-Wl,--build-id=none", "-o", str(path), str(c)], check=True,
                   env={**os.environ, "LC_ALL": "C"})
    c.unlink()


def make(folder, newer):
    """Writes boot, sbl, tz and modem images into `folder`; returns the tree for the system image."""
    folder = pathlib.Path(folder)
    for part, count in PARTS.items():
        compile_to(folder / f"{part}.img", source(part, count, newer), folder)
    tree = folder / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "etc").mkdir()
    for i in range(6):
        compile_to(tree / "bin" / f"tool{i}", source(f"tool{i}", 60 + 20 * i, newer and i % 2 == 0), tree)
    (tree / "etc/release").write_text(f"version={'v13' if newer else 'v12'}\n")
    rng = random.Random("words")
    (tree / "etc/words").write_text("".join(f"{rng.randrange(1 << 40):x} " for _ in range(40000)) + ("new " if newer else ""))
    return tree
