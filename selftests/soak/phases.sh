#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# phases.sh ROUNDS RELOADS BLOCKS MODULE-OPTIONS [PHASE...]: what happens to a host while an L2
# runs.  TAP.
#
# Runs in L0, Debian's kernel.  /l1 has QEMU and a Linux L1 with two vCPUs, which runs soak_guest.
# After each phase both vCPUs of L2 must have counted on without a gap and found nothing
# wrong; neither kernel's log may have a warning, and no comparison of verify=1 a mismatch.
# Each phase is done ROUNDS times, with BLOCKS blocks of memory.
. /soak/tap.sh
. /soak/l1.sh

rounds=$1 reloads=$2 blocks=$3 options=$4
shift 4
chosen=" $* "
module=/lab/modules/kvm-intel.ko
splat='WARNING: |BUG: |memory corruption|Oops|general protection|unchecked MSR|kvm_bug|INFO: |lockdep|blocked for more'
cpu1=/sys/devices/system/cpu/cpu1/online
memory=/sys/devices/system/memory
tracing=/sys/kernel/debug/tracing
ksm=/sys/kernel/mm/ksm
refused_entry='exit reason 9, suberror 2147483681$'
small=memory-backend-ram,merge=on
empty_segment=' TR: *sel=0x0000, attr=0x00000, limit=0x00000000, base=0x0000000000000000'
boots=1
excused=0
lost=
FEW=3
settled=4		# reloads after which memory is as it stays
noise=30		# pages that may be free now and then

note() { echo "# [$(cut -d' ' -f1 /proc/uptime)] $*"; }
vmstat() { awk -v name="$1" '$1 == name { print $2 }' /proc/vmstat; }

# Of the log of L0 what came since the last call, and is no good.
log_complaints() {
	dmesg | awk '/soak: seen so far/ { n = 0; next } { line[n++] = $0 }
		     END { for (i = 0; i < n; i++) print line[i] }' |
		grep -E "$splat|kvm-intel-fast: " |
		grep -vE 'debugctl_passthrough=|set_cpu_sibling_map|topology_sane'
	echo '<5>soak: seen so far' > /dev/kmsg
	echo 1 > /sys/kernel/debug/clear_warn_once
}

# Sum of the module's counters that end so; stock has none.
counted() {
	cat /sys/kernel/debug/kvm/*-*/kvm_intel_fast 2> /dev/null |
		awk -v end="$1\$" '$1 ~ end { sum += $2 } END { print sum + 0 }'
}

# goes_on COUNT: L2 counts on, and nothing is wrong
goes_on() {
	before=$(beats)
	wait_for 60 beyond "$before" "$1" ||
		{ echo "L2 came from $before to $(beats) in 60 s"; tail -n 5 $console; bad=1 lost=$phase; }
	complaints > /tmp/complaints
	log_complaints >> /tmp/complaints
	[ ! -s /tmp/complaints ] || { cat /tmp/complaints; bad=1; }
	[ "$(counted verify_mismatches)" = 0 ] ||
		{ echo "$(counted verify_mismatches) mismatches"; bad=1; }
	case $options in
	*verify=1*) [ "$(counted verify_checks)" -gt 0 ] || { echo "verify=1 compared nothing"; bad=1; };;
	esac
}

# phase NAME SENTENCE: do the function NAME, and look at L2
phase() {
	case $chosen in "  " | *" $1 "*) ;; *) [ "$1" = booted ] || return;; esac
	if [ -n "$lost" ] && [ "$1" != killed ]; then
		result 1 "$2" "L2 was lost in '$lost'"
		return
	fi
	bad=0 phase=$1 all_moved=0	# pages, in all rounds
	{
		left=$rounds
		case $1 in booted | killed) left=1;; esac
		while [ $left -gt 0 ] && [ $bad = 0 ]; do
			$1 || bad=1
			left=$((left - 1))
		done
		[ "$1" = killed ] || goes_on $FEW
	} > /tmp/why 2>&1
	grep '^# ' /tmp/why
	result $bad "$2" "$(grep -v '^# ' /tmp/why)"
	note "L2 has counted to $(beats)"
}

# The phases.  Each leaves L0 as it found it.

# L2 counts, or has failed too often to be waited for
counts_or_fails() { beyond "0 0" $FEW || [ "$(since_segment | grep -ac '^wrong')" -gt 2 ]; }
wait_for_l2() { wait_for 200 counts_or_fails; }

booted() {
	new_segment
	start_l1 $small || return
	wait_for_l2
	beyond "0 0" $FEW || { echo "L2 does not count"; tail -n 20 $console; cat /tmp/qemu.$name; return 1; }
}

merged() {
	echo 2000 > $ksm/pages_to_scan
	echo 10 > $ksm/sleep_millisecs
	echo 1 > $ksm/run
	enough() { [ "$(cat $ksm/pages_sharing)" -gt 1000 ]; }
	wait_for 120 enough || { echo "KSM merged $(cat $ksm/pages_sharing) pages in 120 s"; return 1; }
	note "KSM: $(cat $ksm/pages_sharing) pages are $(cat $ksm/pages_shared)"
	goes_on $FEW
	echo 2 > $ksm/run
	[ "$(cat $ksm/pages_sharing)" = 0 ] ||
		{ echo "$(cat $ksm/pages_sharing) pages are still merged"; return 1; }
	echo 0 > $ksm/run
}

compacted() {
	moved=$(vmstat pgmigrate_success)
	i=0
	while [ $i -lt 3 ]; do
		echo 1 > /proc/sys/vm/compact_memory
		echo 3 > /proc/sys/vm/drop_caches
		i=$((i + 1))
	done
	moved=$(($(vmstat pgmigrate_success) - moved))
	note "compaction moved $moved pages"
	# What is compact already stays where it is.
	all_moved=$((all_moved + moved))
	[ $all_moved -gt 0 ] || { echo "compaction moved no page"; return 1; }
}

# All of QEMU's memory moves to the other node, where there are two, and back.
moved_to_other_node() {
	moved=$(vmstat pgmigrate_success)
	mkdir -p /tmp/cgroup
	[ -e /tmp/cgroup/cgroup.procs ] || mount -t cgroup2 none /tmp/cgroup || return
	mkdir -p /tmp/cgroup/l1
	echo +cpuset > /tmp/cgroup/cgroup.subtree_control || return
	echo $pid > /tmp/cgroup/l1/cgroup.procs || return
	for node in 1 0; do
		echo $node > /tmp/cgroup/l1/cpuset.mems || return
		goes_on 1
	done
	echo $pid > /tmp/cgroup/cgroup.procs
	moved=$(($(vmstat pgmigrate_success) - moved))
	note "$moved pages moved"
	[ $moved -gt 10000 ] || { echo "$moved pages moved between the nodes"; return 1; }
}

# The kernel moves pages to where they are used, and unmaps them to see where that is.
numa_balanced() {
	faults=$(vmstat numa_hint_faults)
	echo 1 > /proc/sys/kernel/numa_balancing || return
	balanced() { [ $(($(vmstat numa_hint_faults) - faults)) -gt 500 ]; }
	wait_for 30 balanced || echo "$(($(vmstat numa_hint_faults) - faults)) hinting faults in 30 s"
	echo 0 > /proc/sys/kernel/numa_balancing
	note "$(($(vmstat numa_hint_faults) - faults)) hinting faults of NUMA balancing"
	balanced
}

threads_to() { # MASK OF CPUS
	for thread in /proc/$pid/task/*; do
		taskset -p "$1" "${thread##*/}" > /dev/null 2>&1
	done
}

cpu_off_and_on() {
	i=0
	while [ $i -lt 3 ]; do
		threads_to 2
		usleep 100000
		echo 0 > $cpu1 || return
		usleep 100000
		echo 1 > $cpu1 || return
		threads_to 3
		i=$((i + 1))
	done
}

memory_off_and_on() {
	moved=$(vmstat pgmigrate_success) gone=0
	for block in $memory/memory*; do
		[ "$(cat $block/valid_zones)" = Movable ] && [ $gone -lt "$blocks" ] || continue
		timeout 30 sh -c "echo offline > $block/state" || continue
		gone=$((gone + 1))
		echo online_movable > $block/state || return
	done
	moved=$(($(vmstat pgmigrate_success) - moved))
	note "$gone blocks of memory were taken away, and $moved pages moved"
	# The blocks of a later round are empty.
	all_moved=$((all_moved + moved))
	[ $gone -gt 0 ] && [ $all_moved -gt 0 ] ||
		{ echo "$gone blocks were taken away, $all_moved pages moved"; return 1; }
}

sleep_test() { # LEVEL STATE
	echo "$1" > /sys/power/pm_test && echo "$2" > /sys/power/state
	status=$?
	echo none > /sys/power/pm_test
	return $status
}
hibernation_tested() { sleep_test core disk; }
# There is no swap device, nor a disk that outlives the machine: the image is made, not written.
image_made() {
	grep -q '\[disabled\]' /sys/power/disk && { echo "hibernation is disabled"; return 1; }
	images=$(dmesg | grep -c 'hibernation: Image created')
	echo disk > /sys/power/state && { echo "hibernation found a place for its image"; return 1; }
	[ "$(dmesg | grep -c 'hibernation: Image created')" -gt $images ] ||
		{ echo "no image was made"; dmesg | tail -n 20; return 1; }
}
idle_suspend_tested() {
	echo 1 > /sys/module/suspend/parameters/pm_test_delay
	sleep_test platform freeze
}

traced() {
	echo 64 > $tracing/buffer_size_kb
	echo > $tracing/trace
	before=$(beats)
	for group in kvm kvmmmu; do echo 1 > $tracing/events/$group/enable || return; done
	wait_for 20 beyond "$before" 1
	for group in kvm kvmmmu; do echo 0 > $tracing/events/$group/enable; done
	note "L2 came from $before to $(beats)"
	grep -o ' kvm_[a-z_]*: ' $tracing/trace | sort | uniq -c > /tmp/traced
	echo > $tracing/trace
	note "$(wc -l < /tmp/traced) of KVM's tracepoints were reached"
	grep -q kvm_nested_vmexit: /tmp/traced || { echo "no exit of L2 was traced"; return 1; }
}

dirty_pages_logged() {
	tell '{"execute": "calc-dirty-rate", "arguments": {"calc-time": 1, "mode": "dirty-bitmap"}}' || return
	wait_for 60 answer_has '"measured"' '{"execute": "query-dirty-rate"}' || { echo "$answer"; return 1; }
	note "dirty log: $answer"
}

saved_and_loaded() {
	human savevm soak || return
	goes_on $FEW
	before=$(beats)
	stopped || return
	human loadvm soak || return
	tell '{"execute": "cont"}' || return
	counts_again || return
	[ $refused = 0 ] || return 0
	first=$(since_segment | sed -n 's/^alive 0 \([0-9]*\)\.$/\1/p' | head -n 1)
	note "L2 had counted to $before, and from $first on again"
	[ "$first" -le "${before%% *}" ] ||
		{ echo "loadvm brought L2 from $before to $first"; return 1; }
}

# migrated_to MEMORY-BACKEND: a new QEMU, and then the old one is gone
migrated_to() {
	old_name=$name old_pid=$pid old_answers=$answers
	start_l1 "$1" -incoming unix:/tmp/migration || return
	new_name=$name new_pid=$pid new_answers=$answers
	wait_for 60 test -S /tmp/migration || { echo "no QEMU listens"; cat /tmp/qemu.$name; return 1; }
	name=$old_name pid=$old_pid answers=$old_answers
	tell '{"execute": "migrate", "arguments": {"uri": "unix:/tmp/migration"}}' || return
	wait_for 200 answer_has '"completed"' '{"execute": "query-migrate"}' ||
		{ echo "the migration does not end: $answer"; return 1; }
	note "migrated: $(echo "$answer" | grep -o '"\(downtime\|total-time\)": [0-9]*' | tr '\n' ' ')"
	tell '{"execute": "quit"}'
	wait $old_pid
	name=$new_name pid=$new_pid answers=$new_answers
	rm -f /tmp/migration
}
migrated() { migrated_to $small; }
# Of huge pages one is free only if nobody holds a part of it: see killed().
migrated_to_huge_pages() {
	[ "$(cat /proc/sys/vm/nr_hugepages)" = 0 ] || migrated || return
	echo $(($(cat /l1/memory) / 2)) > /proc/sys/vm/nr_hugepages
	migrated_to memory-backend-memfd,hugetlb=on,x-use-canonical-path-for-ramblock-id=off
}

# L2 counts from the first again, or from where it was saved.  Stock forgets, when user space takes
# a vCPU out of L2, that vmcs02 is no longer newer than vmcs12: what L1 then makes current on that
# vCPU is overwritten with an empty vmcs02, and L2 is not entered.  L1 starts another L2.
counts_again() {
	wait_for_l2
	beyond "0 0" $FEW || { echo "L2 does not count"; tail -n 20 $console; return 1; }
	refused=$(since_segment | grep -ac "^wrong.*$refused_entry")
	[ $refused = 0 ] || note "known of stock: $refused entries to L2 were refused"
	since_segment | grep -a '^wrong' | grep -v "$refused_entry" && return 1
	excused=$((excused + refused))
	[ $refused -le 2 ] && [ "$(grep -ac "$empty_segment" $console)" -ge $excused ] ||
		{ echo "$refused entries were refused"; tail -n 50 $console; return 1; }
	[ $refused = 0 ] || new_segment
}

# What L2 says from now on, while QEMU stands still, counts anew.
stopped() {
	tell '{"execute": "stop"}' || return
	echo >> $said
	new_segment
}

reset() {
	boots=$((boots + 1))
	stopped || return
	tell '{"execute": "system_reset"}' || return
	tell '{"execute": "cont"}' || return
	again() { [ "$(grep -ac '^init_ticks=' $said)" = $boots ]; }
	wait_for 200 again || { echo "L1 does not boot"; tail -n 20 $console; return 1; }
	counts_again
}

no_vm() { [ "$(echo /sys/kernel/debug/kvm/*-*)" = '/sys/kernel/debug/kvm/*-*' ]; }
huge_pages_are_free() {
	awk '/^HugePages_Total/ { total = $2 } /^HugePages_Free/ { free = $2 }
	     END { exit total != free }' /proc/meminfo
}
killed() {
	kill -9 $pid
	wait $pid
	wait_for 5 no_vm || { echo "VMs are left: $(echo /sys/kernel/debug/kvm/*-*)"; return 1; }
	wait_for 5 huge_pages_are_free || { grep ^HugePages /proc/meminfo; return 1; }
	echo 0 > /proc/sys/vm/nr_hugepages
	no_complaints
}

# Free memory in pages, also what waits in each CPU's lists; what is freed late has time for it.
free_pages() {
	sleep 1
	echo 3 > /proc/sys/vm/drop_caches
	awk '/pages free/ { sum += $3 } $1 == "count:" { sum += $2 } END { print sum }' /proc/zoneinfo
}

# A VM that is destroyed while its L2 runs, then the module goes and comes.
reload() {
	/soak/vmx_close_while_nested_test > /tmp/close 2>&1 || { cat /tmp/close; return 1; }
	no_vm || { echo "VMs are left"; return 1; }
	rmmod kvm_intel || { echo "kvm_intel is used by $(cat /sys/module/kvm_intel/refcnt)"; return 1; }
	insmod $module $options
}
reloaded() {
	i=0
	while [ $i -lt "$reloads" ]; do
		reload || return
		i=$((i + 1))
		[ $i != $settled ] || first=$(free_pages)
	done
	missing=$((first - $(free_pages)))
	allowed=$((noise + (reloads - settled) / 2))
	note "$missing pages fewer are free than $((reloads - settled)) reloads before" >&3
	[ $missing -lt $allowed ] ||
		{ echo "$missing pages were lost in $((reloads - settled)) reloads"; return 1; }
}

nothing_is_left() {
	acquired=$(vmstat nr_foll_pin_acquired) released=$(vmstat nr_foll_pin_released)
	note "pinned pages: $acquired, and $released released" >&3
	[ "$acquired" = "$released" ] || return
	rmmod kvm_intel && rmmod kvm || return
	grep '^\(kvm\|pte_list_desc\|x86_emulator\)' /proc/slabinfo && return 1
	return 0
}

no_complaints() { ! log_complaints | grep .; }

exec 3>&1
log_complaints > /dev/null
note "$(uname -r), $(free -m | awk '/^Mem/ { print $4 }') MiB free"
phase booted "L1 boots, and its L2 counts"
[ $bad = 0 ] || { finish; exit 1; }
phase merged "KSM merges pages of L1 and L2, and takes them apart"
phase compacted "memory is compacted"
phase moved_to_other_node "all of L1's memory moves to another NUMA node, and back"
phase numa_balanced "NUMA balancing looks where pages are used"
phase cpu_off_and_on "a CPU is taken away while vCPUs are on it"
phase memory_off_and_on "blocks of memory are taken away"
phase hibernation_tested "hibernation, at test level core"
phase image_made "hibernation makes its image, and finds no place for it"
phase idle_suspend_tested "suspend to idle, at test level platform"
phase traced "all tracepoints of KVM are on"
phase dirty_pages_logged "dirty pages are logged"
phase reset "L1 is reset, and boots again"
phase saved_and_loaded "savevm and loadvm"
phase migrated "L1 migrates to a second QEMU"
phase migrated_to_huge_pages "L1 migrates again, to memory of huge pages"
phase killed "QEMU is killed while L2 runs, and all of L1's pages are free"
rounds=1
check "the module is reloaded $reloads times, and no page is lost" reloaded
check "nothing of KVM is left, and both modules can go" nothing_is_left
check "the log of L0 is clean after that" no_complaints
sed -n 's/^early/# early/p' $said
finish
