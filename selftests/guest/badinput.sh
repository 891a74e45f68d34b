#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# badinput.sh: wrong module parameters are refused as stock refuses them, and
# leave nothing loaded; and, when there is a /badinput_test, it passes under both
# modules and gets the same verdicts.  Runs inside the emulated machine, which has
# /fast.ko and /tap.sh, and stock kvm_intel loaded.
stock=/lab/modules/kvm-intel.ko
live=/sys/module/kvm_intel
tap_log=/tmp/log
. /tap.sh

complain() { echo "$*" >> /tmp/log; false; }
absent() { [ ! -e $live ] && [ ! -e /dev/kvm ]; }
remove() { [ ! -e $live ] || rmmod kvm_intel; }

# Loading MODULE with PARAMETER fails, says why in the kernel's log, and leaves nothing.
refused() {
	dmesg > /tmp/before
	if insmod "$1" "$2" 2> /tmp/error; then
		rmmod kvm_intel
		complain "$1 $2 was accepted"
		return
	fi
	absent || complain "$1 $2 left something loaded"
	dmesg | tail -n +$(($(wc -l < /tmp/before) + 1)) | grep -q "kvm_intel: .*invalid for parameter .${2%%=*}'" ||
		complain "$1 $2: no word in the kernel's log; insmod: $(cat /tmp/error)"
}

# Both modules refuse, or both accept.
as_stock() {
	stock_status=0 fast_status=0
	insmod $stock "$1" 2> /dev/null || stock_status=1
	remove
	insmod /fast.ko "$1" 2> /dev/null || fast_status=1
	remove
	[ $stock_status = $fast_status ] || complain "$1: stock $stock_status, fast $fast_status"
	absent || complain "$1: something is still loaded"
}

parameters_of() {
	insmod "$1"
	ls $live/parameters
	rmmod kvm_intel
}

# What a parameter with the value $1 does not take, one a line; an empty line, too.
wrong_values() {
	case $1 in
	Y | N) printf '%s\n' banana 2 -1 '' "$long" ;;
	*) printf '%s\n' banana -1 '' 1x 99999999999999999999 "$long" ;;
	esac
}

mkdir -p /tmp
: > /tmp/log
rmmod kvm_intel
parameters_of $stock | sort > /tmp/stock
parameters_of /fast.ko | sort > /tmp/fast
own=$(grep -vxFf /tmp/stock /tmp/fast)
long=$(printf '%100s' | tr ' ' x)

status=1
insmod /fast.ko
for name in $own; do
	wrong_values "$(cat $live/parameters/$name)" | sed "s/^/$name=/"
done > /tmp/wrong
remove
status=1
while IFS= read -r pair; do
	[ $status != 1 ] || status=0
	refused /fast.ko "$pair" || status=2
done < /tmp/wrong
[ $status = 0 ]
ok $? "wrong values of our parameters: $(echo $own)"

: > /tmp/log
status=0
for pair in nested=maybe ept=2 ple_gap=banana ple_window=-1 ple_gap=99999999999999999999 \
	vmentry_l1d_flush=sometimes vmentry_l1d_flush= pt_mode=x pt_mode=7 vpid "nested=$long" \
	no_such_parameter=1 =1; do
	as_stock "$pair" || status=1
done
ok $status "wrong values of stock's parameters have the same effect as on stock"

: > /tmp/log
insmod /fast.ko
status=0
for name in $own; do
	before=$(cat $live/parameters/$name)
	for value in Y N banana; do
		! (echo $value > $live/parameters/$name) 2> /dev/null || status=1
	done
	[ "$(cat $live/parameters/$name)" = "$before" ] || status=1
done
ok $status "our parameters cannot be changed while loaded"
! insmod /fast.ko 2> /tmp/log && ! insmod $stock 2> /tmp/log && grep -q fast $live/version
ok $? "neither module loads beside the other"
remove

# run NAME MODULE OPTIONS: its lines as comments, its verdict as ours.
run() {
	insmod "$2" $3
	/badinput_test > "/tmp/$1.txt" 2>&1
	status=$?
	sed 's/^/# /' "/tmp/$1.txt"
	grep -E '^not ok|# line|Assertion' "/tmp/$1.txt" > /tmp/log
	grep -q '^1\.\.' "/tmp/$1.txt" &&
		[ "$(grep -cE '^(not )?ok' "/tmp/$1.txt")" = "$(sed -n 's/^1\.\.//p' "/tmp/$1.txt")" ] || status=1
	grep '^# verdicts' "/tmp/$1.txt" > "/tmp/$1.verdicts"
	[ "$(cat $live/refcnt)" = 0 ] || status=1
	rmmod kvm_intel || status=1
	return $status
}

if [ -e /badinput_test ]; then
run stock $stock ""
ok $? "badinput_test under stock, and kvm_intel can be removed"
run fast /fast.ko verify=1
ok $? "badinput_test under fast with verify=1, and kvm_intel can be removed"
[ "$(wc -l < /tmp/stock.verdicts)" = 3 ] && diff /tmp/stock.verdicts /tmp/fast.verdicts > /tmp/log
ok $? "every image has the same verdict under stock and fast"
fi

rmmod kvm 2> /tmp/log && [ ! -e /sys/module/kvm ]
ok $? "kvm can be removed"

finish
