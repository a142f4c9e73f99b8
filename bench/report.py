# SPDX-License-Identifier: MIT
"""What the measured pairs come to: the table, what must be reached, the document and its chart."""
import math
import os
import pathlib
import re
import subprocess
import tempfile

MIB = 1 << 20
KIB = 1 << 10

# Package bytes divided by those of the best peer on the same pair must not be above this. Classes without a row are held to OTHER.
MUST = {"arm64-kernel": 0.20, "arm64-userland": 0.40, "arm64-library": 0.20, "armhf": 0.40, "amd64-kernel": 0.40}
OTHER = 1.02
MEMORY_MIB = 8  # apply, beside the program's base and one segment
SEGMENT_MIB = 1
BUILD_MEMORY = 16  # times the larger image
ALONE_MORE = KIB  # a package may be that much larger than its compressed new images
SPEED_KERNEL = 20.0  # MB of new image a second of CPU
SPEED_ELF = 3.0


def must(row):
    return MUST.get(row["class"], OTHER)


def met(row):
    return row["ratio"] <= must(row)


def verdict(good):
    return "met" if good else "**MISSED**"


def title(row):
    return f"{row['class']}/{row['pair']}"


def without_folders(text):
    return re.sub(r"(/[^/\s:]+)+/", "", text)


def mean(values):
    """Geometric."""
    return math.exp(sum(map(math.log, values)) / len(values))


def in_order(rows):
    """Classes with a bound of their own first."""
    names = list(MUST)
    return sorted(rows, key=lambda row: (names.index(row["class"]) if row["class"] in MUST else len(names), title(row)))


def by_class(rows):
    found = {}
    for row in in_order(rows):
        found.setdefault(row["class"], []).append(row)
    return found


def is_kernel(row):
    return "kernel" in title(row)


def speed(row):
    """MB of new image a second of CPU, by the decoder alone."""
    return row["dfota"]["decode_mbs"]


def apply_speed(row):
    """The same of `dfota apply`, which does more: it decodes all for proof before it writes, and again to write."""
    return row["full"] / 1e6 / max(row["dfota"]["apply_cpu"], 0.01)


def listed(rows, tell, most=6):
    """The first of the rows that fail something, worst first, and how many more there are."""
    told = "; ".join(f"{title(row)} {tell(row)}" for row in rows[:most])
    return told + (f"; and {len(rows) - most} more" if len(rows) > most else "")


class Check:
    """Rows that something is asked of, and a number for each that must not be above its bound."""

    def __init__(self, what, rows, number, bound, tell):
        self.what, self.rows, self.tell = what, rows, tell
        excess = {title(row): number(row) - bound(row) for row in rows}
        self.failing = sorted((row for row in rows if excess[title(row)] > 0), key=lambda row: -excess[title(row)])
        self.worst = max(rows, key=lambda row: excess[title(row)]) if rows else None

    def line(self):
        if not self.rows:
            return f"{self.what}: nothing measured"
        if not self.failing:
            return f"{self.what}: {verdict(True)} by all {len(self.rows)}; closest {title(self.worst)} {self.tell(self.worst)}"
        return f"{self.what}: {verdict(False)} by {len(self.failing)} of {len(self.rows)}: {listed(self.failing, self.tell)}"


class Report:
    def __init__(self, rows, base, versions, missing):
        self.rows, self.base, self.missing = in_order(rows), base, missing
        self.versions = [re.sub(r", Copyright.*", "", version) for version in versions]
        self.names = [name for name in ("bsdiff", "xdelta3", "zstd", "hdiffz") if any(name in row["peers"] for row in rows)]
        self.checks = self.made_checks()

    def made_checks(self):
        kernels = [row for row in self.rows if is_kernel(row)]
        timed = [row for row in self.rows if "build_s" in row["peers"].get("bsdiff", {})]
        base = self.base["apply_mib"]

        def above(row):
            return row["dfota"]["apply_mib"] - base - SEGMENT_MIB

        def times(row):
            return row["dfota"]["build_mib"] * MIB / max(row["largest"], MIB)

        return [
            Check(f"peak memory of `dfota apply`, less {base:.1f} MiB that the program takes for a 4 KiB image and "
                  f"{SEGMENT_MIB} MiB of segment, at most {MEMORY_MIB} MiB",
                  self.rows, above, lambda row: MEMORY_MIB, lambda row: f"{row['dfota']['apply_mib']:.1f} MiB, so {above(row):.1f}"),
            Check(f"kernels decoded at {SPEED_KERNEL:g} MB or more of new image a second of CPU, best of three runs",
                  kernels, lambda row: -speed(row), lambda row: -SPEED_KERNEL,
                  lambda row: f"{speed(row):.1f} (`dfota apply` as a whole {apply_speed(row):.1f})"),
            Check(f"ELF files decoded at {SPEED_ELF:g} MB/s or more",
                  [row for row in self.rows if row.get("elf") and not is_kernel(row)],
                  lambda row: -speed(row), lambda row: -SPEED_ELF, lambda row: f"{speed(row):.1f}"),
            Check("time to build at most bsdiff's", timed, lambda row: row["dfota"]["build_s"],
                  lambda row: row["peers"]["bsdiff"]["build_s"],
                  lambda row: f"{row['dfota']['build_s']:.1f} s against {row['peers']['bsdiff']['build_s']:.1f}"),
            Check(f"memory to build at most {BUILD_MEMORY} times the larger image (an image below 1 MiB counts as that)", self.rows, times, lambda row: BUILD_MEMORY,
                  lambda row: f"{times(row):.1f} times ({row['dfota']['build_mib']:.0f} MiB)"),
            Check(f"package at most {ALONE_MORE} bytes above the new images compressed alone", self.rows,
                  lambda row: row["dfota"]["bytes"], lambda row: row["alone"] + ALONE_MORE,
                  lambda row: f"{row['dfota']['bytes']:,} against {row['alone']:,}"),
        ]

    def missed(self):
        return [row for row in self.rows if not met(row)] + [check for check in self.checks if check.failing]

    def classes(self):
        out = ["| class | pairs | package / best peer, geometric mean | smallest | largest | must | |",
               "| --- | ---: | ---: | ---: | ---: | ---: | --- |"]
        for name, rows in by_class(self.rows).items():
            ratios = [row["ratio"] for row in rows]
            failing = sum(not met(row) for row in rows)
            told = verdict(not failing) + (f" by {failing} of {len(rows)}" if failing else "")
            out.append(f"| {name} | {len(rows)} | {mean(ratios):.3f} | {min(ratios):.3f} | {max(ratios):.3f} | {must(rows[0]):.2f} | "
                       f"{told} |")
        return out

    def peer_cell(self, row, name):
        found = row["peers"].get(name)
        if found is None:
            return "–"
        if "failed" in found:
            return "did not end" if "did not end" in found["failed"] else "failed"
        mark = " ¹" if found["note"] else ""
        return f"{found['bytes']:,}{mark}"

    def sizes(self):
        out = ["| pair | new images | " + " | ".join(self.names) + " | dfota | dfota / best | must | |",
               "| --- " + "| ---: " * (len(self.names) + 4) + "| --- |"]
        for row in self.rows:
            cells = [self.peer_cell(row, name) for name in self.names]
            out.append(f"| {title(row)} | {row['full']:,} | " + " | ".join(cells) +
                       f" | **{row['dfota']['bytes']:,}** | {row['ratio']:.3f} | {must(row):.2f} | {verdict(met(row))} |")
        return out

    def costs(self):
        out = ["| pair | " + " | ".join(self.names + ["dfota"]) + " |", "| --- " * (len(self.names) + 2) + "|"]
        for row in self.rows:
            cells = []
            for cost in [row["peers"].get(name, {}) for name in self.names] + [row["dfota"]]:
                cells.append(f"{cost['build_s']:.1f}, {cost['apply_s']:.1f} s; {cost['build_mib']:.0f}, {cost['apply_mib']:.0f} MiB"
                             if "build_s" in cost else "–")
            out.append(f"| {title(row)} | " + " | ".join(cells) + " |")
        return out

    def check_lines(self):
        return [f"- {check.line()}" for check in self.checks]

    def table(self):
        return self.sizes() + ["", *self.classes(), "", *self.check_lines()] + \
            [f"- NOT TO BE HAD: {line}" for line in self.missing] + \
            ["", f"{len(self.missed())} missed" if self.missed() else "all met"]

    def failures(self):
        return [f"- {title(row)}: {name}: {without_folders(row['peers'][name]['failed'])}" for row in self.rows for name in self.names
                if "failed" in row["peers"].get(name, {})]

    def measured_when(self):
        results = [found for row in self.rows for found in row["peers"].values()]
        kept = sorted(found["date"] for found in results if not found["fresh"])
        if not kept:
            return "Everything was measured in one run."
        span = kept[0] if kept[0] == kept[-1] else f"{kept[0]} to {kept[-1]}"
        fresh = f"{len(results) - len(kept)} of the peers' {len(results)} results are of this run; the others" \
            if len(kept) < len(results) else "The peers' results"
        return (f"dfota was measured in this run. {fresh} are kept from earlier runs, {span}, over the same images and with the same "
                "versions of the tools; their sizes cannot change, their times were taken under that day's load.")

    def document(self, svg, notes=()):
        return ["# Benchmarks", "",
                f"{len(self.rows)} pairs; {sum(map(met, self.rows))} meet their bound, {sum(not met(row) for row in self.rows)} do not.", "",
                "`make bench` writes this page. Images come out of Debian's packages in two versions (`bench/data`), and every patch and",
                "package here was applied and its result compared. dfota's figure is the whole signed package, about 1 KiB of manifest,",
                "signature and container included; the peers' is the bare patch, one per image, at their best settings:",
                "`bsdiff`, `xdelta3 -9 -S lzma` with the whole old image as window, `zstd --ultra -22 --long=31 --patch-from`, and HDiffPatch",
                f"where it is installed; here {', '.join(self.versions)}. {os.cpu_count()} processors.", "", self.measured_when(), "",
                *([f"![Package size relative to the best peer's]({os.path.basename(svg)})", ""] if svg else []),
                *notes,
                "## Classes", "", "The bound holds for each pair, not for the mean.", "", *self.classes(), "",
                "## Checks", "", *self.check_lines(), "",
                "Speed is that of the decoder alone, maps and segments; `dfota apply` proves everything before it writes, and keeps a journal.", "",
                "## Bytes", "", *self.sizes(), "",
                "¹ bsdiff works for hours on long runs of zeros: where there are many, it got both images without their blocks of zeros,",
                "and its result was compared with the new image without them.", "",
                *(["Peers that made no patch:", "", *self.failures(), ""] if self.failures() else []),
                "## Time and memory", "",
                "Seconds to build and to apply; peak MiB to build and to apply.", "", *self.costs(), "",
                *(["## Not to be had", "", *[f"- {line}" for line in self.missing], ""] if self.missing else [])][:-1]


def kept_notes(path):
    """What people have written into an earlier document: its first section. The rest is measured anew."""
    text = path.read_text() if path.exists() else ""
    found = re.search(r"^## About these figures$.*?(?=^## )", text, re.M | re.S)
    return found[0].splitlines() if found else []


WIDEST = 1.2  # of the chart; what is longer is cut there, with its number beside it
ROW, LABEL = 15, 46
SETUP = """set terminal svg size 1000,{height} noenhanced font 'sans,10' background rgb 'white'
set output '{path}'
set title 'Package size relative to the best of {peers} (shorter is better)'
set lmargin at screen 0.36; set rmargin at screen 0.97; set tmargin 4; set bmargin 3
set xrange [0:{widest}]; set yrange [{rows}.5:0.5]
set xtics 0.2; set x2tics 0.2; set x2range [0:{widest}]; set grid x lc rgb '#dddddd'
set ytics ({labels}) scale 0 nomirror
set key outside bottom center horizontal
set style fill solid noborder
plot '{met}' using 1:2:(0):1:($2-0.36):($2+0.36) with boxxyerror lc rgb '#2a7ab9' title 'met', \\
     '{failed}' using 1:2:(0):1:($2-0.36):($2+0.36) with boxxyerror lc rgb '#d1495b' title 'missed', \\
     '{bound}' using 1:($2-0.5):(0):(1) with vectors nohead lw 2 lc rgb '#222222' title 'must', \\
     '{numbers}' using 1:2:3 with labels left offset 0.5,0 font 'sans,8' tc rgb '#333333' notitle
"""


def short(text):
    return text if len(text) <= LABEL else text[:LABEL - 1] + "…"


def chart(rows, path):
    """A bar for each pair, under the name of its class."""
    labels, files, at = [], {"met": [], "failed": [], "bound": [], "numbers": []}, 0
    for name, members in by_class(rows).items():
        at += 1
        labels.append((name.upper(), at))
        for row in members:
            at += 1
            labels.append((short(row["pair"]), at))
            files["met" if met(row) else "failed"].append(f"{min(row['ratio'], WIDEST)} {at}")
            files["bound"].append(f"{must(row)} {at}")
            # A number inside the bar's end would be hard to read; of a bar that is cut, it must be inside.
            cut = row["ratio"] > WIDEST * 0.95
            text = f"{row['ratio']:.3f}" if row["ratio"] < 10 else f"{row['ratio']:.0f}"
            files["numbers"].append(f"{WIDEST * 0.93 if cut else row['ratio']} {at} \"{text}\"")
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for name, lines in files.items():
            names[name] = pathlib.Path(folder) / name
            names[name].write_text("\n".join(lines or ["NaN NaN"]) + "\n")
        peers = sorted({name for row in rows for name in row["peers"]})
        ticks = ", ".join(f"'{text}' {where}" for text, where in labels)
        script = SETUP.format(height=ROW * at + 130, path=path, rows=at, widest=WIDEST, labels=ticks, peers=", ".join(peers), **names)
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
