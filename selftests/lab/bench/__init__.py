# SPDX-License-Identifier: GPL-2.0
"""The bench: rows, the machines that measure them, and what comes of their counters."""
