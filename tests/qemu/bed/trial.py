# SPDX-License-Identifier: MIT
"""One upgrade of a fresh module, driven by the real `dfota upgrade`, cut again and again: it must end in the new firmware."""
import collections
import dataclasses
import re
import shutil
import subprocess
import time

from . import disk
from .machine import Failed
from .site import NEW, PACKAGE, STATE_SECTOR

TRIAL_S = 240   # an upgrade that takes longer after its last cut is lost; one that is done once, as that of a whole kernel, may take four times as long
PAUSE_S = 0.005
HOST_AGAIN_S = 0.3


class Lost(Exception):
    """The upgrade did not come to its end; the text tells how."""


class Trial:
    def __init__(self, site, number, cuts, cut_until=None):
        self.site, self.done, self.cut_until = site, [], cut_until
        self.limit = TRIAL_S * (4 if site.backend.chain else 1)
        self.cuts = [dataclasses.replace(cut) for cut in cuts] # they count down
        self.told = [str(cut) for cut in cuts]
        self.folder = site.folder / f"trial{number}"
        shutil.copytree(site.template, self.folder, ignore=shutil.ignore_patterns("nbd*", "control")) # sockets of its making
        self.supply = disk.Supply()
        self.disks = [disk.Disk(self.supply, name, self.folder / f"{name}.img", STATE_SECTOR if name == "state" else 512)
                      for name, _ in site.disks]
        self.server = disk.Server(self.folder / "nbd", self.disks)
        self.machine = site.machine(self.folder)
        self.nand = self.machine.nand
        self.host, self.host_ended = None, 0
        self.host_log = open(self.folder / "host.log", "w", encoding="utf-8")
        self.made = collections.Counter()
        self.spent = {"disk": 0, "nand": 0, "kill": 0}  # of a clean run, by medium

    def close(self, keep):
        self._host_stop()
        if self.machine.process and self.machine.process.poll() is None:
            self.machine.end()
        self.server.close()
        for item in self.disks:
            item.close()
        self.host_log.close()
        self.machine.log.close()
        if not keep:
            shutil.rmtree(self.folder)

    # ---- the host ----------------------------------------------------------------------------------

    def _host_turn(self):
        """True once `dfota upgrade` has seen the new version. One that gives up is started again: cuts are no business of it."""
        if self.host and self.host.poll() is None:
            return False
        if self.host and self.host.returncode == 0:
            return True
        if self.host and not self.host_ended:
            self.host_ended = time.monotonic()
        if self.host and time.monotonic() < self.host_ended + HOST_AGAIN_S:
            return False
        self.host_ended = 0
        self.host = subprocess.Popen([str(self.site.dfota), "upgrade", "--port", str(self.machine.port), "--ufs", PACKAGE,
                                      "--expect-version", NEW, "--answer-timeout", "5", "--command-timeout", "2", "--news-timeout", "15"],
                                     stdin=subprocess.DEVNULL, stdout=self.host_log, stderr=subprocess.STDOUT)
        return False

    def _host_stop(self):
        if self.host and self.host.poll() is None:
            self.host.kill()
        if self.host:
            self.host.wait()

    # ---- lives -------------------------------------------------------------------------------------

    def _arm(self, cut):
        at = cut.at if cut and cut.medium == "disk" else None
        self.supply.switch_on(at, cut.kind if cut else 0, cut.seed if cut else 0, self.machine.process_kill)
        if self.nand:
            on = cut and cut.medium == "nand"
            self.nand.arm(cut.at if on else 0, cut.kind if on else 0, cut.seed & 0x7FFFFFFF if on else 0)
            self.nand_before = self.nand.head()["operations"]

    def _life(self, cut, cold, end):
        """Until the cut, a reboot, or the host's success. Returns "cut", "reboot" or "done"."""
        self._arm(cut)
        self.begun = time.monotonic()
        self.machine.start(cold)
        born = None
        while self.machine.process.poll() is None:
            if self._host_turn():
                return "done"
            self.machine.turn()
            if born is None and "BED: dfotad" in self.machine.console:
                born = time.monotonic()
            if cut and cut.medium == "kill" and born and time.monotonic() >= born + cut.at:
                self.machine.process.kill()
                break
            if "BED: dfotad ended with 2" in self.machine.console:
                raise Failed(f"dfotad takes its configuration for wrong:\n{self.machine.console[-1500:]}")
            if time.monotonic() > end:
                raise Lost(f"no end; the guest's last words:\n{self.machine.console[-1500:]}")
            time.sleep(PAUSE_S)
        self.machine.process.wait()
        self.spent["kill"] += time.monotonic() - born if born else 0
        return self._off()

    def _off(self):
        cause = self.machine.end()
        self.server.drop()
        self.machine.log.write(f"\n=== {cause} after {time.monotonic() - self.begun:.1f} s\n")
        errors = re.findall(r"END,([1-9]\d*)", self.machine.console)
        if errors:
            raise Lost(f"cuts were taken for errors: END,{' END,'.join(errors)}")
        self.spent["disk"] += self.supply.operations
        if self.nand:
            self.spent["nand"] += self.nand.head()["operations"] - self.nand_before
        self.supply.switch_off(cause != "reboot")
        return "reboot" if cause == "reboot" else "cut"

    def _left(self, cut, before):
        """The same cut for the next life, when this one ended in a reboot before it."""
        cut.at -= self.spent[cut.medium] - before
        cut.at = max(cut.at, 0.001 if cut.medium == "kill" else 1)

    def _next(self):
        late = self.cut_until and time.monotonic() > self.cut_until
        return self.cuts.pop(0) if self.cuts and not late else None

    def run(self):
        cut, cold = self._next(), False
        end = time.monotonic() + self.limit
        while True:
            before = dict(self.spent)
            result = self._life(cut, cold, end)
            cold = False
            if result == "done":
                told = self._ask(cut)
                if told is not None:
                    break
                self.host = None # it looks once more, after the cut
                result = self._off()
            if result == "reboot":
                if cut:
                    self._left(cut, before[cut.medium])
                continue
            if not cut:
                raise Failed("the power went without a cut")
            self.made[cut.medium] += 1
            if cut.medium != "kill":
                self.made[disk.KINDS[cut.kind]] += 1
            self.done.append(self.told[len(self.done)])
            cold, cut = cut.cold, self._next()
            end = time.monotonic() + self.limit
        self._judge(told)

    # ---- the end -----------------------------------------------------------------------------------

    def _ask(self, cut):
        """What ATI tells; None when a cut that was still due has struck meanwhile."""
        try:
            return self.site.tool("at", "--port", self.machine.port, "ATI")
        except Failed:
            if not cut or self.machine.process.poll() is None:
                raise
            return None

    def _judge(self, told):
        self.machine.process.kill()
        self._off()
        if f"Revision: {NEW}\n" not in told:
            raise Lost(f"ATI tells {told!r}")
        wrong = self.site.told(told, self.machine)
        if wrong:
            raise Lost(wrong)
        if self.nand:
            head = self.nand.head()
            if head["twice"] or head["disorder"]:
                raise Lost(f"pages programmed twice: {head['twice']}, out of order: {head['disorder']}")
        found = self.site.backend.read(self)
        wrong = [name for name, data in self.site.new.items() if found[name] != data]
        if wrong:
            raise Lost(f"not as in {NEW}: {', '.join(wrong)}")
