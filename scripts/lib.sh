# SPDX-License-Identifier: GPL-2.0
# Sourced by the project's bash scripts: how they speak and fail.

# die FOUND EXPECTED REMEDY - one sentence each, on standard error; exit 1
die() {
	printf 'kvm-intel-fast: error: %s\n  expected: %s\n  to do: %s\n' "$1" "$2" "$3" >&2
	exit 1
}

say() {
	printf '  %-8s%s\n' "$1" "$2" >&2
}

# package_version PACKAGE - its Debian version if it is installed, else nothing
package_version() {
	dpkg-query -W -f='${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
		sed -n 's/^installed //p'
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
