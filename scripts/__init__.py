# SPDX-License-Identifier: GPL-2.0
"""What every command of the project may use: it knows neither the lab nor the tests."""

import os

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def numbers(line):
    """A kernel line, as 6.12, as numbers that compare."""
    return [int(word) for word in line.split('.')]


def line_of(version):
    """The kernel line of a version or release, as 6.12 of 6.12.117-1."""
    return '.'.join(version.split('.')[:2])


def kernel_lines():
    """Those that we support, the oldest first: not those of which a few patches were tried."""
    folder = os.path.join(TOP, 'patches')
    return sorted((name for name in os.listdir(folder)
                   if os.path.exists(os.path.join(folder, name, 'series')) and
                   not os.path.exists(os.path.join(folder, name, 'partial'))), key=numbers)
