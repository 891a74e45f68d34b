# SPDX-License-Identifier: GPL-2.0
"""Measure stock kvm_intel and kvm-intel-fast in the emulated machine.

Both run in the same invocation, on the same kernel.  The figures go to --out, a
JSON file per row and variant, with report.html; the tables are printed.
Documentation/measuring.md says what each figure means.
"""

from . import of_script

EXAMPLES = (
    'kvm-lab bench --quick                      # the tiny L1 alone: a minute',
    'kvm-lab bench --quick --kernel debian@7.3  # on another kernel line',
)

arguments, main = of_script('bench')
