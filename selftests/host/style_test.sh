#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# style_test.sh [KDIR] - checkpatch --strict and sparse are clean on our kernel
# code; imports go one way; every file names its licence; pages fit the code and the tests
#
# KDIR is the build folder of a kernel (default: of the lab's Debian kernel).
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/tap.sh"
. "$here/checkpatch.sh"
arguments 0 1 "$@"
kdir=${1:-}
[ -z "$kdir" ] || [ -f "$kdir/include/generated/utsrelease.h" ] ||
	wrong_call "there are no kernel headers in '$kdir'"
"$top/selftests/setup" || exit 1
[ -n "$kdir" ] || kdir=$("$top/selftests/lab/kernel" debian)/build || exit 1

cd "$top" || exit 1
source=$(selftests/lab/kernel mini)/source || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# checkpatch TYPES FILE... - TYPES are left out, besides what X-macro lists trip
checkpatch() {
	local types=$1
	shift
	perl "$source/scripts/checkpatch.pl" --strict --no-tree --terse --no-summary --file \
		--ignore "$x_macros,$types" \
		--max-line-length=100 "$@"
}

sparse_is_clean() {
	local release out
	release=$(sed -n 's/.* UTS_RELEASE "\(.*\)"/\1/p' "$kdir/include/generated/utsrelease.h")
	make -s KDIR="$kdir" KSRC="$(dirname "$kdir")/source" ALLOW_UNREVIEWED=1 || return 1
	out=$(make -C "$kdir" M="$top/build/$release" C=2 modules 2>&1)
	grep -q CHECK <<< "$out" || { echo "sparse did not run"; return 1; }
	! grep -E "build/$release/(vmx|nested)/.*(warning|error):" <<< "$out"
}

# The modules that the machines' kernels load beside ours.
others="selftests/guest/field_walk_l1.c $(echo selftests/lab/rules/*.[ch])"

others_are_clean() {
	local out
	cp $others "$work" || return 1
	# As in lab/rules/Kbuild: a VM exit arrives in the middle of a function.
	printf '%s\n' "obj-m := field_walk_l1.o vmx_rules.o vmx_costs.o" \
		"OBJECT_FILES_NON_STANDARD_vmx_rules.o := y" \
		"OBJECT_FILES_NON_STANDARD_vmx_costs.o := y" > "$work/Kbuild"
	out=$(make -C "$kdir" M="$work" C=2 modules 2>&1) || { echo "$out"; return 1; }
	grep -q CHECK <<< "$out" || { echo "sparse did not run"; return 1; }
	! grep -E "$work/.*(warning|error):" <<< "$out"
}

licensed() {
	local bad
	bad=$(git ls-files --cached --others --exclude-standard | grep -vE '^COPYING$|^debian/(changelog|source/format)$|\.patch$' |
		while read -r file; do
			head -n 3 "$file" | grep -q SPDX-License-Identifier || echo "$file"
		done)
	[ -z "$bad" ] || { echo "$bad"; return 1; }
}

# The machine knows nothing of the bench, scripts/ nothing of the lab; and a command has one line
# by which it finds the rest.
imports_go_one_way() {
	! grep -nE '^ *(from|import) .*(bench|selftests|project|\.\.)' selftests/lab/machine/*.py &&
		! grep -nE '^ *(from|import) .*selftests' scripts/*.py scripts/resolve scripts/review &&
		! git grep -n 'sys\.path' -- '*.py' &&
		! git grep -n 'sys\.path' -- scripts selftests |
			grep -vE "sys\.path\.insert\(0, str\(pathlib\.Path\(__file__\)\.resolve\(\)\.parents\[[123]\]\)\)|style_test\.sh"
}

shopt -s nullglob
check "checkpatch --strict: the module" checkpatch FILE_PATH_CHANGES vmx/*.[ch] nested/*.[ch]
check "checkpatch --strict: the modules of the machines" checkpatch FILE_PATH_CHANGES $others
check "checkpatch --strict: the selftests" checkpatch $user_space \
	selftests/{lib,module,module/*,exit_bench,differential,workloads}/*.[ch] selftests/lab/machine/guest/*.c
check "sparse: the module" sparse_is_clean
check "sparse: the modules of the machines" others_are_clean
check "imports go one way" imports_go_one_way
check "every file names its licence" licensed
check "operating.md names every parameter, counter and warning" selftests/host/operating_page
check "each line of a table \"how we know\" has a mutant" selftests/mutants/inputs
check "the page of what the tests reach has all groups and names" selftests/reach --check
check "README has the table of Documentation/kernels.md" selftests/matrix --check
finish
