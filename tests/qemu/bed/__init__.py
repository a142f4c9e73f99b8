# SPDX-License-Identifier: MIT
"""The real-kernel test bed: a QEMU machine with Debian's kernel, media that lose what was not flushed, and a host.

kernel     Debian's kernel and the NAND module, in a cache folder
initramfs  what the guest starts from
disk       disks with a volatile cache, over NBD
nand       the file that holds the cells of the NAND module
machine    one life of the guest, cold or from a snapshot
site       firmware pairs, packages, media of a fresh module
trial      one upgrade with cuts, and what it must come to
"""
