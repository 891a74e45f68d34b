#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# field_walk_l1.sh, in a Linux L1: load /field_walk_l1.ko, run /field_walk_l2 under this
# kernel's KVM; what the module saw goes home as field_walk.gz.  Status: the L2's.
insmod /field_walk_l1.ko || exit 1
/field_walk_l2
status=$?
gzip < /sys/kernel/debug/field_walk > "$OUT/field_walk.gz" || exit 1
rmmod field_walk_l1 || exit 1
exit $status
