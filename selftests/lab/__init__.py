# SPDX-License-Identifier: GPL-2.0
"""The lab: an emulated machine with VMX, and a bench on it.

machine     one machine: what is put into it, how it runs, what happened in it
bench       what is measured in such machines, and what comes of the counters
project     what both need of this project, made when it is missing

Rule of direction: commands -> bench -> project -> machine -> scripts, never back.
"""
