#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# versions_test.sh [all] - does the module build for the oldest and the newest version that
# the archive offers, or for all of them?
#
# Each is built from its own headers and source, in the project's build/ folder.  A version
# that nobody reviewed is a failure: here is where we learn of it.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/tap.sh"

arguments 0 1 "$@"
case ${1:-all} in
all) ;;
*) wrong_call "'$1' is not \"all\"" ;;
esac
"$top/selftests/setup" || exit 1
mapfile -t versions < <("$top/scripts/resolve" --list)
[ ${#versions[@]} -gt 0 ] || exit 1
[ $# = 1 ] || versions=("${versions[@]: -1}" "${versions[0]}")

builds() {
	local kernel module
	kernel=$("$top/selftests/lab/kernel" "debian=$1") || return 1
	module=$top/build/$(cat "$kernel/release")/kvm-intel-fast.ko
	make -C "$top" KDIR="$kernel/build" KSRC="$kernel/source" &&
		[ "$(modinfo -F vermagic "$module" | cut -d' ' -f1)" = "$(cat "$kernel/release")" ]
}

for version in $(printf '%s\n' "${versions[@]}" | awk '!seen[$0]++'); do
	check "it builds for $version, as reviewed" builds "$version"
done
finish
