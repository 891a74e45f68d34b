#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# upstream_test.sh [short|LINE...] - the series of "make upstream-patch", on pristine source: git
# am takes it, each patch builds and boots, our kselftests build with the tree's own Makefile
#
# LINE is a kernel line (default: all of patches/ whose source is to be had).  "short" tries
# "git am" on all lines, and of the first one checkpatch, and builds and boots the whole series;
# kvm.ko, which no patch changes, is not built then.
#
# The tree that is patched has its own arch/x86/kvm and tools/testing/selftests/kvm; the rest
# are links to the lab's source.  It is built in a copy of the small kernel's build folder, so
# that the module fits that kernel.  Nothing is loaded into this computer.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/tap.sh"
. "$here/checkpatch.sh"

arguments 0 99 "$@"
all=$(kernel_lines)
short=
if [ "$*" = short ]; then
	short=y
	set --
fi
for line; do
	grep -qxF "$line" <<< "$all" || wrong_call "'$line' is no kernel line of patches/"
done
"$top/selftests/setup" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null
tests=tools/testing/selftests/kvm

# own_part TREE NEW PATH... - NEW has links to what TREE has, but for its own copies of PATH
own_part() {
	local tree=$1 new=$2 path at
	shift 2
	mkdir -p "$new" && ln -s -t "$new" "$tree"/* || return 1
	for path; do
		at=$new
		while [ "$at" != "$new/$path" ]; do
			at=$(cut -d/ -f"-$(($(tr -cd / <<< "$at/" | wc -c) + 1))" <<< "$new/$path")
			[ -L "$at" ] || continue
			rm "$at" && mkdir "$at" && ln -s -t "$at" "$tree/${at#"$new"/}"/* || return 1
		done
		rm -r "$at" && cp -r "$tree/$path" "$at" || return 1
	done
}

in_tree() { git -C "$work/$line/tree" -c user.name=test -c user.email=test@test.invalid "$@"; }

# at COMMIT - the tree as it was there; what was built from it stays
at() { in_tree checkout -q --force "$1"; }

patches() { ls "$work/$line"/series/*.patch; }

numbers() { grep -v '^#' "$top/patches/$line/series" | grep -oE '(^|/)[0-9]{4}-' | tr -cd '0-9\n'; }

# commits - of the patches but those of the tests: those are the last ones, without code of KVM
commits() { in_tree log --reverse --format=%H stock..whole -- arch/x86/kvm; }

is_written() {
	local kind
	for kind in series again; do
		"$top/scripts/upstream-patch" "$line" "$source" --out "$work/$line/$kind" || return 1
	done
	diff -r "$work/$line/series" "$work/$line/again" &&
		[ "$(patches | grep -vc -e -KVM-selftests-)" = "$(numbers | wc -l)" ]
}

git_am_takes_it() {
	own_part "$source" "$work/$line/tree" arch/x86/kvm $tests && in_tree init -q -b stock &&
		in_tree add -f arch/x86/kvm $tests && in_tree commit -q -m stock &&
		in_tree checkout -q -b whole || return 1
	# shellcheck disable=SC2046 # a name per word
	in_tree am -q $(patches) || return 1
	[ "$(in_tree rev-list --count stock..whole)" = "$(patches | wc -l)" ] || return 1
	"$top/scripts/check-hooks" "$top/patches/$line/hooks" "$work/$line/tree/arch/x86/kvm"
}

each_applies_alone() {
	local base patch
	base=$(commits | sed -n 2p)
	for patch in $(patches | tail -n +3); do
		case $patch in *-KVM-selftests-*) continue ;; esac
		at "$base" && in_tree am -q "$patch" &&
			"$top/scripts/check-hooks" "$top/patches/$line/hooks" \
				"$work/$line/tree/arch/x86/kvm" some || return 1
	done
}

# FILE_PATH_CHANGES: no entry of MAINTAINERS is ours to write.
# UNKNOWN_COMMIT_ID: the source has no history.
checkpatch_is_clean() {
	local patch
	for patch in $(patches); do
		(cd "$source" && perl scripts/checkpatch.pl --strict --terse --no-summary --show-types \
			--max-line-length=100 --ignore "FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID,$x_macros,$(
			case $patch in *-KVM-selftests-*) echo $user_space ;; esac)" "$patch")
	done > "$work/$line/checkpatch"
	! grep . "$work/$line/checkpatch"
}

kbuild() {
	nice make -C "$work/$line/tree" O="$work/$line/out" ARCH=x86_64 LOCALVERSION= \
		KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab \
		-s -j"$(nproc)" "$@"
}

builds() { # COMMIT
	local goals=(arch/x86/kvm/kvm.ko arch/x86/kvm/kvm-intel.ko) harmless='^$'
	[ ! -e "$kernel/modules/irqbypass.ko" ] || goals+=(virt/lib/irqbypass.ko)
	if [ -n "$short" ]; then
		goals=(arch/x86/kvm/kvm-intel.ko KBUILD_MODPOST_WARN=1)
		# Symbols of kvm.ko; without others loading fails.
		harmless='modpost:.*(undefined!|suppressed .* unresolved symbol)'
	fi
	[ -d "$work/$line/out" ] || cp -a "$(realpath "$kernel/build")" "$work/$line/out" || return 1
	rm -f "$work/$line/out/arch/x86/kvm/kvm-intel.ko"
	at "$1" && kbuild "${goals[@]}" > "$work/$line/log" 2>&1 || { tail -n 20 "$work/$line/log"; return 1; }
	! grep -Ev "$harmless" "$work/$line/log" | grep -iE 'warning:' &&
		[ -e "$work/$line/out/arch/x86/kvm/kvm-intel.ko" ]
}

in_machine() {
	"$top/selftests/lab/run" --kernel "mini@$line" --time-limit 600 --module msr \
		--kvm-intel "$work/$line/out/arch/x86/kvm/kvm-intel.ko" "$@"
}

# boots NUMBER - with the patches up to that one, and costs what patches/LINE/effect says, but 1%;
# 3% where it says another compiler than this computer's
boots() {
	local effect=$top/patches/$line/effect margin=0.01 made_by
	made_by=$(sed -n 's/^# another compiler than \(gcc-[0-9]*\)\.$/\1/p' "$effect" 2> /dev/null)
	[ "${made_by:-gcc-$(gcc -dumpversion | cut -d. -f1)}" = "gcc-$(gcc -dumpversion | cut -d. -f1)" ] || margin=0.03
	: > "$work/$line/boot"
	in_machine --file "$programs/state_test" --file "$programs/exit_bench" \
		-- sh -c '/state_test && /exit_bench nested cpuid_rewrite_host zoo_kvm' > "$work/$line/boot" ||
		{ cat "$work/$line/boot"; return 1; }
	[ ! -e "$effect" ] || awk -v number="$1" -v margin="$margin" '
		FILENAME == ARGV[1] { if ($1 == number) { said[1] = $2; said[2] = $3 }; next }
		$1 == "row" && ++n && ($NF > said[n] * (1 + margin) || $NF < said[n] * (1 - margin)) {
			print $2 ": " $NF " instructions, " ARGV[1] " says " said[n]
			bad = 1
		}
		END { exit bad || n != 2 }' "$effect" "$work/$line/boot"
}

kselftests_build() {
	local programs
	at whole && kbuild headers || return 1
	mapfile -t programs < <(cd "$work/$line/tree/$tests" &&
		sed -nE "s,^TEST_GEN_PROGS\w* \+= (x86(_64)?/fast/.*),$PWD/\1,p" Makefile Makefile.kvm 2> /dev/null)
	[ "${#programs[@]}" -ge "$(patches | grep -c -e -KVM-selftests-)" ] || return 1
	make -C "$work/$line/tree/$tests" -j"$(nproc)" KHDR_INCLUDES="-isystem $work/$line/out/usr/include" \
		LDFLAGS="-pthread -no-pie -static" "${programs[@]}" > "$work/$line/log" 2>&1 ||
		{ grep -E 'error|\*\*\*' "$work/$line/log"; return 1; }
	! grep 'warning:' "$work/$line/log" && ls "${programs[@]}" > /dev/null
}

a_kselftest_passes() {
	local program
	program=$(echo "$work/$line/tree/$tests"/x86*/fast/switch/switch_test)
	in_machine --cpus 2 -- "$program"
}

programs=$("$top/selftests/kvm/build") || exit 1
first=$(head -n 1 <<< "$all")
for line in ${*:-$all}; do
	if ! source=$("$top/selftests/lab/kernel" "source@$line"); then
		[ $# = 0 ] || exit 1
		result 0 "$line # SKIP its source is not to be had"
		continue
	fi
	mkdir "$work/$line"
	check "$line: the series is written, the same twice" is_written
	check "$line: git am takes it" git_am_takes_it
	check "$line: each patch applies to 0001 and 0002 alone" each_applies_alone
	[ -z "$short" ] || [ "$line" = "$first" ] || continue
	check "$line: checkpatch --strict" checkpatch_is_clean
	kernel=$("$top/selftests/lab/kernel" "mini@$line") || exit 1
	todo=$(paste <(numbers) <(commits))
	[ -z "$short" ] || todo=$(tail -n 1 <<< "$todo")
	while read -r number commit; do
		check "$line: the patches up to $number build" builds "$commit"
		check "$line: they boot, run L2 and cost what they did" boots "$number"
		awk -v number="$number" '$1 == "row" { line = line " " $NF } END { print "# effect", number line }' \
			"$work/$line/boot"
	done <<< "$todo"
	check "$line: the kselftests build with the tree's Makefile" kselftests_build
	check "$line: one of them passes" a_kselftest_passes
	[ -n "$short" ] || progress "$line is done"
	rm -rf "${work:?}/$line"
done
finish
