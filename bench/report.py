# SPDX-License-Identifier: MIT
"""What run.py found, as tables, a document and a chart."""
import math
import os
import pathlib
import subprocess
import tempfile

MIB = 1 << 20
KIB = 1 << 10
# What must be reached: total package bytes divided by the best peer's. Classes without a row are held to OTHER.
MUST = {"arm64-kernel": 0.20, "arm64-userland": 0.40, "arm64-library": 0.20, "armhf": 0.40, "amd64-kernel": 0.40}
OTHER = 1.02
WORK_MIB = 8  # of `dfota apply`, above the program's base and one segment
SEGMENT_MIB = 1
BUILD_TIMES = 16  # builder's memory, in times of the larger image


def must(row):
    return MUST.get(row["class"], OTHER)


def mean(values):
    values = list(values)
    return math.exp(sum(math.log(v) for v in values) / len(values))


class Report:
    def __init__(self, rows, base, versions, missing):
        self.rows, self.base, self.versions, self.missing = rows, base, versions, missing
        self.names = sorted({name for row in rows for name in row["peers"]})

    def missed(self):
        return [row for row in self.rows if row["ratio"] > must(row)]

    def sizes(self):
        out = ["| class | pair | full | " + " | ".join(self.names) + " | dfota | dfota / best | must | |",
               "| --- | --- " + "| ---: " * (len(self.names) + 4) + "| --- |"]
        for row in self.rows:
            cells = [f"{found['bytes']:,}" if "bytes" in (found := row["peers"][n]) else found["failed"] for n in self.names]
            out.append(f"| {row['class']} | {row['pair']} | {row['full']:,} | " + " | ".join(cells) +
                       f" | **{row['dfota']['bytes']:,}** | {row['ratio']:.3f} | {must(row):.2f} | "
                       f"{'missed' if row['ratio'] > must(row) else 'met'} |")
        return out

    def costs(self):
        names = self.names + ["dfota"]
        out = ["| pair | " + " | ".join(names) + " |", "| --- " * (len(names) + 1) + "|"]
        for row in self.rows:
            cells = []
            for name in names:
                v = row["dfota"] if name == "dfota" else row["peers"][name]
                cells.append(f"{v['build_s']:.1f}, {v['apply_s']:.1f} s; {v['build_mib']:.0f}, {v['apply_mib']:.0f} MiB"
                             if "bytes" in v else "–")
            out.append(f"| {row['class']}/{row['pair']} | " + " | ".join(cells) + " |")
        return out

    def classes(self):
        out = ["| class | pairs | dfota / best peer, geometric mean | worst | must |", "| --- | ---: | ---: | ---: | ---: |"]
        for name in dict.fromkeys(row["class"] for row in self.rows):
            found = [row for row in self.rows if row["class"] == name]
            ratios = [row["ratio"] for row in found]
            out.append(f"| {name} | {len(ratios)} | {mean(ratios):.3f} | {max(ratios):.3f} | {must(found[0]):.2f} |")
        return out

    def checks(self):
        most = max(self.rows, key=lambda row: row["dfota"]["apply_mib"])
        work = most["dfota"]["apply_mib"] - self.base["apply_mib"] - SEGMENT_MIB
        larger = [f"{r['class']}/{r['pair']}" for r in self.rows if r["dfota"]["bytes"] > r["alone"] + KIB]
        build = max(self.rows, key=lambda row: row["dfota"]["build_mib"] / max(1, row["largest"] / MIB))
        times = build["dfota"]["build_mib"] / max(1, build["largest"] / MIB)
        return [
            f"- Memory of `dfota apply`: {most['dfota']['apply_mib']:.1f} MiB at most ({most['class']}/{most['pair']}), of next to nothing "
            f"{self.base['apply_mib']:.1f}: {work:.1f} MiB above that and a segment; must be {WORK_MIB}.",
            f"- Memory of `dfota pack`: {times:.1f} times the larger image at most (of images above 1 MiB; "
            f"{build['class']}/{build['pair']}); must be {BUILD_TIMES}.",
            "- Larger than the new image, compressed alone, and 1 KiB: " + (", ".join(larger) or "none") + ".",
        ]

    def table(self):
        out = self.sizes() + ["", "Time in seconds (build, apply) and peak memory in MiB (build, apply):", ""] + self.costs()
        out += [""] + self.classes() + [""] + self.checks()
        if self.missed():
            out += ["", "Above what must be reached: " +
                    ", ".join(f"{row['class']}/{row['pair']} {row['ratio']:.3f}" for row in self.missed()) + "."]
        return out + [f"Not to be had: {line}." for line in self.missing]

    def document(self, svg):
        fresh = sum(found["fresh"] for row in self.rows for found in row["peers"].values())
        every = sum(len(row["peers"]) for row in self.rows)
        text = ["# Benchmarks", "", "Made by `make bench`. Every patch and every package is applied and compared. Peers at their best settings: `bsdiff`,",
                "`xdelta3 -9 -S lzma` with the whole old image as window, `zstd --ultra -22 --long=31 --patch-from`, and HDiffPatch where it is",
                "installed; one patch per image. bsdiff gets images with long runs of zeros without their blocks of zeros. dfota's bytes are the whole",
                "signed package.", "", f"{os.cpu_count()} processors; {'; '.join(self.versions)}. Of {every} results of peers {fresh} were measured in this "
                "run; the others are kept from earlier runs on the same images.", ""]
        if svg:
            text += [f"![package size relative to the best peer]({pathlib.Path(svg).name})", ""]
        return text + self.table()


def chart(rows, path):
    """Bars of package size relative to the best peer, by pair; above 1.1 they are cut."""
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data"
        data.write_text("".join(f'"{r["class"]}/{r["pair"][:24]}" {min(r["ratio"], 1.1):.4f}\n' for r in rows))
        script = f"""set terminal svg size {240 + 24 * len(rows)},560 font "sans,10" background "white"
set output "{path}"
set style fill solid 0.8
set boxwidth 0.6
set yrange [0:1.15]
set bmargin 16
set ylabel "package bytes / best peer's"
set xtics rotate by -60 noenhanced
set grid ytics
plot "{data}" using 2:xtic(1) with boxes lc rgb "#2a7ab0" title "dfota", 1 with lines lc rgb "#b03a2a" title "best peer"
"""
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
