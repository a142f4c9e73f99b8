#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Power cuts: dfotad is killed at random moments of an upgrade, and each upgrade ends in the new firmware, told once.

usage: test_module_kill.py DFOTA DFOTAD [--trials N] [--whole] [--seed N]

A trial starts a fresh module of v12 with the package in its store, asks for the upgrade, kills the process one to three
times, and starts it again. Then, without any further word of the host unless the cut came before the upgrade flag was
set, the module must come to v13, its images equal v13 bit for bit, END,0 said exactly once and no other END.
Modules live in memory (/dev/shm): what is tested is the order of writes of the process, as the kernel keeps what a killed
process wrote. Cuts that lose or tear writes are the job of tests/powerloss.
"""
import argparse
import collections
import concurrent.futures
import pathlib
import random
import re
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import DEADLINE_S, Late, Site, wait_for  # noqa: E402

NAME = "/cache/ufs/update.zip"
WORKERS = 2  # a trial decodes all the time
STAGES = {"committed": "after the commit", "writing begins": "writing", "goes on at": "writing again",
          "recovery": "checking", "v13, normal": "done", "normal": "before the upgrade"}


def request(host, module):
    """Asks until it is taken or the upgrade runs already. False when the module went away meanwhile."""
    mark = len(module.log())
    try:
        host.greet(10)
        return host.command(f'AT+QFOTADL="{NAME}"')[1] == "OK"
    except (Late, OSError):
        return "the upgrade flag is set" in module.log()[mark:]


def stage(log):
    """What the module was doing when it was cut."""
    now = log[log.rfind("boot:"):]
    for name in ("committed", "writing begins", "goes on at", "recovery", "v13, normal"):
        if name in now:
            return STAGES[name]
    return STAGES["normal"]


class Trial:
    def __init__(self, site, number, seed, longest):
        self.rng = random.Random(f"{seed}-{number}")
        self.site, self.number, self.longest = site, number, longest
        folder = site.folder / f"trial{number}"
        shutil.copytree(site.folder / "template", folder)
        self.module = site.adopt(folder)
        self.cuts = []
        self.hits = collections.Counter()
        self.asked = 0   # number of the boot in which the request was taken
        self.untold = 0  # cuts after the flag's deletion and before the reboot: END may not have reached the host
        self.unlogged = 0  # cuts before the line that says so: the flag may be deleted already
        self.born = 0    # length of the log at the last start

    def run(self):
        self.start()
        with self.module.host() as host:
            self.module.wait_boot("normal")
            self.ask(host, self.boots())
            for _ in range(self.rng.choice((1, 1, 2, 3))):
                self.cut()
                self.start()
            self.finish(host)
            self.check(host)
        self.module.term()
        shutil.rmtree(self.module.folder)

    def start(self):
        self.born = len(self.module.log())
        self.module.start()

    def cut(self):
        """At any moment of the whole, of checking and writing alone, or of writing alone, which is the shortest of them."""
        longest, kind = self.longest, self.rng.choice(("whole", "work", "writing"))
        if kind == "work" and self.seen("recovery"):
            longest = self.site.working * 1.2
        elif kind == "writing" and self.seen("writing begins|goes on at"):
            longest = self.site.working * 0.6
        seconds = self.rng.uniform(0, longest)
        # The moment itself is what is random here: this sleep is the test's input.
        time.sleep(seconds)
        self.module.kill()
        self.cuts.append(round(seconds, 4))
        log = self.module.log()
        self.hits[stage(log)] += 1
        last = log.rfind("boot:")
        self.untold += log.rfind("flag deleted") > last
        self.unlogged += log.rfind("upgrade: done") > max(last, log.rfind("flag deleted"))

    def seen(self, pattern):
        """Waits until this boot's log says so; False where it is not going to."""
        try:
            wait_for(lambda: re.search(pattern, self.module.log()[self.born:]), self.longest * 2, pause=0.001)
        except Late:
            return False
        return True

    def boots_now(self):
        return [line for line in self.module.log()[self.born:].splitlines() if "boot:" in line]

    def boots(self):
        return [line for line in self.module.log().splitlines() if "boot:" in line]

    def ask(self, host, boots):
        """Once in a boot: a module that takes the request reboots soon, and must not be asked again when it is back."""
        if self.asked != len(boots) and request(host, self.module):
            self.asked = len(boots)

    def finish(self, host):
        """Until a normal boot of v13; asks again only where the cut came before the flag was set."""
        end = time.monotonic() + DEADLINE_S * 2
        while True:
            boots = self.boots()
            if self.boots_now() and ", normal," in boots[-1]:
                if f" {self.site.new}," in boots[-1]:
                    host.greet()
                    return
                self.ask(host, boots)
            if time.monotonic() > end:
                raise Late("no end of the upgrade")
            time.sleep(0.02)

    def check(self, host):
        log = self.module.log()
        version, ends = host.version(), [urc for urc in host.fota() if urc[0] == "END"]
        deleted = log.count("flag deleted")
        assert version == self.site.new, version
        assert self.module.images() == self.site.target, "images differ"
        # Deleted in a boot whose cut came before the line: the next boot is a normal one, and no other tells it.
        assert deleted == 1 or (deleted == 0 and self.unlogged), f"flag deleted {deleted} times"
        # Between the deletion of the flag and the host's reading of END lie microseconds in which a cut takes END away.
        assert ends == [("END", 0)] or (ends == [] and (self.untold or deleted == 0)), f"ENDs {ends}"
        assert not (self.module.folder / "state/package.zip").exists(), "package left"


def calibrate(site):
    """Seconds from the request to the normal boot, without a cut; and that such an upgrade is right.

    site.working: seconds from the start in recovery mode to the commit.
    """
    trial = Trial(site, "calibration", 0, 0)
    began = time.monotonic()
    trial.start()
    with trial.module.host() as host:
        trial.module.wait_boot("normal")
        trial.ask(host, trial.boots())
        trial.module.wait_boot("recovery")
        recovery = time.monotonic()
        trial.module.wait_log("committed")
        site.working = time.monotonic() - recovery
        trial.finish(host)
        seconds = time.monotonic() - began
        trial.check(host)
    assert trial.module.term() == 0
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dfota")
    parser.add_argument("dfotad")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--whole", action="store_true", help="images of some MiB instead of a stretch of each")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    options = parser.parse_args()
    base = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    failed, hits = 0, collections.Counter()
    with Site(options.dfota, options.dfotad, base) as site:
        print(f"seed {options.seed}, {site.real_small(most=0 if options.whole else 96 << 10)}")
        site.new = site.version("v13")
        site.target = site.expected("v13")
        site.module("template", urc_gap_ms=20)
        shutil.copy(site.up, site.folder / "template/ufs/update.zip")
        longest = calibrate(site)
        print(f"an upgrade without a cut takes {longest:.2f} s, of which {site.working:.2f} s are checking and writing", flush=True)

        def one(number):
            trial = Trial(site, number, options.seed, longest)
            try:
                trial.run()
                return trial, None
            except (AssertionError, OSError) as fault:
                return trial, f"trial {number}, cuts {trial.cuts}: {fault}\n{trial.module.log()}"

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for trial, fault in pool.map(one, range(options.trials)):
                hits += trial.hits
                failed += fault is not None
                if fault:
                    print(fault, flush=True)
    print(f"{options.trials} trials, {hits.total()} cuts ({', '.join(f'{n} {what}' for what, n in hits.most_common())}), "
          f"{failed} failed")
    if hits["writing"] < options.trials / 10:
        print("too few cuts hit the writing to mean anything")
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
