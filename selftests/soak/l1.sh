# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sourced by phases.sh in L0 (busybox): L1s in QEMU, what they say, and QEMU's monitor.
#
# What L1 and L2 print goes to /out/said, from one QEMU after the other: so the counts of
# soak_guest, of which each line is whole, go on where an L1 goes on.  $segment is where in that
# file the present run of counts began.  Times are seconds of the emulated machine.
said=/out/said
console=/out/console
started=0

now() { cut -d. -f1 /proc/uptime; }

# wait_for SECONDS COMMAND...: until COMMAND succeeds, or so long
wait_for() {
	until_then=$(($(now) + $1))
	shift
	until "$@"; do
		[ "$(now)" -lt $until_then ] || return 1
		usleep 200000
	done
}

# start_l1 MEMORY-BACKEND [OPTIONS OF QEMU]: in the background; its $name, $pid
# As guest/start-linux-l1 does, but for -no-reboot, and a monitor.
start_l1() {
	started=$((started + 1))
	name=$started backend=$1
	shift
	mkfifo /tmp/monitor.$name.in /tmp/monitor.$name.out
	cat /tmp/monitor.$name.out > /tmp/answers.$name &
	(
		cd /l1 || exit
		exec ./qemu-system-x86_64* -nodefaults -no-user-config -display none -L /l1 -bios qboot.rom \
			-machine microvm,accel=kvm,kernel-irqchip=on,isa-serial=on,rtc=on,memory-backend=ram \
			-object "$backend,id=ram,size=$(cat memory)M" \
			-cpu "$(cat cpu)" -smp "$(cat cpus)" -m "$(cat memory)" \
			-chardev file,id=console,path=$console,append=on -serial chardev:console \
			-chardev file,id=frames,path=$said,append=on \
			-device isa-serial,iobase=0xe9,irq=5,chardev=frames \
			-chardev pipe,id=monitor,path=/tmp/monitor.$name \
			-mon chardev=monitor,mode=control \
			-drive if=none,id=snapshots,file=snapshots.qcow2,format=qcow2 \
			-kernel vmlinux -initrd initrd -append "$(cat parameters)" "$@"
	) < /dev/null > /tmp/qemu.$name 2>&1 &
	pid=$!
	answers=0
	tell '{"execute": "qmp_capabilities"}'
}

answered() { [ "$(grep -c '^{"\(return\|error\)"' /tmp/answers.$name)" -gt $answers ]; }

# tell QMP-COMMAND: to the L1 that was started last; its answer in $answer
tell() {
	echo "$1" > /tmp/monitor.$name.in
	wait_for 120 answered || { echo "QEMU's monitor does not answer $1"; cat /tmp/qemu.$name; return 1; }
	answers=$((answers + 1))
	answer=$(grep '^{"\(return\|error\)"' /tmp/answers.$name | sed -n "${answers}p" | tr -d '\r')
	case $answer in
	'{"error"'*) echo "QEMU refuses $1: $answer"; return 1;;
	esac
}

# human WORDS: a command of the human monitor, which says nothing when all went well
human() {
	tell "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"$*\"}}" || return
	[ "$answer" = '{"return": ""}' ] || { echo "QEMU says to '$*': $answer"; return 1; }
}

# answer_has TEXT QMP-COMMAND
answer_has() {
	tell "$2" || return
	case $answer in *"$1"*) ;; *) false;; esac
}

new_segment() { segment=$(stat -c %s $said 2> /dev/null || echo 0); }
since_segment() { tail -c +$((segment + 1)) $said 2> /dev/null; }

# The last count of each vCPU of L2, as "12 13"
beats() {
	since_segment | awk '/^alive [01] [0-9]+\.$/ { last[$2] = $3 + 0 }
			     END { print last[0] + 0, last[1] + 0 }'
}
beyond() { # BEATS COUNT: is each vCPU COUNT further?
	set -- $1 $2 $(beats)
	[ $4 -ge $(($1 + $3)) ] && [ $5 -ge $(($2 + $3)) ]
}

# What is wrong with L2, or L1: a line each
complaints() {
	since_segment | grep -a '^wrong'
	since_segment | awk '/^alive [01] [0-9]+\.$/ {
		if ($2 in last && $3 + 0 != last[$2] + 1)
			print "vCPU " $2 " of L2 counted from " last[$2] " to " $3
		last[$2] = $3 + 0
	}'
	[ "$(grep -ac '^init_ticks=' $said)" = $boots ] ||
		echo "L1 booted $(grep -ac '^init_ticks=' $said) times, and not $boots"
	grep -aE "$splat" $console
	kill -0 $pid 2> /dev/null || { echo "QEMU ended:"; cat /tmp/qemu.$name; }
}
