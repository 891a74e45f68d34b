#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# sibling.sh: serve iperf to the other guest of this guest's host.
cd /workloads || exit 1
ifconfig eth0 10.0.0.3 up || exit 1
exec ./iperf -s >/dev/null 2>&1
