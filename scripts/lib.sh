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
