# SPDX-License-Identifier: GPL-2.0
# Sourced by the tests that run on this computer: TAP output.

tap_count=0 tap_failed=0

# lab_kernel [DIR] - set kernel to DIR, made by selftests/lab/kernel, or to that of Debian's kernel
# when none is named; needs lib.sh and $top
lab_kernel() {
	kernel=${1:-}
	[ -z "$kernel" ] || [ -d "$kernel/source" ] || wrong_call "'$kernel' is no kernel of the lab"
	"$top/selftests/setup" || exit 1
	[ -n "$kernel" ] || kernel=$("$top/selftests/lab/kernel" debian) || exit 1
}

# check NAME COMMAND... - one test: does COMMAND succeed?  Its output is shown on failure.
check() {
	local name=$1 log
	shift
	tap_count=$((tap_count + 1))
	if log=$("$@" 2>&1); then
		echo "ok $tap_count - $name"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $name"
		sed 's/^/# /' <<< "$log" | tail -n 30
	fi
}

finish() {
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
}
