#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# host.sh: a network for the guest that this host, L0 or L1, starts next, and a server for iperf.
{ tunctl -t tap0 && ifconfig tap0 10.0.0.1 up; } >/dev/null || exit 1
./iperf -s >/dev/null 2>&1 &
