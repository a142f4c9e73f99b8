# SPDX-License-Identifier: MIT
"""Cuts as text, so that a failure can be told in one line and tried again, and the drawing of their places.

disk@57.torn#9   at the 57th write or flush from this life's start; the seed decides what survives
nand@12.after#9  at the 12th operation of the NAND from there
kill@1.25#9      SIGKILL, seconds after dfotad was started
A "c" behind one says that the life after it begins cold.
"""
import dataclasses
import re

from .disk import KINDS

TEXT = re.compile(r"(disk|nand|kill)@([0-9.]+?)(?:\.(before|torn|after))?#(\d+)(c?)")


@dataclasses.dataclass
class Cut:
    medium: str
    at: float
    kind: int
    seed: int
    cold: bool

    def __str__(self):
        at = f"{self.at:.3f}" if self.medium == "kill" else f"{self.at}.{KINDS[self.kind]}"
        return f"{self.medium}@{at}#{self.seed}{'c' if self.cold else ''}"


def parse(text):
    cuts = []
    for word in filter(None, text.split(",")):
        match = TEXT.fullmatch(word)
        if not match:
            raise ValueError(f"\"{word}\" is no cut")
        medium, at, kind, seed, cold = match.groups()
        if (kind is None) != (medium == "kill"):
            raise ValueError(f"\"{word}\": before, torn or after belongs to operations")
        cuts.append(Cut(medium, float(at) if medium == "kill" else int(at), KINDS.index(kind or "before"), int(seed), bool(cold)))
    return cuts


class Plan:
    """Places of cuts for the upgrades of a run; those that come after an upgrade's end are not made, so `left` is the caller's.
    `clean`: operations by medium, and seconds, of an upgrade without cuts."""

    def __init__(self, rng, clean, cuts):
        self.rng, self.clean = rng, clean
        self.media = [medium for medium in ("nand", "nand", "nand", "disk") if clean.get(medium)] + ["disk"] * (not clean.get("nand")) * 3
        self.left = cuts
        self.stratum = 0

    def first(self, strata=24):
        """The first cut of an upgrade: spread evenly over the whole of it."""
        medium = "kill" if self.rng.randrange(8) == 0 else self.rng.choice(self.media)
        self.stratum = (self.stratum + 7) % strata
        total = self.clean[medium]
        share = (self.stratum + self.rng.random()) / strata
        return self._cut(medium, share * total)

    def next(self, near):
        """One more in the same upgrade: near the restart, where the journal is looked after, or anywhere."""
        medium = "kill" if self.rng.randrange(8) == 0 else self.rng.choice(self.media)
        total = self.clean[medium]
        share = self.rng.random()
        return self._cut(medium, share * (total / 8 if near else total))

    def _cut(self, medium, at):
        at = max(at, 0.001) if medium == "kill" else int(at) + 1
        return Cut(medium, at, self.rng.randrange(3), self.rng.randrange(1 << 31), self.rng.randrange(12) == 0)

    def chain(self):
        """Cuts of one upgrade."""
        count = min(self.left, self.rng.randrange(6, 16))
        return [self.first()] + [self.next(number < count - 1) for number in range(1, count)]
