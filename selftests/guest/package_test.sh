#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# package_test.sh: what the package leaves in /lib/modules, in a machine.  Runs inside the emulated
# one, which has /tap.sh, /exit_bench, no kvm_intel loaded, and in /modules/ what /lib/modules was
# after the installation, after an upgrade of the package, and after its removal.  Also the package's
# line for modprobe.d, and /kmod, which obeys it; busybox's modprobe does not.
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
unload() { rmmod kvm_intel && [ ! -d /sys/module/kvm_intel ]; }
said() { dmesg | grep -c "kvm-intel-fast: kernel .* runs stock's kvm_intel: kvm-intel-fast did not load ($1)"; }

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
unload

# From here on as at a boot of a host: udev calls what modprobe calls.
mkdir -p /sbin
for name in modprobe insmod modinfo; do
	ln -sf /kmod "/sbin/$name"
done
loads() { /sbin/modprobe kvm_intel > /tmp/log 2>&1; }
note=/run/kvm-intel-fast/fallback
becomes installed
loads && is_fast && [ ! -e $note ]
ok $? "by way of modprobe.d fast loads, too"
unload

# A symbol that no kernel has, as if kvm.ko were another's
module=$(ls "$folder"/updates/dkms/kvm-intel.ko)
cp "$module" /tmp/good.ko
sed -i 's/kvm_vcpu_map/kvm_vcpu_mbp/g; s/__kmalloc/__kmblloc/g' "$module"
echo 'options kvm_intel nested=0 verify=1' > /lib/modprobe.d/options.conf
loads && is_stock && [ "$(cat /sys/module/kvm_intel/parameters/nested)" = N ] &&
	[ "$(said 'Unknown symbol.*')" = 1 ] && grep -q "did not load (Unknown symbol" $note
ok $? "fast that does not load: stock does, with its options, and one sentence says so"
rm /lib/modprobe.d/options.conf
loads && is_stock && [ "$(said 'Unknown symbol.*')" = 1 ] && [ -e $note ]
ok $? "a second modprobe changes nothing"
unload

sed 's/mod_unload modversions/mod_unlaod modversions/' /tmp/good.ko > "$module"
mkdir -p "/var/lib/dkms/kvm-intel-fast/original_module/${folder##*/}/x86_64"
mv "$folder"/kernel/arch/x86/kvm/kvm-intel.ko* "/var/lib/dkms/kvm-intel-fast/original_module/${folder##*/}/x86_64"
loads && is_stock && l2_runs && [ "$(said 'Exec format error')" = 1 ]
ok $? "fast for another kind of kernel: stock loads from where dkms moved it, and an L2 runs"
unload
cp /tmp/good.ko "$module"
loads && is_fast && [ ! -e $note ]
ok $? "fast again, and the sentence is gone"
unload

mv /usr/libexec/kvm-intel-fast/load-or-stock /tmp
loads && is_fast
ok $? "without the program, as in an initramfs, modprobe loads the module"
mv /tmp/load-or-stock /usr/libexec/kvm-intel-fast
unload
! /sbin/modprobe kvm_intel nested=2 2> /tmp/log && [ ! -d /sys/module/kvm_intel ] && [ ! -e $note ]
ok $? "what stock does not load with either is no fault of fast"
finish
