#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# patches_test.sh [NUMBER...] - each patch of a series stands alone: on 0001 and 0002, without the
# others, it applies; those of NUMBER (default: all) build, too, and run L2 in the emulated machine
#
# Also: "git am" takes the series.  Works in a copy of the project, with the small kernel, whose
# line's series it is; nothing is loaded into this computer.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/tap.sh"

arguments 0 99 "$@"
for number; do
	[[ $number =~ ^[0-9]{4}$ ]] || wrong_call "'$number' is no number of a patch"
done
"$top/selftests/setup" || exit 1
kernel=$("$top/selftests/lab/kernel" mini) || exit 1
line=$(cut -d. -f1,2 "$kernel/release")
series=$top/patches/$line/series
all=$(grep -v '^#' "$series" | grep -oE '(^|/)[0-9]{4}-' | tr -cd '0-9\n' | tail -n +3)
for number; do
	grep -qx "$number" <<< "$all" || wrong_call "'$number' is no patch after 0002 of patches/$line/series"
done
programs=$("$top/selftests/kvm/build") || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/clone"
copy_project "$work/clone"
cd "$work/clone" || exit 1

git_am_takes_the_series() {
	local tree=$work/tree
	mkdir -p "$tree" && cp -r "$kernel/source/arch/x86/kvm" "$tree" && cd "$tree" &&
		git init -q . && git add kvm &&
		git -c user.name=test -c user.email=test@test.invalid commit -q -m stock || return 1
	# shellcheck disable=SC2046 # a name per word
	git -c user.name=test -c user.email=test@test.invalid am -q \
		$(grep -v '^#' "$series" | sed "s,^,$top/patches/$line/,; s/ .*//") || return 1
	[ "$(git log --oneline | wc -l)" = $(($(grep -vc '^#' "$series") + 1)) ]
}

applies_alone() { # NUMBER
	rm -rf "$work/stock"
	mkdir -p "$work/stock/arch/x86"
	cp "$kernel/source/Makefile" "$work/stock"
	(cd "$kernel/source" && ls -d $stock_members | xargs cp -r --parents -t "$work/stock") &&
		PATCHES=$1 scripts/apply "$line" "$work/stock"
}

runs_alone() { # NUMBER
	make PATCHES="$1" KDIR="$kernel/build" KSRC="$kernel/source" &&
		"$top/selftests/lab/run" --kernel mini --time-limit 300 \
			--kvm-intel "build/$(basename "$(ls -d build/*-"$1")")/kvm-intel-fast.ko" \
			--file "$programs/vmx_dirty_log_test" --file "$programs/state_test" \
			-- sh -c '/vmx_dirty_log_test && /state_test'
}

check "git am takes the series" git_am_takes_the_series
for number in $all; do
	check "$number applies to 0001 and 0002" applies_alone "$number"
done
for number in ${*:-$all}; do
	check "$number alone builds, and runs L2" runs_alone "$number"
done
finish
