#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Power cuts: dfotad is killed at random moments of an upgrade, and each upgrade ends in the new firmware, told once.

usage: test_module_kill.py DFOTA DFOTAD [--trials N] [--seed N]

A trial starts a fresh module of v12 with the package in its store, asks for the upgrade, kills the process one to three
times, and starts it again. Then, without any further word of the host unless the cut came before the upgrade flag was
set, the module must come to v13, its images equal v13 bit for bit, END,0 said exactly once and no other END.
Modules live in memory (/dev/shm): what is tested is the order of writes of the process, as the kernel keeps what a killed
process wrote. Cuts that lose or tear writes are the job of tests/powerloss.
"""
import argparse
import concurrent.futures
import pathlib
import random
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import DEADLINE_S, Late, Site  # noqa: E402

NAME = "/cache/ufs/update.zip"


def request(host, module):
    """Asks until it is taken or the upgrade runs already. False when the module went away meanwhile."""
    mark = len(module.log())
    try:
        host.greet(10)
        return host.command(f'AT+QFOTADL="{NAME}"')[1] == "OK"
    except (Late, OSError):
        return "the upgrade flag is set" in module.log()[mark:]


class Trial:
    def __init__(self, site, number, seed, longest):
        self.rng = random.Random(f"{seed}-{number}")
        self.site, self.number, self.longest = site, number, longest
        folder = site.folder / f"trial{number}"
        shutil.copytree(site.folder / "template", folder)
        self.module = site.adopt(folder)
        self.cuts = []

    def run(self):
        self.module.start()
        with self.module.host() as host:
            host.wait_open()
            request(host, self.module)
            for _ in range(self.rng.choice((1, 1, 2, 3))):
                self.cut()
                self.module.start()
            self.finish(host)
            self.check(host)
        self.module.term()
        shutil.rmtree(self.module.folder)

    def cut(self):
        seconds = self.rng.uniform(0, self.longest)
        end = time.monotonic() + seconds
        # The moment itself is what is random here: this sleep is the test's input.
        time.sleep(max(0, end - time.monotonic()))
        self.module.kill()
        self.cuts.append(round(seconds, 4))

    def finish(self, host):
        """Until a normal boot of v13; asks again only where the cut came before the flag was set."""
        end = time.monotonic() + DEADLINE_S * 2
        while True:
            boots = [line for line in self.module.log().splitlines() if "boot:" in line]
            if boots and ", normal," in boots[-1]:
                if f" {self.site.new}," in boots[-1]:
                    host.greet()
                    return
                request(host, self.module)
            if time.monotonic() > end:
                raise Late("no end of the upgrade")
            time.sleep(0.02)

    def check(self, host):
        log = self.module.log()
        version, ends = host.version(), [urc for urc in host.fota() if urc[0] == "END"]
        deleted = log.count("flag deleted")
        assert version == self.site.new, version
        assert self.module.images() == self.site.target, "images differ"
        assert deleted == 1, f"flag deleted {deleted} times"
        # Between the deletion of the flag and the host's reading of END lie microseconds in which a cut takes it away.
        lost = log.count("upgrade: END,0") == 0 or self.cut_after_end(log)
        assert ends == [("END", 0)] or (ends == [] and lost), f"ENDs {ends}"
        assert not (self.module.folder / "state/package.zip").exists(), "package left"

    @staticmethod
    def cut_after_end(log):
        """True when the process was killed in the half second between END,0 and its own reboot."""
        after = log[log.index("flag deleted"):]
        return "starts again" not in after.split("boot:")[0]


def calibrate(site):
    """Seconds from the request to the normal boot, without a cut; and that such an upgrade is right."""
    trial = Trial(site, "calibration", 0, 0)
    began = time.monotonic()
    trial.module.start()
    with trial.module.host() as host:
        host.wait_open()
        assert request(host, trial.module)
        trial.finish(host)
        seconds = time.monotonic() - began
        trial.check(host)
    assert trial.module.term() == 0
    return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dfota")
    parser.add_argument("dfotad")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    options = parser.parse_args()
    base = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    failed = 0
    with Site(options.dfota, options.dfotad, base) as site:
        print(f"seed {options.seed}, {site.real_small()}")
        site.new = site.version("v13")
        site.target = site.expected("v13")
        site.module("template", urc_gap_ms=20)
        shutil.copy(site.up, site.folder / "template/ufs/update.zip")
        longest = calibrate(site)
        print(f"an upgrade without a cut takes {longest:.2f} s", flush=True)

        def one(number):
            trial = Trial(site, number, options.seed, longest)
            try:
                trial.run()
                return None
            except (AssertionError, OSError) as fault:
                return f"trial {number}, cuts {trial.cuts}: {fault}\n{trial.module.log()}"

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for fault in pool.map(one, range(options.trials)):
                failed += fault is not None
                if fault:
                    print(fault, flush=True)
    print(f"{options.trials} trials, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
