#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# rows.sh ROW...: measure these rows in this guest, L1 or L2; see Documentation/workloads.md.
#
# The host has the address 10.0.0.1, and serves iperf there.
cd /workloads || exit 1
ifconfig eth0 10.0.0.2 up || exit 1

packets() {
	cat /sys/class/net/eth0/statistics/tx_packets
}

# network ROW MIB: by how many packets, those of the run that nobody counts among them; and the
# bandwidth that iperf found in the run that counts, in bits per second of this machine's clock
network() {
	local before after	# of busybox
	before=$(packets)
	./mark "$1" "$2" 1 ./iperf -c 10.0.0.1 -n "$2M" -y C -o /tmp/iperf || return
	after=$(packets)
	echo "packets $1 sent $(( after - before )) units $(( $2 * 2 ))"
	echo "bandwidth $1 $(tail -n 1 /tmp/iperf | cut -d , -f 9)"
}

for row; do
	case "$row" in
	compile) ./mark "$row" 1 5 ./tcc -c -nostdinc source.c -o /tmp/object.o ;;
	compile_gcc) ./mark "$row" 1 1 ./cc1 -quiet -fpreprocessed -O2 source.i -o /tmp/assembly.s ;;
	exec) ./mark "$row" 1 20 ./true ;;
	wakeups) ./wakeups "$row" 1 2 10000 2000 50 ;;
	wakeups_many) ./wakeups "$row" 2 16 10000 10000 3 ;;
	network) network "$row" 8 ;;
	*) echo "rows.sh: there is no row '$row'"; false ;;
	esac || exit 1
done
