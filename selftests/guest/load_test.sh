#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# load_test.sh: scripts/load swaps the modules, refuses what it must, and never
# leaves the machine without kvm_intel.  Runs inside the emulated machine, which
# has /load (the script), /fast.ko, /tap.sh, and stock kvm_intel loaded.
export KVM_INTEL_STOCK=/lab/modules/kvm-intel.ko
parameters=/sys/module/kvm_intel/parameters
tap_log=/tmp/log
. /tap.sh

is_fast() { [ -e /dev/kvm ] && grep -q fast /sys/module/kvm_intel/version; }
is_stock() { [ -e /dev/kvm ] && [ -d /sys/module/kvm_intel ] && [ ! -e /sys/module/kvm_intel/version ]; }
value() { [ "$(cat $parameters/$1)" = "$2" ]; }
load() { /load "$@" > /tmp/log 2>&1; }
refuses() { # WORDS ARGUMENTS...: load fails, says WORDS and what to do
	words=$1
	shift
	! load "$@" && grep -q -- "$words" /tmp/log && grep -q '^  to do: ' /tmp/log
}
stock_with() {
	rmmod kvm_intel
	insmod $KVM_INTEL_STOCK "$@"
}

# busybox's modinfo wants an index, even for a file.
mkdir -p /tmp "/lib/modules/$(uname -r)"
touch "/lib/modules/$(uname -r)/modules.dep"

is_stock
ok $? "stock is loaded to begin with"

load /fast.ko && is_fast && value debugctl_passthrough Y && value nested Y
ok $? "fast replaces stock"
load stock && is_stock
ok $? "stock replaces fast"

stock_with nested=0 ept=0 ple_gap=77
load /fast.ko && is_fast && value nested N && value ept N && value ple_gap 77
ok $? "the parameters of stock are kept"
load stock && is_stock && value nested N && value ept N && value ple_gap 77
ok $? "also on the way back"

stock_with
load /fast.ko verify=1 nested=0 && is_fast && value verify Y && value nested N
ok $? "parameters given on the command line win"
dmesg | tail -n 5 > /tmp/log
grep -q "kvm-intel-fast: fast-[0-9.]*, verify=1 .*page_cache=1 .*fast_switch_parts=0x[0-9a-f]*f; the CPU lacks: UMIP$" /tmp/log
ok $? "the kernel's log says version, options and what the CPU lacks"
load /fast.ko && is_fast && value verify Y
ok $? "fast replaces fast, for an update"
load stock && is_stock
ok $? "parameters that stock lacks do not stop stock"

stock_with vmentry_l1d_flush=always
load /fast.ko && is_fast
ok $? "a parameter that reads back as a state does not stop the swap"
stock_with

sleep 1000 3< /dev/kvm &
refuses "virtual machines are running" /fast.ko && is_stock
ok $? "refused while kvm_intel is in use"
kill $!
wait $! 2> /dev/null

stock_with nested=0
refuses "stock kvm_intel is back" /fast.ko verify=banana && is_stock && value nested N
ok $? "a module that does not load brings stock back, with its parameters"
stock_with

release=$(uname -r)
sed "s/vermagic=$release /vermagic=$(echo "$release" | sed 's/^6/9/') /" /fast.ko > /tmp/other.ko
refuses "is built for kernel 9" /tmp/other.ko && is_stock
ok $? "a module for another kernel is refused before anything is removed"

refuses "no module '/nowhere.ko'" /nowhere.ko && is_stock
ok $? "a missing module"

KVM_INTEL_STOCK=/nowhere.ko refuses "no stock kvm-intel.ko" /fast.ko && is_stock
ok $? "nothing to fall back to"

grep -v vmx /proc/cpuinfo > /tmp/cpuinfo
mount -o bind /tmp/cpuinfo /proc/cpuinfo
refuses "does not offer VMX" /fast.ko && is_stock
ok $? "a CPU without VMX"
umount /proc/cpuinfo

finish
