#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# build_test.sh [KERNEL] - the module builds for a kernel of the lab, and what cannot be built
# is refused in a sentence that says what was found and what to do, leaving nothing behind
#
# KERNEL is a directory of selftests/lab/kernel (default: that of Debian's kernel).
# Works in a copy of the project; nothing is loaded, nothing installed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/tap.sh"
. "$here/lab_kernel.sh"

arguments 0 1 "$@"
lab_kernel "$@"
kdir=$kernel/build ksrc=$kernel/source
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
clone=$work/clone
mkdir "$clone"
copy_project "$clone"
cd "$clone" || exit 1
git init -q . && git add -A
release=$(sed -n 's/.* UTS_RELEASE "\(.*\)"/\1/p' "$kdir/include/generated/utsrelease.h")
module=build/$release/kvm-intel-fast.ko
line=$(cut -d. -f1,2 <<< "$release")
variants=patches/$line/variants

spoilt() { # FILE SED-EXPRESSION - a source tree with one file changed
	rm -rf "$work/spoilt"
	cp -r "$ksrc" "$work/spoilt"
	sed -i "$2" "$work/spoilt/$1"
	! cmp -s "$ksrc/$1" "$work/spoilt/$1"
}

# refused WORDS MAKE-ARGUMENTS... - make fails, says WORDS in one error, builds nothing
refused() {
	local words=$1 log
	shift
	rm -rf build
	if log=$(make "$@" 2>&1); then
		echo "make succeeded: $log"
		return 1
	fi
	echo "$log"
	grep -qF -- "$words" <<< "$log" && grep -q '^  expected: ' <<< "$log" &&
		grep -q '^  to do: ' <<< "$log" &&
		[ "$(grep -c '^kvm-intel-fast: error: ' <<< "$log")" = 1 ] &&
		[ -z "$(find build -name '*.ko' -o -name '*.tmp.*' 2>/dev/null)" ]
}

two_makes() {
	make KDIR="$kdir" KSRC="$ksrc" > "$work/one" 2>&1 &
	make KDIR="$kdir" KSRC="$ksrc" > "$work/two" 2>&1 && wait $!
}

# Counted in time of CPUs, two of them: what else the computer does is not ours.
# Two makes, for the check after this one.
builds_in_a_minute() {
	local spent TIMEFORMAT='%U %S'
	spent=$({ time two_makes; } 2>&1) || { cat "$work/one" "$work/two"; return 1; }
	echo "seconds of CPU, user and system: $spent"
	[ -f "$module" ] && awk '{ exit $1 + $2 >= 120 }' <<< "$spent"
}

second_make_does_nothing() {
	local before after
	before=$(stat -c '%y' "$module")
	[ -z "$(make KDIR="$kdir" KSRC="$ksrc" 2>&1)" ] || return 1
	after=$(stat -c '%y' "$module")
	[ "$before" = "$after" ]
}

two_makes_at_once() {
	cat "$work/one" "$work/two"
	[ -f "$module" ] && [ "$(cat "$work/one" "$work/two" | grep -c BUILD)" = 1 ]
}

changed_file_is_rebuilt() {
	touch vmx/debugctl.c
	make KDIR="$kdir" KSRC="$ksrc" 2>&1 | grep -q BUILD
}

named_kvm_intel() {
	[ "$(modinfo -F name "$module")" = kvm_intel ] &&
		modinfo -F version "$module" | grep -q fast &&
		[ "$(modinfo -F vermagic "$module" | cut -d' ' -f1)" = "$release" ]
}

parameters_described() {
	modinfo -F parm "$module"
	[ "$(modinfo -F parm "$module" | wc -l)" -gt 20 ] &&
		! modinfo -F parm "$module" | grep -v ':.*[A-Za-z].* '
}

modversions_match_headers() {
	local count=0 crc symbol
	while read -r crc symbol; do
		grep -q "^$crc	$symbol	" "$kdir/Module.symvers" || { echo "$symbol"; return 1; }
		count=$((count + 1))
	done < <(modprobe --dump-modversions "$module" | grep -w 'kvm_[a-z_]*')
	[ "$count" -gt 50 ]
}

headers_of_another_line() {
	cp -r --parents "$kdir/include/generated/uapi/linux" "$work"
	mkdir -p "$work/headers/include/generated"
	cp -r "$kdir/include/generated/uapi" "$work/headers/include/generated/"
	echo '#define UTS_RELEASE "5.4.0-1-amd64"' > "$work/headers/include/generated/utsrelease.h"
	sed -i 's/\(MAJOR\) .*/\1 5/; s/\(PATCHLEVEL\) .*/\1 4/' \
		"$work/headers/include/generated/uapi/linux/version.h"
	touch "$work/headers/Module.symvers"
	refused "of kernel 5.4." KDIR="$work/headers"
}

source_of_another_version() {
	spoilt Makefile 's/^SUBLEVEL = .*/SUBLEVEL = 1/' &&
		refused "is of kernel $line.1, the headers" KDIR="$kdir" KSRC="$work/spoilt"
}

foreign_kvm_host_h() {
	spoilt include/linux/kvm_host.h 's/u64 debugctl/u64 debugctl/; $a /* other */' &&
		refused "include/linux/kvm_host.h differs" KDIR="$kdir" KSRC="$work/spoilt" &&
		spoilt arch/x86/include/asm/kvm_host.h '$a /* other */' &&
		refused "arch/x86/include/asm/kvm_host.h differs" KDIR="$kdir" KSRC="$work/spoilt"
}

not_as_reviewed() {
	spoilt arch/x86/kvm/vmx/nested.c 's/vmx->nested.last_vpid = 0;/vmx->nested.last_vpid = 1;/' &&
		refused "enter_vmx_operation is not as reviewed" KDIR="$kdir" KSRC="$work/spoilt"
}

patch_that_does_not_apply() {
	spoilt arch/x86/kvm/vmx/vmx.c 's/vmx_reload_guest_debugctl(vcpu);/vmx_reload_debugctl(vcpu);/' &&
		refused "does not apply" KDIR="$kdir" KSRC="$work/spoilt" ALLOW_UNREVIEWED=1
}

# The function that the hook is for is renamed: the patch lands, in the wrong one.
hook_in_the_wrong_function() {
	spoilt arch/x86/kvm/vmx/vmx.c 's/^\(.*fastpath_t\) vmx_vcpu_run(/\1 vmx_vcpu_walk(/' &&
		refused "hooks are not where they belong" KDIR="$kdir" KSRC="$work/spoilt" ALLOW_UNREVIEWED=1
}

hook_twice() {
	spoilt arch/x86/kvm/vmx/vmx.c '$a static void twin(void)\n{\n\tfast_vcpu_created(NULL);\n}' &&
		refused "hooks are not where they belong" KDIR="$kdir" KSRC="$work/spoilt" ALLOW_UNREVIEWED=1
}

# A header that the first file includes, so that this does not take a build.
own_source_does_not_compile() {
	echo '#error broken' >> vmx/state.h
	refused "the module does not compile" KDIR="$kdir" KSRC="$ksrc"
	local status=$?
	cp "$top/vmx/state.h" vmx/state.h
	return $status
}

# Someone who bisects plants one of them in a kernel tree.
each_cost_of_2017_applies_alone() {
	local patch count=0
	for patch in "$variants"/2017/*.patch; do
		rm -rf "$work/spoilt"
		cp -r "$ksrc" "$work/spoilt"
		patch --directory="$work/spoilt/arch/x86" --strip=1 --fuzz=0 --force < "$patch" || return 1
		grep -qx "$(basename "$patch")" "$variants/2017/series" || return 1
		count=$((count + 1))
	done
	[ "$count" -ge 5 ] && [ "$count" = "$(grep -c '^[0-9]' "$variants/2017/series")" ]
}

# What the archive offers, as it is: for the other series, since ours was built from a tree.
source_tree_as_ksrc() {
	rm -rf build
	make KDIR="$kdir" KSRC="$ksrc" SERIES=2017 && [ ! -f "$module" ]
}

# Stock with these patches: none of our parameters, but all of stock's.
variant_2017_builds_without_our_files() {
	local built=build/$release-2017/kvm-intel-2017.ko
	[ "$(modinfo -F name "$built")" = kvm_intel ] &&
		modinfo -F parm "$built" | grep -q '^preemption_timer:' &&
		! modinfo -F parm "$built" | grep '^verify:'
}

kbuild_stops() {
	echo '$(error made up)' >> Kbuild
	refused "made up" KDIR="$kdir" KSRC="$ksrc"
	local status=$?
	cp "$top/Kbuild" Kbuild
	return $status
}

# in_folder NAME WORDS COMMAND... - in a copy of the project of that name COMMAND fails before it
# makes a folder, and says WORDS
in_folder() {
	local folder=$work/$1 words=$2 log
	shift 2
	mkdir "$folder" && git ls-files -z | xargs -0 cp --parents -t "$folder" && cd "$folder" || return 1
	if log=$(KVM_INTEL_FAST_CACHE=${cache:-$work/no-cache} "$@" 2>&1); then
		echo "succeeded: $log"
		return 1
	fi
	echo "$log"
	[ ! -e build ] && [ ! -e "${cache:-$work/no-cache}" ] || return 1
	grep -qF -- "$words" <<< "$log" && grep -q '^  expected: .*without space' <<< "$log" &&
		grep -q '^  to do: ' <<< "$log"
}

kdir_with_a_space() {
	ln -sfn "$kdir" "$work/k dir"
	refused "KDIR is '$work/k dir'" KDIR="$work/k dir" && [ ! -e build ]
}

# each COMMAND of the lab refuses to begin
cache_with_a_space() {
	local cache="$work/a cache" command number=0
	for command in selftests/setup selftests/kvm/build selftests/lab/bochs/build "selftests/lab/kernel mini"; do
		number=$((number + 1))
		# shellcheck disable=SC2086 # a command and its word
		(in_folder plain$number "the cache folder is '$cache'" $command) || return 1
	done
}

# stub NAME: in $work/bin, from standard input
stub() {
	mkdir -p "$work/bin" && cat > "$work/bin/$1" && chmod +x "$work/bin/$1"
}

# An upgrade may run: apt-get finds its lock taken, and then not.
setup_waits_for_apt() {
	local log called=$work/apt-get-called
	stub dpkg-query <<< '#!/bin/sh'
	stub sleep <<< '#!/bin/sh'
	stub apt-get <<- END
		#!/bin/sh
		echo "\$*" >> $called
		[ \$(grep -c "^\$1" $called) -gt 1 ] || { echo "E: Could not get lock x"; exit 100; }
		[ ! -e $called.fails ] || { echo "E: no such package"; exit 100; }
	END
	log=$(PATH=$work/bin:$PATH selftests/setup 2>&1) && cut -d' ' -f1 "$called" &&
		diff <(cut -d' ' -f1 "$called") <(printf '%s\n' update update install install) &&
		grep -q 'WAIT .*another apt-get' <<< "$log" || { echo "$log"; return 1; }
	rm "$called"
	touch "$called.fails"
	! log=$(PATH=$work/bin:$PATH selftests/setup 2>&1) && [ "$(wc -l < "$called")" = 2 ] &&
		grep -q 'no such package' <<< "$log" || { echo "$log"; return 1; }
}

# Nothing of that line is built yet.
kernel_line_by_name() {
	rm -rf build
	make KERNEL=6.12 && compgen -G 'build/6.12.*/kvm-intel-fast.ko'
}

clean_leaves_the_clone() {
	make clean && ! git status --porcelain --ignored | grep -v '^A '
}

check "builds from clean within 60 s" builds_in_a_minute
check "two makes at once build once" two_makes_at_once
check "an unchanged second make does nothing" second_make_does_nothing
check "a changed file is rebuilt" changed_file_is_rebuilt
check "the module is called kvm_intel, its version says fast" named_kvm_intel
check "every parameter has a description" parameters_described
check "modversions are those of the headers" modversions_match_headers
check "missing headers" refused "no kernel headers in '/nowhere'" KDIR=/nowhere
check "an unknown KERNEL" refused "there is no patches/5.4" KERNEL=5.4
check "missing source" refused "no kernel source in '/nowhere'" KDIR="$kdir" KSRC=/nowhere
check "an unsupported kernel line" headers_of_another_line
check "source of another version" source_of_another_version
check "a kvm_host.h of another kernel" foreign_kvm_host_h
check "stock code that is not as reviewed" not_as_reviewed
check "a patch that does not apply" patch_that_does_not_apply
check "a hook in the wrong function" hook_in_the_wrong_function
check "a hook called once too often" hook_twice
check "our source does not compile" own_source_does_not_compile
check "each cost of the variant 2017 applies alone" each_cost_of_2017_applies_alone
check "a source tree serves as KSRC" source_tree_as_ksrc
check "SERIES=2017 builds stock with these patches" variant_2017_builds_without_our_files
check "an unknown SERIES" refused "2017 ticks" KDIR="$kdir" SERIES=nothing
check "what makes kbuild stop is shown" kbuild_stops
check "another apt-get runs: the set-up waits for it" setup_waits_for_apt
check "a project folder with a space" in_folder "a b" "the folder of this project is '$work/a b'" \
	make KDIR="$kdir"
check "a project folder with a colon" in_folder a:b "the folder of this project is '$work/a:b'" \
	make KDIR="$kdir"
check "the tests in a folder with a space" in_folder "a c" "the folder of this project is '$work/a c'" \
	selftests/test --only style
check "KDIR with a space" kdir_with_a_space
check "a cache folder with a space" cache_with_a_space
check "KERNEL= names a kernel line" kernel_line_by_name
check "make clean leaves the clone as it was" clean_leaves_the_clone
finish
