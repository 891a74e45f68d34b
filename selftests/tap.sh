# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# Sourced by the tests in shell, on this computer and in the emulated machine (busybox): TAP.
# The Python ones have tap.py.

tap_count=0 tap_failed=0

# result STATUS NAME WHY - good if STATUS is 0; otherwise the last lines of the text WHY stand below
result() {
	tap_count=$((tap_count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_count - $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $2"
		echo "$3" | sed 's/^/# /' | tail -n 30
	fi
}

# ok STATUS NAME - the same; why it is not good stands in the file $tap_log
ok() {
	result "$1" "$2" "$(cat "$tap_log" 2> /dev/null)"
}

# check NAME COMMAND... - does COMMAND succeed?  What it prints says why not.
check() {
	local name="$1" log
	shift
	if log=$("$@" 2>&1); then
		result 0 "$name"
	else
		result 1 "$name" "$log"
	fi
}

# finish - the plan; fails if a result was not good
finish() {
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
}
