#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# package_test.sh: what the package leaves in /lib/modules, in a machine.  Runs inside the emulated
# one, which has /tap.sh, /exit_bench, no kvm_intel loaded, and in /modules/ what /lib/modules was
# after the installation, after an upgrade of the package, and after its removal.
tap_log=/tmp/log
. /tap.sh
mkdir -p /tmp
folder=/lib/modules/$(uname -r)

# An installation of that state, under whatever is loaded
becomes() {
	rm -rf "$folder"
	mkdir -p /lib/modules
	cp -r "/modules/$1" "$folder"
}

is_fast() { grep -q '^fast-' /sys/module/kvm_intel/version; }
is_stock() { [ -d /sys/module/kvm_intel ] && [ ! -e /sys/module/kvm_intel/version ]; }
l2_runs() { /exit_bench nested cpuid > /tmp/log 2>&1 && grep -q '^row cpuid iterations' /tmp/log; }
loads() { modprobe kvm_intel > /tmp/log 2>&1; }

becomes installed
loads && is_fast
ok $? "after the installation modprobe loads fast"
l2_runs
ok $? "an L2 runs"

sleep 1000 3< /dev/kvm &
becomes later
is_fast && [ "$(cat /sys/module/kvm_intel/refcnt)" != 0 ] && ! rmmod kvm_intel 2> /tmp/log && l2_runs
ok $? "an upgrade leaves the loaded module to the VM that runs"
kill $!
wait $! 2> /dev/null
rmmod kvm_intel && loads && is_fast && l2_runs
ok $? "then the upgraded one loads, and an L2 runs"

becomes removed
is_fast && l2_runs
ok $? "removal leaves the loaded module alone"
rmmod kvm_intel && loads && is_stock && l2_runs
ok $? "then stock loads, and an L2 runs"
finish
