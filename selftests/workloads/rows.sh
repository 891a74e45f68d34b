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

# network ROW MIB HOST OPTIONS...: by how many packets, those of the run that nobody counts among
# them; and the bandwidth that iperf found in the run that counts, in bits per second of this
# machine's clock
network() {
	local before after row="$1" mib="$2"	# of busybox
	shift 2
	before=$(packets)
	./mark "$row" "$mib" 1 ./iperf -y C -o /tmp/iperf -c "$@" || return
	after=$(packets)
	echo "packets $row sent $(( after - before )) units $(( mib * 2 ))"
	echo "bandwidth $row $(tail -n 1 /tmp/iperf | cut -d , -f 9)"
}

for row; do
	case "$row" in
	compile|compile_*0m) ./mark "$row" 1 5 ./tcc -c -nostdinc source.c -o /tmp/object.o ;;
	compile_two_vcpus)
		# shellcheck disable=SC2016 # of the other shell
		./mark "$row" 2 5 /bin/sh -c '
			./tcc -c -nostdinc source.c -o /tmp/1.o & ./tcc -c -nostdinc source.c -o /tmp/2.o
			status=$?; wait $! && exit $status' ;;
	compile_gcc) ./mark "$row" 1 1 ./cc1 -quiet -fpreprocessed -O2 source.i -o /tmp/assembly.s ;;
	exec) ./mark "$row" 1 20 ./true ;;
	wakeups|wakeups_two_vcpus) ./wakeups "$row" 1 2 10000 2000 50 ;;
	wakeups_many) ./wakeups "$row" 2 16 10000 10000 3 ;;
	network) network "$row" 8 10.0.0.1 -n 8M ;;
	network_siblings)
		until echo | nc -w 1 10.0.0.3 5001 >/dev/null; do
			sleep 1
		done
		network "$row" 12 10.0.0.3 -n 2M -P 6 ;;
	*) echo "rows.sh: there is no row '$row'"; false ;;
	esac || exit 1
done
