#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# siblings.sh: a bridge for the guest that this host, L0 or L1, starts next and for a sibling,
# which is started here.
{
	brctl addbr bridge0 && ifconfig bridge0 up || exit 1
	for tap in tap0 tap1; do
		tunctl -t $tap && brctl addif bridge0 $tap && ifconfig $tap up || exit 1
	done
} >/dev/null
sh ./start sibling- >/out/sibling-console.txt 2>&1 &
