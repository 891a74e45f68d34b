# SPDX-License-Identifier: GPL-2.0
# Sourced by the project's bash scripts: how they speak and fail.

# die FOUND [EXPECTED REMEDY] - one sentence each, on standard error; exit 1
die() {
	printf 'kvm-intel-fast: error: %s\n' "$1" >&2
	[ $# = 1 ] || printf '  expected: %s\n  to do: %s\n' "$2" "$3" >&2
	exit 1
}

# wrong_call FOUND - the command was called in a way that it does not know; exit 2
wrong_call() {
	printf '%s: error: %s\n  expected: %s\n  to do: correct it; %s --help lists what there is\n' \
		"$0" "$1" "$(opening | sed -n '1{s/ - .*//p;q}')" "$0" >&2
	exit 2
}

# The comment that a command begins with: "NAME WORDS - what it does", then more.
opening() {
	awk 'NR < 3 { next } !/^#/ { exit } { sub(/^# ?/, "") } $0 != "" || seen { seen = 1; print }' "$0"
}

# arguments LEAST MOST WORD... - before a command does anything: answer --help, refuse any other
# option, and fewer or more words than it takes
arguments() {
	local least=$1 most=$2 word
	shift 2
	for word; do
		case $word in
		-h|--help) echo "usage: $(opening)"; exit 0 ;;
		-?*) wrong_call "there is no option '$word'" ;;
		esac
	done
	[ $# -ge "$least" ] || wrong_call "too few words: '$*'"
	[ $# -le "$most" ] || wrong_call "too many words: '$*'"
}

# plain_path WHAT PATH REMEDY - die when make and kbuild would take PATH for two names
plain_path() {
	case $2 in
	*[[:space:]:]*) die "$1 is '$2'" "a path without space and colon: kbuild takes them for the end of a name" "$3" ;;
	esac
}

# plain_project - the same of the folder that this project lies in
plain_project() {
	local top
	top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd && pwd -P)
	plain_path "the folder of this project" "$(tail -n 1 <<< "$top")" "move it"
	plain_path "the folder of this project" "$(head -n 1 <<< "$top")" "call it by its other name"
}

# needs_python - die where it is missing; what chooses a kernel and compares its code is Python
needs_python() {
	command -v python3 > /dev/null ||
		die "python3 is missing" "python3, which compares the stock code with what was reviewed" \
		    "apt-get install python3"
}

# copy_project FOLDER - this project's files, as git knows them and would take them, into FOLDER
copy_project() {
	(cd "$(dirname "${BASH_SOURCE[0]}")/.." &&
		git ls-files -z --cached --others --exclude-standard | xargs -0 cp -p --parents -t "$1")
}

# suite_sources SUITE - lines of sources.list: the archives that this computer uses, for SUITE
suite_sources() {
	local own
	own=$(. /etc/os-release && echo "$VERSION_CODENAME")
	"$(dirname "${BASH_SOURCE[0]}")/fetch" - sources | sed "s/ $own\([ -]\)/ $1\1/"
}

# Where what is expensive is kept.
cache_folder() { echo "${KVM_INTEL_FAST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvm-intel-fast}"; }

# plain_cache - and of the one where kernels are built
plain_cache() {
	plain_path "the cache folder" "$(cache_folder)" "name another one in KVM_INTEL_FAST_CACHE"
}

# begin_folder FINAL - set new to an empty folder beside FINAL, which goes when the command ends
# before publish()
begin_folder() {
	mkdir -p "$(dirname "$1")"
	new=$(mktemp -d "$(dirname "$1")/.new.XXXXXX")
	trap 'rm -rf "$new"' EXIT
}

# publish FINAL - let that folder appear as FINAL, whole
publish() {
	chmod 755 "$new"
	mv -T "$new" "$1"
	trap - EXIT
}

# Of standard input, for a name in the cache.
hash() { sha256sum | cut -c1-16; }

say() {
	printf '  %-8s%s\n' "$1" "$2" >&2
}

# progress TEXT - what a command that takes long does now, with the seconds since it began
progress() {
	echo "${0##*/}: [${SECONDS}s] $*" >&2
}

# package_version PACKAGE - its Debian version if it is installed, else nothing
package_version() {
	dpkg-query -W -f='${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
		sed -n 's/^installed //p'
}

# header_version KDIR - the version of the kernel that a build folder belongs to, as in 6.1.192
header_version() {
	# Before 5.13 there is but LINUX_VERSION_CODE, whose sublevel ends at 255.
	awk '{ number[$2] = $3 }
	     END { code = number["LINUX_VERSION_CODE"]
		   if (!("LINUX_VERSION_MAJOR" in number))
			   print int(code / 65536) "." int(code / 256) % 256 "." code % 256
		   else
			   print number["LINUX_VERSION_MAJOR"] "." number["LINUX_VERSION_PATCHLEVEL"] "." \
				 number["LINUX_VERSION_SUBLEVEL"] }' \
		"$1/include/generated/uapi/linux/version.h"
}

# kernel_lines - those that we support, a line each, the oldest first: as kernel_lines() of __init__.py
kernel_lines() {
	(cd "$(dirname "${BASH_SOURCE[0]}")/../patches" && for line in [0-9]*.[0-9]*; do
		[ -e "$line/partial" ] || echo "$line"
	done | sort -V)
}

# line_suite LINE FIELD - of patches/LINE/suite, the suite of the kernels (1) or of their compiler
# (2); nothing where the line has no such file
line_suite() {
	local file
	file=$(dirname "${BASH_SOURCE[0]}")/../patches/$1/suite
	[ ! -f "$file" ] || awk -v field="$2" '!/^#/ { print $field }' "$file"
}

# compiler_for KDIR - set in_suite: the words that go before a command of the compiler's, where that of
# the headers KDIR is of a newer release than this computer's
compiler_for() {
	local made_with have version suite
	in_suite=()
	made_with=$(sed -n 's/^CONFIG_GCC_VERSION=//p' "$1/include/config/auto.conf")
	have=$(gcc -dumpversion 2> /dev/null || echo 0)
	version=$(header_version "$1")
	suite=$(line_suite "${version%.*}" 2)
	if [ -n "$suite" ] && [ "${have%%.*}" -lt $((${made_with:-0} / 10000)) ]; then
		in_suite=("$(dirname "${BASH_SOURCE[0]}")/in-suite" "$suite")
		"${in_suite[@]}" true	# its progress is no part of a log
	fi
}

# What the build and scripts/review need of a kernel source tree.
stock_members="Makefile arch/x86/kvm virt/kvm include/linux/kvm_host.h include/linux/kvm_types.h
arch/x86/include/asm/kvm_host.h arch/x86/include/asm/vmx.h"

# unpack_source FILE DIR [MEMBER...] - unpack FILE, a linux-source package or the tarball
# that it holds, into DIR: the members, or all of it
unpack_source() {
	local file=$1 dir=$2 patterns=()
	shift 2
	if [ $# -gt 0 ]; then
		mapfile -t patterns < <(printf '*/%s\n' "$@")
		patterns=(--wildcards --no-wildcards-match-slash "${patterns[@]}")
	fi
	case $file in
	*.deb) dpkg-deb --fsys-tarfile "$file" | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' | xz -dcT0 ;;
	*.xz) xz -dcT0 "$file" ;;
	*) cat "$file" ;;
	esac | tar -x -C "$dir" --strip-components=1 "${patterns[@]}"
}
