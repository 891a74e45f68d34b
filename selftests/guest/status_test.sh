#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# status_test.sh: the command kvm-intel-fast in a machine, with an L2.  Runs inside the emulated one,
# which has Python, /project with scripts/, /fast.ko, /exit_bench, /tap.sh, and stock kvm_intel loaded.
export KVM_INTEL_STOCK=/lab/modules/kvm-intel.ko PYTHONHOME=/usr
tap_log=/tmp/log
. /tap.sh
# busybox's modinfo wants an index, even for a file.
mkdir -p /tmp "/lib/modules/$(uname -r)" /etc/modprobe.d
touch "/lib/modules/$(uname -r)/modules.dep"

tool() { /python3 /project/scripts/kvm-intel-fast "$@" > /tmp/log 2>&1; }
says() { grep -qE "$1" /tmp/log; }

tool status && says "stock's kvm_intel is loaded"
ok $? "status: stock"
! tool load && says "no kvm-intel-fast is installed"
ok $? "load without a module says what lacks"
tool load --module /fast.ko && says "kvm_intel is now /fast.ko .fast-"
ok $? "load"
tool status && says "fast-.* is loaded" && says "verify=1: off" && says "all on"
ok $? "status: fast"

# Stopped while an L2 of it runs
/exit_bench nested > /dev/null 2>&1 &
bench=$!
for _ in $(seq 300); do
	kill -STOP $bench
	[ "$(cat /sys/kernel/debug/kvm/*-*/nested_run 2> /dev/null || echo 0)" -gt 20 ] && break
	kill -CONT $bench
	sleep 0.1
done
tool status && says "VM $bench-[0-9]+ \(exit_bench\), 1 vCPUs, [0-9,]+ nested entries" &&
	says "^  consistency checks +[0-9,]*[1-9]" && says "^  MMU roles +[0-9,]*[1-9]"
ok $? "status: a VM with an L2"
cp /tmp/log /out/status.txt
tool status --vcpus && says "^  vCPU 0, [0-9,]+ nested entries" &&
	[ "$(grep -cE '^  MMU roles +[0-9,]*[1-9]' /tmp/log)" = 2 ] &&
	awk '$1 == "format" || $1 == "vcpu" || $1 == "nested_run" { next }
	     NR == FNR { sum[$1] = $2; next } { n++; bad += sum[$1] != $2 } END { exit !n || bad }' \
		/sys/kernel/debug/kvm/*-*/kvm_intel_fast /sys/kernel/debug/kvm/*-*/kvm_intel_fast_vcpus
ok $? "status --vcpus: of one vCPU the same as of its VM"
tool status --json && /python3 -c 'import json
vm = json.load(open("/tmp/log"))["vms"][0]
assert vm["format"] == 1 and vm["nested_entries"] > 20 and vm["counters"]["checks_hits"] > 0'
ok $? "status --json"
tool status --prometheus /tmp/fast.prom &&
	grep -q "count_total{vm=\"$bench-[0-9]*\",counter=\"checks_hits\"} [1-9]" /tmp/fast.prom
ok $? "status --prometheus"
timeout -s INT 8 /python3 /project/scripts/kvm-intel-fast status --watch 0.5 > /tmp/log 2>&1
[ "$(grep -c 'is loaded' /tmp/log)" -ge 2 ]
ok $? "status --watch says it again"
! tool unload && says "virtual machines are running"
ok $? "unload is refused while a VM runs"
tool doctor
says "in use" && false || says "to do: "
ok $? "doctor"
cp /tmp/log /out/doctor.txt
kill -CONT $bench
kill $bench
wait $bench 2> /dev/null

tool verify on && tool load --module /fast.ko && tool status && says "verify=1: on"
ok $? "verify on, and the next load"
tool verify off && tool load --module /fast.ko && tool status && says "verify=1: off"
ok $? "verify off, and the next load"
tool unload && tool status && says "stock's kvm_intel is loaded"
ok $? "unload"
finish
