# SPDX-License-Identifier: GPL-2.0
def measure(run, kit): return None
def table(x): return []
