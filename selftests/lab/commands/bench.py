# SPDX-License-Identifier: GPL-2.0
"""Measure stock kvm_intel and kvm-intel-fast in the emulated machine.

Both run in the same invocation, on the same kernel.  The figures go to
build/bench, a JSON file per row and variant, with report.html; the tables are
printed.  Documentation/measuring.md says what each figure means.
"""

import importlib.machinery
import importlib.util
import os

from scripts import TOP

EXAMPLES = (
    'kvm-lab bench --quick                      # the tiny L1 alone: a minute',
    'kvm-lab bench --quick --kernel debian@7.3  # on another kernel line',
)


def script():
    """selftests/bench, which is the same command, as a module."""
    path = os.path.join(TOP, 'selftests', 'bench')
    spec = importlib.util.spec_from_loader(
        'bench', importlib.machinery.SourceFileLoader('bench', path))
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def arguments(parser):
    script().arguments(parser)


def main(parser, argv):
    return script().main(parser, argv)
