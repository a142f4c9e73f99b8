#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures packages against other delta tools: one table, every patch and package applied and compared.

usage: run.py --dfota PROGRAM --decoder PROGRAM [--fresh] [--only WORD] [--out DOC.md] [--svg CHART.svg] [--json FILE] FOLDER

FOLDER holds <class>/<pair>/{old,new}/, each a firmware folder; bench/data makes it. The peers get the same images, one patch per image;
dfota's figure is the whole signed package. What peers make of an image does not change, so it is kept beside FOLDER; --fresh measures it
again, and the document says what was measured in this run. Exits 1 if anything is above what must be reached.
"""
import argparse
import filecmp
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import peers  # noqa: E402
import report  # noqa: E402
from peers import Failed, measured  # noqa: E402

KIB = 1 << 10
TINY = 4 * KIB


def say(text):
    print(text, file=sys.stderr, flush=True)


def images(folder):
    return sorted(path.name for path in folder.glob("*.img"))


class Dfota:
    def __init__(self, program, decoder, folder):
        self.program, self.decoder, self.folder, self.key = program, decoder, folder, folder / "bench"
        measured([program, "keygen", self.key], folder)
        self.base = self.tiny()

    def tiny(self):
        """What the program takes for next to nothing: the base that memory is counted from."""
        for side, byte in (("old", b"a"), ("new", b"b")):
            folder = self.folder / "tiny" / side
            folder.mkdir(parents=True)
            (folder / "firmware.ini").write_text(f"project = BENCH\nversion = {side}\n")
            (folder / "boot.img").write_bytes(byte * TINY)
        return self.pair(self.folder / "tiny/old", self.folder / "tiny/new")

    def pair(self, old, new):
        package, target = self.folder / "package.zip", self.folder / "target"
        built = measured([self.program, "pack", old, new, "-o", package, "--key", f"{self.key}.key", "--no-check"], self.folder)
        speed = max(self.speed(package, old) for _ in range(3))
        shutil.copytree(old, target)
        applied = measured([self.program, "apply", package, "--firmware", target, "--trust", f"{self.key}.pub"], self.folder)
        for name in images(new):
            if not filecmp.cmp(target / name, new / name, shallow=False):
                raise Failed(f"dfota: {name} is not the new image")
        size = package.stat().st_size
        shutil.rmtree(target)
        package.unlink()
        return {"bytes": size, "build_s": built.seconds, "build_mib": built.mib, "apply_s": applied.seconds, "apply_cpu": applied.cpu,
                "apply_mib": applied.mib, "decode_mbs": speed}

    def speed(self, package, old):
        """MB of new image a second of CPU, by the decoder alone."""
        done = subprocess.run([self.decoder, package, old], check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-2])


def when(rows):
    return {"fresh": all(row["fresh"] for row in rows), "date": min(row["date"] for row in rows)}


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def added(rows):
    """Several images of one pair: bytes and seconds add up, of memory the largest counts."""
    failed = [row["failed"] for row in rows if "failed" in row]
    if failed:
        return {"failed": failed[0], **when(rows)}
    total = {name: sum(row[name] for row in rows) for name in ("bytes", "build_s", "apply_s")}
    total |= {name: max(row[name] for row in rows) for name in ("build_mib", "apply_mib")}
    return total | {"note": next((row["note"] for row in rows if row["note"]), ""), **when(rows)}


def pair_run(dfota, tools, results, path, folder):
    old, new = path / "old", path / "new"
    sizes = [(side / name).stat().st_size for side in (old, new) for name in images(new)]
    row = {"class": path.parent.name, "pair": path.name, "full": sum((new / name).stat().st_size for name in images(new)),
           "largest": max(sizes), "elf": all(is_elf(new / name) for name in images(new)), "dfota": dfota.pair(old, new), "peers": {}}
    say(f"    {'dfota':8} {row['dfota']['bytes']:>12,}  {row['dfota']['build_s']:7.1f} s {row['dfota']['build_mib']:6.0f} MiB, "
        f"apply {row['dfota']['apply_s']:.1f} s {row['dfota']['apply_mib']:.0f} MiB")
    for peer, version in tools:
        found = added([results.peer(peer, version, old / name, new / name, folder) for name in images(new)])
        row["peers"][peer.name] = found
        say(f"    {peer.name:8} " + (found.get("failed") or f"{found['bytes']:>12,}  {found['build_s']:7.1f} s {found['note']}") +
            ("" if found["fresh"] else " (kept)"))
    row["alone"] = sum(results.compressed(new / name, folder) for name in images(new))
    ended = {name: found["bytes"] for name, found in row["peers"].items() if "bytes" in found}
    if not ended:
        raise Failed(f"{path}: no peer made a patch")
    row["best"] = min(ended, key=ended.get)
    row["ratio"] = row["dfota"]["bytes"] / max(1, ended[row["best"]])
    say(f"    ratio    {row['ratio']:.3f}")
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dfota", required=True, type=pathlib.Path)
    parser.add_argument("--decoder", required=True, type=pathlib.Path, help="program that times the decoder alone: bench/decode")
    parser.add_argument("--fresh", action="store_true", help="measure the peers again")
    parser.add_argument("--only", default="", help="pairs whose class/name holds this word")
    parser.add_argument("--out", help="write the document there")
    parser.add_argument("--svg", help="write the chart there")
    parser.add_argument("--json", help="write the raw figures there")
    parser.add_argument("--scratch", default=None)
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    tools = [(peer, peer.version()) for peer in peers.available()]
    results = peers.Results(arguments.folder.parent / "bench-peers.json", arguments.fresh, say)
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.scratch, prefix="dfota-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        dfota = Dfota(arguments.dfota.resolve(), arguments.decoder.resolve(), scratch)
        for path in sorted(p for p in arguments.folder.glob("[!.]*/*") if (p / "complete").exists()):
            if arguments.only in f"{path.parent.name}/{path.name}":
                say(f"{path.parent.name}/{path.name}")
                rows.append(pair_run(dfota, tools, results, path, scratch))
                if arguments.json:
                    pathlib.Path(arguments.json).write_text(json.dumps({"base": dfota.base, "rows": rows}, indent=1) + "\n")
    if not rows:
        raise Failed(f"no pair in {arguments.folder} has \"{arguments.only}\" in its name")
    missing = arguments.folder / "missing"
    run = report.Report(rows, dfota.base, [version for _, version in tools], missing.read_text().splitlines() if missing.exists() else [])
    print("\n".join(run.table()))
    if arguments.svg:
        report.chart(rows, arguments.svg)
    if arguments.out:
        out = pathlib.Path(arguments.out)
        out.write_text("\n".join(run.document(arguments.svg, report.kept_notes(out))) + "\n")
    return 1 if run.missed() else 0


try:
    sys.exit(main())
except Failed as failure:
    sys.exit(f"bench: {failure}")
