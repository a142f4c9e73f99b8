#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures packages against other delta tools: one table, all in one run, every patch applied and compared.

usage: run.py --dfota PROGRAM [--out DOC.md] [--svg CHART.svg] [--only WORD] FOLDER

FOLDER holds <class>/<pair>/{old,new}/, each a firmware folder; bench/data makes it. The peers get the same images, one
patch per image, at their best settings; dfota's figure is the whole signed package.
"""
import argparse
import filecmp
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
# What must be reached: total package bytes divided by the best peer's. Classes without a row are held to OTHER.
MUST = {"arm64-kernel": 0.20, "arm64-userland": 0.40, "arm64-library": 0.20, "armhf": 0.40, "amd64-kernel": 0.40}
OTHER = 1.02


class Failed(Exception):
    pass


def measured(command, **options):
    """Runs a command; returns (seconds, peak MiB). Seconds are wall time, so threads show."""
    start = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, **options)
    talk = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{command[0]}: exit {process.returncode}: {talk.decode(errors='replace')[-300:]}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


# Each peer: name, program, command that builds `patch`, command that makes `result`.
PEERS = [
    ("bsdiff", "bsdiff", lambda o, n, p: ["bsdiff", o, n, p], lambda o, p, r: ["bspatch", o, r, p]),
    ("xdelta3", "xdelta3",
     lambda o, n, p: ["xdelta3", "-f", "-e", "-9", "-S", "lzma", "-B", str(max(o.stat().st_size, MIB)), "-W",
                      str(16 * MIB), "-s", o, n, p],
     lambda o, p, r: ["xdelta3", "-f", "-d", "-B", str(max(o.stat().st_size, MIB)), "-s", o, p, r]),
    ("zstd", "zstd", lambda o, n, p: ["zstd", "-q", "-f", "--ultra", "-22", "--long=31", f"--patch-from={o}", n, "-o", p],
     lambda o, p, r: ["zstd", "-q", "-f", "-d", "--long=31", f"--patch-from={o}", p, "-o", r]),
    ("hdiffz", "hdiffz", None, None),
]


def hdiffz_best(old, new, patch):
    """HDiffPatch is tried in both of its modes; the smaller patch counts."""
    best = None
    for mode in ("-m-1", "-m-6"):
        trial = patch.with_suffix(mode)
        cost = measured(["hdiffz", "-f", mode, "-c-lzma2-9-64m", "-block-0", old, new, trial])
        if best is None or trial.stat().st_size < patch.stat().st_size:
            trial.replace(patch)
            best = cost
    return best


def peer_run(peer, old, new, folder):
    name, _, build, apply = peer
    patch, result = folder / "patch", folder / "result"
    if name == "hdiffz":
        built = hdiffz_best(old, new, patch)
        applied = measured(["hpatchz", "-f", old, patch, result])
    else:
        built = measured(build(old, new, patch))
        applied = measured(apply(old, patch, result))
    if not filecmp.cmp(result, new, shallow=False):
        raise Failed(f"{name}: the patch does not give the new image")
    return patch.stat().st_size, built, applied


def added(rows):
    """Sums of several images of one pair: bytes and seconds add up, of memory the largest counts."""
    return {"bytes": sum(r[0] for r in rows), "build_s": sum(r[1][0] for r in rows),
            "build_mib": max(r[1][1] for r in rows), "apply_s": sum(r[2][0] for r in rows),
            "apply_mib": max(r[2][1] for r in rows)}


def images(folder):
    return sorted(path.name for path in folder.glob("*.img"))


def peers_of_pair(old, new, folder):
    results = {}
    for peer in PEERS:
        if shutil.which(peer[1]) is None:
            if peer[0] != "hdiffz":
                raise Failed(f"{peer[1]} is missing: scripts/setup installs it")
            continue
        results[peer[0]] = added([peer_run(peer, old / name, new / name, folder) for name in images(new)])
        print(f"    {peer[0]:8} {results[peer[0]]['bytes']:>12,}  {results[peer[0]]['build_s']:7.1f} s", file=sys.stderr)
    return results


def dfota_of_pair(dfota, old, new, folder):
    key = folder / "bench"
    if not key.with_suffix(".key").exists():
        measured([dfota, "keygen", key])
    package, target = folder / "package.zip", folder / "target"
    built = measured([dfota, "pack", old, new, "-o", package, "--key", f"{key}.key", "--no-check"])
    shutil.copytree(old, target)
    applied = measured([dfota, "apply", package, "--firmware", target, "--trust", f"{key}.pub"])
    for name in images(new):
        if not filecmp.cmp(target / name, new / name, shallow=False):
            raise Failed(f"dfota: {name} is not the new image")
    shutil.rmtree(target)
    row = added([(package.stat().st_size, built, applied)])
    print(f"    {'dfota':8} {row['bytes']:>12,}  {row['build_s']:7.1f} s", file=sys.stderr)
    package.unlink()
    return row


def pair_run(dfota, path, scratch):
    old, new = path / "old", path / "new"
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        folder = pathlib.Path(folder)
        full = sum((new / name).stat().st_size for name in images(new))
        row = {"class": path.parent.name, "pair": path.name, "full": full,
               "dfota": dfota_of_pair(dfota, old, new, folder), "peers": peers_of_pair(old, new, folder)}
    best = min(row["peers"], key=lambda name: row["peers"][name]["bytes"])
    row["best"] = best
    row["ratio"] = row["dfota"]["bytes"] / row["peers"][best]["bytes"]
    return row


def mean(values):
    values = list(values)
    return math.exp(sum(math.log(v) for v in values) / len(values))


def table(rows):
    """The document: sizes first, then time and memory, then the classes with what must be reached."""
    names = sorted({name for row in rows for name in row["peers"]})
    out = ["| class | pair | full | " + " | ".join(names) + " | dfota | dfota / best |",
           "| --- | --- " + "| ---: " * (len(names) + 3) + "|"]
    for row in rows:
        cells = [f"{row['peers'][n]['bytes']:,}" if n in row["peers"] else "–" for n in names]
        out.append(f"| {row['class']} | {row['pair']} | {row['full']:,} | " + " | ".join(cells) +
                   f" | **{row['dfota']['bytes']:,}** | {row['ratio']:.3f} |")
    out += ["", "Time in seconds (build, apply) and peak memory in MiB (build, apply):", "",
            "| pair | " + " | ".join(names + ["dfota"]) + " |", "| --- " * (len(names) + 2) + "|"]
    for row in rows:
        cells = []
        for n in names + ["dfota"]:
            v = row["dfota"] if n == "dfota" else row["peers"].get(n)
            cells.append(f"{v['build_s']:.1f}, {v['apply_s']:.1f} s; {v['build_mib']:.0f}, {v['apply_mib']:.0f} MiB" if v else "–")
        out.append(f"| {row['class']}/{row['pair']} | " + " | ".join(cells) + " |")
    out += ["", "| class | pairs | dfota / best peer, geometric mean | worst | must |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in sorted({row["class"] for row in rows}):
        ratios = [row["ratio"] for row in rows if row["class"] == name]
        out.append(f"| {name} | {len(ratios)} | {mean(ratios):.3f} | {max(ratios):.3f} | {MUST.get(name, OTHER):.2f} |")
    return out


def chart(rows, path):
    """Bars of package size relative to the best peer, by pair."""
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        data.write_text("".join(f'"{r["class"]}\\n{r["pair"]}" {r["ratio"]:.4f}\n' for r in rows))
        script = f"""set terminal svg size 1000,420 font "sans,11" background "white"
set output "{path}"
set style fill solid 0.8
set boxwidth 0.6
set yrange [0:1.1]
set ylabel "package bytes / best peer's"
set xtics rotate by -35
set grid ytics
plot "{data}" using 2:xtic(1) with boxes lc rgb "#2a7ab0" title "dfota", 1 with lines lc rgb "#b03a2a" title "best of bsdiff, xdelta3, zstd"
"""
        subprocess.run(["gnuplot"], input=script, text=True, check=True)


def document(rows, path, svg):
    versions = []
    for command in (["xdelta3", "-V"], ["zstd", "--version"]):
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        versions.append((result.stdout + result.stderr).strip().splitlines()[0].strip("* "))
    text = ["# Benchmarks", "", "Made by `make bench`; everything is measured in one run on one machine, every patch is applied and compared.",
            "Peers at their best settings: `bsdiff`, `xdelta3 -9 -S lzma` with the whole old image as window, `zstd --ultra -22 --long=31",
            "--patch-from`, and HDiffPatch where it is installed. dfota's bytes are the whole signed package.", "",
            f"{os.cpu_count()} processors; {'; '.join(versions)}.", ""]
    if svg:
        text += [f"![package size relative to the best peer]({pathlib.Path(svg).name})", ""]
    pathlib.Path(path).write_text("\n".join(text + table(rows)) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dfota", required=True)
    parser.add_argument("--out")
    parser.add_argument("--svg")
    parser.add_argument("--json", help="write the raw figures there")
    parser.add_argument("--only", default="", help="pairs whose class/name holds this word")
    parser.add_argument("--scratch", default=None)
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    rows = []
    for path in sorted(p for p in arguments.folder.glob("*/*") if (p / "new").is_dir()):
        if arguments.only not in f"{path.parent.name}/{path.name}":
            continue
        print(f"{path.parent.name}/{path.name}", file=sys.stderr)
        rows.append(pair_run(arguments.dfota, path, arguments.scratch))
    if not rows:
        raise Failed("no pairs: run bench/data first")
    print("\n".join(table(rows)))
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=1))
    if arguments.svg:
        chart(rows, arguments.svg)
    if arguments.out:
        document(rows, arguments.out, arguments.svg)
    missed = [f"{r['class']}/{r['pair']} {r['ratio']:.3f}" for r in rows if r["ratio"] > MUST.get(r["class"], OTHER)]
    if missed:
        print("above what must be reached: " + ", ".join(missed))
    return 1 if missed else 0


try:
    sys.exit(main())
except Failed as failure:
    sys.exit(f"bench: {failure}")
