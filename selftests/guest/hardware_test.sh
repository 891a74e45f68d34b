#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# hardware_test.sh PART...: kvm-intel-fast check and measure in a machine, and what can go wrong.
# Runs inside the emulated one, which has Python, /project with scripts/, /fast.ko, /mutant.ko,
# /kit (programs of the kit), /tap.sh, and stock kvm_intel loaded.  Each case ends with stock.
export KVM_INTEL_STOCK=/lab/modules/kvm-intel.ko PYTHONHOME=/usr
tap_log=/tmp/log
. /tap.sh
# busybox's modinfo wants an index, even for a file.
mkdir -p /tmp /check "/lib/modules/$(uname -r)" /var/lib
touch "/lib/modules/$(uname -r)/modules.dep"
hostname secretname

tool() { /python3 /project/scripts/kvm-intel-fast "$@" > /tmp/log 2>&1; }
says() { grep -qE -- "$1" /tmp/log; }
is_stock() { [ -e /dev/kvm ] && [ -d /sys/module/kvm_intel ] && [ ! -e /sys/module/kvm_intel/version ]; }
is_fast() { [ -e /sys/module/kvm_intel/version ]; }
in_report() { tar -xzOf /check/out.tar.gz out/report.json | grep -q -- "$1"; }
refuses() { # WORDS ARGUMENTS...: says WORDS and what to do, and nothing was begun
	words=$1
	shift
	! tool "$@" && says "$words" && says "^  to do: " && is_stock &&
		[ ! -e /var/lib/kvm-intel-fast ]
}
# kit NAME LIMIT: /check/NAME is a kit whose one test is the script on standard input.
kit() {
	mkdir -p "/check/$1"
	ln -sf /kit/differential_test "/check/$1/differential_test"
	{ echo '#!/bin/sh'; cat; } > "/check/$1/own_test"
	chmod +x "/check/$1/own_test"
	echo "own_test | | $2 | test" > "/check/$1/list"
}
try() { # KIT MODULE: a check with that test and one random program
	tool check --seeds 1 --kit "/check/$1" --module "$2" --out /check/out.tar.gz
}
begin() { # KIT: the same in the background; returns once its test runs under fast
	rm -f /tmp/under-fast
	/python3 /project/scripts/kvm-intel-fast check --seeds 1 --kit "/check/$1" --module /fast.ko \
		--out /check/out.tar.gz > /tmp/log 2>&1 &
	check=$!
	for _ in $(seq 300); do
		[ ! -e /tmp/under-fast ] || return
		sleep 0.1
	done
}
wait_for_report() { # SECONDS
	for _ in $(seq "$1"); do
		[ ! -e /var/lib/kvm-intel-fast/unfinished ] && return
		sleep 1
	done
}

kit lasts 20 << 'END'
[ -e /sys/module/kvm_intel/version ] || exit 0
touch /tmp/under-fast
sleep 1000
END
kit good 20 << 'END'
echo "ok 1 - good"
END

refusals() {
	sleep 1000 3< /dev/kvm &
	refuses "virtual machines are running" check --kit /check/good --module /fast.ko
	ok $? "refused: a VM runs"
	kill $!
	wait $! 2> /dev/null
	refuses "no kvm-intel-fast is installed" check --kit /check/good
	ok $? "refused: no module"
}

# All files of the system, and the settings that programs of the kit know of
host_as_it_is() {
	find / -xdev ! -path '/check/*' ! -path '/tmp/*' ! -path '/out/*' | sort
	grep . /sys/kernel/mm/transparent_hugepage/enabled /sys/kernel/mm/ksm/run \
		/sys/kernel/mm/ksm/sleep_millisecs \
		/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
}

good() {
	echo always > /sys/kernel/mm/transparent_hugepage/enabled
	host_as_it_is > /tmp/before
	tool check --quick --seeds 2 --kit /check/quick --module /fast.ko --out /check/out.tar.gz &&
		says "^check: GOOD: .*1 tests .*2 random programs, [0-9]{4,} lines .*; stock is loaded$" && is_stock
	ok $? "check: good"
	cp /tmp/log /out/check.txt
	host_as_it_is > /tmp/after
	diff /tmp/before /tmp/after > /tmp/log
	ok $? "check leaves no file but its archive, and the settings as they were"
	tar -xzOf /check/out.tar.gz > /tmp/all
	in_report '"good": true' && in_report '"module": "fast-' && in_report "$(uname -r)" &&
		in_report '"microcode": "0x' && ! grep -q secretname /tmp/all
	ok $? "the archive has the CPU, the kernel and all verdicts"
}

bad_module() {
	# A symbol that no kernel has: it cannot be linked.
	sed 's/kvm_vcpu_map/kvm_vcpu_mbp/g; s/__kmalloc/__kmblloc/g' /fast.ko > /tmp/bad.ko
	! try good /tmp/bad.ko &&
		says "^check: FAILED: fast with verify=1: the module did not load.*; stock is loaded$" &&
		is_stock && in_report '"good": false'
	ok $? "a module that does not load"
	cp /tmp/log /out/bad_module.txt
}

hangs() {
	kit hangs 3 < /check/lasts/own_test
	! try hangs /fast.ko &&
		says "^check: FAILED: fast with verify=1: own_test: timeout, under stock: pass.*; stock is loaded$" &&
		is_stock && in_report '"verdict": "timeout"'
	ok $? "a test that hangs"
}

killed() {
	begin lasts
	is_fast && kill -KILL $check
	wait $check 2> /dev/null
	wait_for_report 30
	is_stock && in_report "NOT FINISHED: it was killed or failed, under fast with verify=1, during own_test; stock is loaded" &&
		says "^check: NOT FINISHED: it was killed" && ! pgrep -f own_test > /dev/null
	ok $? "check is killed: the watchdog puts stock back"
	cp /tmp/log /out/killed.txt
}

stopped() {
	begin lasts
	is_fast && kill -STOP $check
	wait_for_report 100
	wait $check 2> /dev/null
	is_stock && in_report "NOT FINISHED: it hung, under fast with verify=1, during own_test; stock is loaded"
	ok $? "check hangs: the watchdog puts stock back"
}

interrupted() {
	begin lasts
	is_fast && kill -TERM $check
	wait $check
	[ $? = 1 ] && is_stock && says "^check: NOT FINISHED: interrupted under fast with verify=1; stock is loaded$"
	ok $? "check is interrupted"
}

mutant() {
	kit bitmap 60 <<- 'END'
	echo "kvm: secretname at 10.1.2.3 or 52:54:00:aa:bb:cc" > /dev/kmsg
	exec /kit/page_hold_test l1_stores_to_its_bitmap
	END
	! try bitmap /mutant.ko && is_stock &&
		says "^check: FAILED: fast with verify=1: the kernel said, .*MSR bitmap of vmcs02 is not stock's merge.*; stock is loaded$" &&
		in_report "kvm-intel-fast: MSR bitmap of vmcs02 is not stock's merge"
	ok $? "a mismatch of verify=1"
	cp /tmp/log /out/mutant.txt
	tar -xzOf /check/out.tar.gz > /tmp/all
	grep -q "kvm: (host) at (address) or (address)" /tmp/all && grep -q "end trace" /tmp/all &&
		! grep -qE "secretname|10\.1\.2\.3|52:54:00" /tmp/all
	ok $? "the archive has the warning, and no name or address"
}

measures() {
	tool measure --quick --kit /kit --module /fast.ko --out /check/out.tar.gz && is_stock &&
		says "^L2 CPUID +[0-9,]+ [^ ]+ [0-9]+ +[0-9,]+ [^ ]+ [0-9]+ +[0-9]+%" &&
		says "^VMREAD, natural width +[1-9]" && says "^VM exit.* [1-9][0-9]* " &&
		says "^measure: 3 rows, 2 times each .*: an emulator; stock is loaded$"
	ok $? "measure"
	cp /tmp/log /out/measure.txt
	cp /check/out.tar.gz /out/measure.tar.gz
}

# Without --quick
whole_check() {
	tool check --kit /kit --module /fast.ko --out /check/out.tar.gz &&
		says "^check: GOOD: .*[0-9]{2} tests .*300 random programs, [0-9]{4,} lines .*; stock is loaded$" && is_stock
	ok $? "check, whole"
	cp /tmp/log /out/whole_check.txt
}

whole_measure() {
	tool measure --rounds 1 --kit /kit --module /fast.ko --out /check/out.tar.gz && is_stock &&
		says "^measure: [0-9]{2} rows, 5 times each .*; stock is loaded$"
	ok $? "measure, whole"
	cp /tmp/log /out/whole_measure.txt
}

# In Debian's kernel, which has trace events, and /fast.ko for it.
estimates() {
	tool estimate --seconds 0.5 && says "no VM entered an L2 meanwhile"
	ok $? "estimate: no nested VM"
	while :; do /kit/exit_bench nested zoo_haxm zoo_haxm cpuid; done > /dev/null 2>&1 &
	bench=$!
	tool estimate --seconds 2 && says "^CPUID +[0-9]+ +[1-9][0-9,]+ +[0-9]$" &&
		says "^VMREAD +[1-9][0-9,]+ +0 +0$" && says "^VMRESUME +[1-9][0-9,]+ +0 +0$" &&
		says "^others: not touched +[0-9,]+ +[0-9]\.[0-9]%$" && says "takes [0-9,]+ instructions"
	ok $? "estimate: exits by reason and level, and what is touched"
	cp /tmp/log /out/estimate.txt
	# L1 resumes L2 as often as L1 gets an exit of L2, within the exits of half a millisecond.
	awk '{ gsub(",", "") } $1 == "VMRESUME" { resumes = $2 } / handled by L1$/ { exits = $(NF - 3) }
	     END { d = resumes - exits; exit !(exits > 100 && d * d < 100 + exits * exits / 400) }' /tmp/log
	ok $? "estimate: as many VMRESUMEs as exits of L2 that L1 handles"
	[ -z "$(ls /sys/kernel/debug/tracing/instances)" ]
	ok $? "estimate leaves no trace instance"
	kill $bench
}

# The machine resets: the test switches it off, once what was noted has reached the disk.
reset_begins() {
	ln -s /out /var/lib/kvm-intel-fast
	kit resets 20 <<- 'END'
	[ -e /sys/module/kvm_intel/version ] || exit 0
	sleep 4
	exec /bin/poweroff
	END
	try resets /fast.ko
	ok 1 "the machine did not go down"
}

# What the disk then holds is in /var/lib/kvm-intel-fast.
reset_ends() {
	! tool check --kit /check/good --module /fast.ko --out /check/other.tar.gz && is_stock &&
		says "check: NOT FINISHED: the machine went down under fast with verify=1, during own_test; loaded is now: stock" &&
		in_report "NOT FINISHED: the machine went down" && [ ! -e /var/lib/kvm-intel-fast/unfinished ]
	ok $? "after a reset: stock is loaded, and the next check tells what it was doing"
	cp /tmp/log /out/reset.txt
}

# Without one that takes long here
mkdir /check/quick
ln -s /kit/* /check/quick
rm /check/quick/list
grep -v switch_test /kit/list > /check/quick/list
for part; do
	$part
done
finish
