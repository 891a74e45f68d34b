#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bare_test.sh [SUITE [package|autopkgtest]] - do the README's commands work on a computer that has apt, make and git, and
# nothing else?
#
# Makes such a root of SUITE (default: this computer's own) with mmdebstrap, from the archive
# that this computer uses, puts the project there and runs the README's first command (QUICK=1)
# in it; of another suite than its own also the second, for two groups, and the operator's.  Our
# cache is lent to it, at its own path; all else has to come by itself.  With "package", the root has
# apt alone, and the package of the tools in the place of the project: kvm-lab runs from it.  With
# "autopkgtest" the tests of debian/tests run in such a root, as Debian runs them.  Takes the right to
# mount: without, the test is skipped, but where CI is set it fails.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/tap.sh"

arguments 0 2 "$@"
own=$(. /etc/os-release && echo "$VERSION_CODENAME")
suite=${1:-$own}
case $suite in *[!a-z]*) wrong_call "'$suite' is no name of a suite" ;; esac
case ${2:-package} in package|autopkgtest) ;; *) wrong_call "there is no '$2'" ;; esac
"$top/selftests/setup" test || exit 1
cache=$(cache_folder)
cache=$(realpath "$cache") || exit 1
work=$(mktemp -d) || exit 1
root=$work/root
# Ends with all mounts, whatever happens: they are in a mount namespace of their own.
trap 'rm -rf --one-file-system "$work"' EXIT

if ! unshare --mount true 2> /dev/null; then
	if [ -n "${CI:-}" ]; then
		check "a root can be made: this needs root, and the right to mount" false
	else
		result 0 "a bare computer # SKIP a root cannot be made: this needs root, and the right to mount"
	fi
	finish
	exit
fi

make_root() {
	suite_sources "$suite" > "$work/sources.list" &&
		mmdebstrap --quiet --variant=apt ${1:+--include=$1} "$suite" "$root" "$work/sources.list" &&
		! ls "$root"/usr/bin/{python3,gcc,patch,xz} 2> /dev/null
}

folder=project
# in_root COMMAND - a shell command, in the root, in that folder
in_root() {
	unshare --mount bash -euc '
		root=$1 cache=$2 command=$3 folder=$4
		for name in proc dev sys; do mount --rbind "/$name" "$root/$name"; done
		mkdir -p "$root$cache"
		mount --bind "$cache" "$root$cache"
		cp /etc/resolv.conf /etc/hosts "$root/etc/"
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
			http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" \
			KVM_INTEL_FAST_CACHE="$cache" bash -c "cd /root/$folder && $command"' - "$root" "$cache" "$1" "$folder"
}

first_command() {
	mkdir -p "$root/root/project"
	copy_project "$root/root/project"
	in_root 'make bench QUICK=1' > "$work/bench.txt" || return 1
	cat "$work/bench.txt"
	grep -q 'L2 CPUID' "$work/bench.txt" && ls "$root"/root/project/build/bench/*-fast.json
}

second_command() {
	in_root 'make test ONLY="kunit load"' > "$work/test.txt" || { cat "$work/test.txt"; return 1; }
	tail -n 1 "$work/test.txt" | grep -E '^[1-9][0-9]* passed, 0 failed'
}

# With the newest headers of the suite, for want of a running kernel's
operators_command() {
	rm -rf "$root/root/project/build"
	in_root 'apt-get install -qq gcc make patch xz-utils python3 linux-headers-amd64 && make' &&
		ls "$root"/root/project/build/*/kvm-intel-fast.ko
}

installed_nothing_of_a_kernel() {
	! in_root "dpkg-query -W -f '\${Package}\n'" | grep -E '^linux-(image|headers|source|kbuild)'
}

# All files of the package, and all packages of the root
installed() {
	in_root 'dpkg-query -W; cd /usr/share/kvm-intel-fast && find . -type f | sort | xargs sha256sum'
}

package_installs() {
	"$top/scripts/deb" "$root/root" > /dev/null &&
		in_root 'apt-get update -qq && apt-get install -qq ./kvm-intel-fast-tools_*.deb' > "$work/apt.txt" 2>&1 || return 1
	installed > "$work/before"
}

package_measures() {
	in_root 'kvm-lab bench --quick' > "$work/bench.txt" 2> "$work/err.txt" || { tail "$work/err.txt"; return 1; }
	grep -q 'L2 CPUID' "$work/bench.txt" && ls "$cache"/output/bench/*-fast.json &&
		ls "$cache"/output/*/kvm-intel-fast.ko
}

# In a work tree of the repository that ab_test and bisect_test use
package_compares() {
	local repository status=0
	repository=$(cd "$top" && python3 -c 'from selftests.host import kernel_repository
with kernel_repository.opened() as (repository, _): print(repository.directory)') || return 1
	in_root "set -e; git -C $repository worktree prune; git -C $repository worktree add -f -q --detach /root/linux base
		cd linux; trap 'git -C $repository worktree remove --force /root/linux' EXIT
		sed -i 's/^\tif (!nested_vmx_check_permission(vcpu))\$/\tfor (volatile int lab = 0; lab < 50; lab++);\n&/' arch/x86/kvm/vmx/nested.c
		kvm-lab ab --row cpuid HEAD" > "$work/ab.txt" 2>&1 || status=$?
	[ $status = 1 ] && grep -q '^DEARER: l0_instructions' "$work/ab.txt" &&
		grep -q '^| nested_vmx_run ' "$work/ab.txt" || { tail -n 20 "$work/ab.txt"; return 1; }
}

package_makes_kit() {
	in_root 'kvm-lab kit && ! kvm-intel-fast check' > "$work/kit.txt" 2>&1 &&
		ls "$cache"/output/kit/{list,exit_bench,vmx_costs/Kbuild}
}

nothing_is_changed() { diff "$work/before" <(installed); }

# The module is built if the archive has the source of the headers, which come just before it.
debian_tests() {
	mkdir -p "$root/root/project"
	copy_project "$root/root/project"
	"$top/scripts/deb" "$root/root/debs" > /dev/null || return 1
	in_root 'apt-get update -qq && apt-get install -qq autopkgtest > /dev/null && autopkgtest --no-built-binaries ../debs/*.deb . -- null' \
		> "$work/autopkgtest.txt" 2>&1
	grep -A9 'autopkgtest.* summary$' "$work/autopkgtest.txt" | tee "$work/summary.txt"
	[ "$(grep -cE '^(builds|tools) +(PASS|SKIP)' "$work/summary.txt")" = 2 ] && grep -E '^tools +PASS' "$work/summary.txt" ||
		{ tail -n 40 "$work/autopkgtest.txt"; return 1; }
}

if [ "${2:-}" = autopkgtest ]; then
	check "a root with apt" make_root
	check "the tests of debian/tests" debian_tests
	finish
	exit
fi
if [ -n "${2:-}" ]; then
	folder=.
	check "a root with apt" make_root
	check "the package of the tools installs" package_installs
	check "kvm-lab bench --quick, in the user's cache" package_measures
	check "kvm-lab ab, on a tree" package_compares
	check "kvm-lab kit" package_makes_kit
	check "no package was missing, and below /usr all is as it was" nothing_is_changed
	finish
	exit
fi
check "a root with apt, make and git" make_root make,git
check "make bench QUICK=1 needs nothing else" first_command
[ "$suite" = "$own" ] || check "make test of two groups needs nothing else" second_command
check "nothing of a kernel is installed" installed_nothing_of_a_kernel
[ "$suite" = "$own" ] || check "make builds for this release's headers" operators_command
finish
