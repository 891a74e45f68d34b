# SPDX-License-Identifier: GPL-2.0
"""kvm-intel-fast check, measure and estimate: what a host with VMX says of the module.

check and measure exchange kvm_intel, run programs of the kit (selftests/kit makes it), and leave
stock.  The standard library is enough.  The parts, each knowing those before it:

    record.py    what was done so far, on disk, and the archive that it becomes
    guard.py     the process that puts stock back when the command dies or hangs
    runs.py      the conditions, the swap of modules, programs with a limit, the kernel's log
    check.py, measure.py, estimate.py
"""
