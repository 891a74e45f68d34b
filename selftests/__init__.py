# SPDX-License-Identifier: GPL-2.0
"""The tests, and the lab that they run in."""
