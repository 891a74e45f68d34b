# SPDX-License-Identifier: GPL-2.0
# Sourced by the tests on this computer that take a kernel of the lab.

# lab_kernel [DIR] - set kernel to DIR, made by selftests/lab/kernel, or to that of Debian's kernel
# when none is named; needs lib.sh and $top
lab_kernel() {
	kernel=${1:-}
	[ -z "$kernel" ] || [ -d "$kernel/source" ] || wrong_call "'$kernel' is no kernel of the lab"
	"$top/selftests/setup" || exit 1
	[ -n "$kernel" ] || kernel=$("$top/selftests/lab/kernel" debian) || exit 1
}
