#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test_lab.sh - does the lab itself work?  TAP on standard output; no test of the module
#
# KERNEL=mini|debian|debug chooses the kernel (default: mini).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../scripts/lib.sh"
. "$here/../tap.sh"
arguments 0 0 "$@"
kernel=${KERNEL:-mini}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
tap_log=$work/stderr

# lab EXPECTED DESCRIPTION OPTIONS...: the exit status of run must be EXPECTED.
lab() {
	local expected=$1 description=$2 status=0
	shift 2
	"$here/run" --kernel "$kernel" --out "$work/out" "$@" >"$work/stdout" 2>"$work/stderr" || status=$?
	echo "exit status $status, expected $expected" >>"$work/stderr"
	ok $((status != expected)) "$description"
}

status_is() { grep -q "\"status\": \"$1\"" "$work/out/result.json" && echo 0 || echo 1; }

lab 0 'a program of the host runs' -- /bin/true
lab 3 'the exit status comes back' -- sh -c 'echo out; echo err >&2; echo data >/out/file; exit 3'
ok "$(printf 'out\nerr\n' | cmp -s - "$work/out/stdout.txt" && echo 0 || echo 1)" 'output comes back'
ok "$(echo data | cmp -s - "$work/out/out/file" && echo 0 || echo 1)" 'files of /out come back'
lab 0 'two processors are there' --cpus 2 -- sh -c 'test $(nproc) = 2'
lab 125 'a panic fails the run' --no-kvm-intel -- sh -c 'echo c >/proc/sysrq-trigger; sleep 100'
ok "$(status_is panic)" 'and is named'
ok "$(python3 -c "import json; print(int(json.load(open('$work/out/result.json'))['wall_seconds'] > 30))")" \
	'and is noticed before the time limit'
said() { grep -q "$1" "$work/stderr" && echo 0 || echo 1; }
ok "$(said 'the machine ended while the program ran')" 'and the stage'
lab 124 'a time-out is noticed' --no-kvm-intel --time-limit 5 -- sleep 1000000
lab 125 'a missing CPU feature is no pass' --cpu-model core2_penryn_t9600 --kvm-intel-opts nested=2 -- true
ok "$(said 'ended before the program started, in the step "insmod .*kvm-intel.ko nested=2"')" \
	'and the step is named'
lab 125 'a warning fails the run, with the severe lines of the log alone' --no-kvm-intel \
	--log-level 4 -- sh -c 'echo "<4>WARNING: made up" >/dev/kmsg; echo "<5>notice" >/dev/kmsg'
ok "$(status_is warn)" 'and is named'
ok "$(grep -q 'made up' "$work/out/dmesg.txt" && ! grep -q notice "$work/out/dmesg.txt" && echo 0 || echo 1)" \
	'the others do not come back'
for words in 'WARNING: made up' 'BUG: made up'; do
	lab 125 "$words" --no-kvm-intel -- sh -c "echo '<4>$words' >/dev/kmsg
		echo '<6>the line after' >/dev/kmsg
		for i in \$(seq 60); do echo '<4>much later' >/dev/kmsg; done"
	ok "$(said '| .*the line after')" 'the log around it is shown'
done
# What a Linux L1 printed comes home when the machine ends early: here the emulator is killed.
mkdir "$work/tmp"
TMPDIR=$work/tmp "$here/run" --l1 linux --kernel "$kernel" --time-limit 2400 --out "$work/out" -- \
	sh -c 'echo said; sleep 1000000' >"$work/stdout" 2>"$work/stderr" &
run=$!
until grep -qa '^said' "$work"/tmp/*/frames 2>/dev/null || ! kill -0 $run 2>/dev/null; do sleep 1; done
for process in /proc/[0-9]*; do
	case $(readlink "$process/cwd" || true) in
	"$work"/tmp/*) [ "$(cat "$process/comm")" != bochs ] || kill -INT "${process#/proc/}" ;;
	esac
done
status=0
wait $run || status=$?
ok $((status != 125)) 'an emulator that dies while a Linux L1 runs is noticed'
ok "$(echo said | cmp -s - "$work/out/stdout.txt" && echo 0 || echo 1)" 'and what its program printed comes back'
ok "$(said 'machine ended while the program ran; L1 ended while the program ran')" 'and the stages are named'
lab 0 'symbols come back' --symbols -- true
ok "$(grep -q vmx_vcpu_run "$work/out/kallsyms.txt" && echo 0 || echo 1)" 'with those of kvm_intel'

# What a machine reached: a tiny L1's L2 executes CPUID.
export KVM_INTEL_FAST_REACH=$work/reach
lab 0 'what an L2 did is asked for' -- "$("$here/../kvm/build")/exit_bench" nested cpuid
ok "$(python3 - "$work"/reach/*.json >"$work/stderr" 2>&1 <<'END' && echo 0 || echo 1
import json, sys
[path] = sys.argv[1:]
with open(path) as file:
    l1, l2 = map(json.load(file).get, ('L1', 'L2'))
cpuid, vmresume, vmptrld = '10', '24', '21'
print(l1['exits'], l2['exits'])
assert l1['exits'][vmptrld][0] and l1['exits'][vmresume][0] >= 1000
assert vmptrld not in l2['exits'] and vmresume not in l2['exits']
assert l2['exits'][cpuid][0] == l2['exits'][cpuid][1] >= 1000
assert not any(to_l1 for _, to_l1 in l1['exits'].values())
ept, external_interrupts = 1 << 1, 1 << 0
assert l2['entered']['secondary'][0] & l1['written']['secondary'][0] & ept
assert l2['entered']['pin'][0] & external_interrupts & ~l1['written']['pin'][0]
END
)" 'and is told from what L1 did'
unset KVM_INTEL_FAST_REACH

# kept yes|no DESCRIPTION OPTIONS...: was what the machine did kept (kept.py)?
kept() {
	local expected=$1 description=$2 seen=no
	shift 2
	STOCK_RUNS=keep "$here/run" --kernel "$kernel" --out "$work/out" "$@" \
		>"$work/stdout" 2>"$work/stderr" || true
	! grep -q 'kept from an earlier run' "$work/stderr" || seen=yes
	ok "$([ $seen = "$expected" ] && echo 0 || echo 1)" "$description"
}

# A file that no machine had before.
echo "echo $$ $RANDOM $(date +%s)" >"$work/script"
script=(--file "$work/script:/script" -- sh /script)
path_of_kept() { sed -n "s,.*\"kept_as\": \"\(..*\)\".*,$cache/\1.tar.gz,p" "$work/out/result.json"; }
cache=$(cache_folder)/runs
kept no 'a machine with stock runs' "${script[@]}"
cp "$work/out/stdout.txt" "$work/before"
first=$(path_of_kept)
export KVM_INTEL_FAST_REACH=$work/reach-kept
kept yes 'and not again' "${script[@]}"
unset KVM_INTEL_FAST_REACH
ok "$(cmp -s "$work/out/reach.json" "$work"/reach-kept/*.json && echo 0 || echo 1)" 'what it reached is kept'
ok "$(cmp -s "$work/before" "$work/out/stdout.txt" && cmp -s "$work/before" "$work/stdout" && echo 0 || echo 1)" \
	'its output is kept'
lab 0 'but again when nobody asked' "${script[@]}"
kept no 'and with other kernel parameters' --append 'mitigations=off lab=1' "${script[@]}"
second=$(path_of_kept)
kept no 'and with another CPU' --cpu-model broadwell_ult "${script[@]}"
echo '#' >>"$work/script"
kept no 'and with two bytes more in a file' "${script[@]}"
module=$("$here/kernel" "$kernel")/modules/kvm-intel.ko
kept no 'a machine with a module under test runs' --kvm-intel "$module" "${script[@]}"
kept no 'and again' --kvm-intel "$module" "${script[@]}"
kept no 'what failed' -- sh -c "exit 3 # $(cat "$work/script")"
kept no 'is not kept' -- sh -c "exit 3 # $(cat "$work/script")"
sed -i '$d' "$work/script"
export STOCK_RUNS=check
lab 0 'what is kept is checked' "${script[@]}"
cp "$second" "$first"
lab 125 'and another output noticed' "${script[@]}"
unset STOCK_RUNS
rm -f "$first" "$second"

# broken NAME WORDS [COMMAND]: rules/vmx_rules.c breaks a rule about VMCSs. The machine has to
# stop, and to name it by these words.
broken() {
	local name=$1 words=$2 command=${3:-true}
	lab 125 "a broken rule stops the machine: $name" --no-kvm-intel --cpus 2 \
		--module "$work/rules/vmx_rules.ko rule=$name" -- sh -c "$command"
	ok "$(grep -q '"status": "vmx-rule"' "$work/out/result.json" &&
		grep -qE "\"reason\": \"$words" "$work/out/result.json" && echo 0 || echo 1)" \
		"and is named: $words"
}

mkdir "$work/rules"
cp "$here/rules/"* "$work/rules"
make -s -C "$("$here/kernel" "$kernel")/build" M="$work/rules" modules >"$work/stderr" 2>&1 || true
lab 0 'VMCSs used as the SDM says' --no-kvm-intel --cpus 2 \
	--module "$work/rules/vmx_rules.ko rule=none" -- true
active='0x[0-9a-f]+, which is active on CPU'
broken never_cleared 'VMPTRLD of 0x[0-9a-f]+, which never was the operand of VMCLEAR'
broken written_while_clear 'VMPTRLD of 0x[0-9a-f]+, which was written to since its last VMCLEAR'
broken written_while_active 'memory of the active VMCS at 0x[0-9a-f]+ was written to'
broken on_two_cpus "VMPTRLD of $active 0 .CPU 1"
broken cleared_on_another "VMCLEAR of $active 0 .CPU 1"
none_current='a VMX instruction needs a current VMCS, and there is none'
broken read_without "$none_current"
broken written_without "$none_current"
broken read_after_clear "$none_current"
broken resume_of_clear 'VMRESUME of 0x[0-9a-f]+, which is clear'
broken launch_of_launched 'VMLAUNCH of 0x[0-9a-f]+, which is launched'
broken shadow_current 'VM entry, and the current VMCS at 0x[0-9a-f]+ is a shadow VMCS'
broken link_loaded 'VM entry with the link pointer 0x[0-9a-f]+, which is active by VMPTRLD'
broken link_on_another "VM entry with the link pointer $active 1"
broken loaded_after_link "VMPTRLD of $active 0 .CPU 1"
broken left_active 'VMXOFF, and 1 VMCSs are active, one at 0x'
broken offline 'the CPU is halted for good, and 1 VMCSs are active, one at 0x.*CPU 1' \
	'echo 0 >/sys/devices/system/cpu/cpu1/online; sleep 1'

finish
