#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# resolve_test.sh [KERNEL] - which kernel is used, for archives in any state?
#
# KERNEL is a directory of selftests/lab/kernel (default: that of Debian's kernel).  Each case makes an archive of tiny
# packages with the names and versions that matter, and a cache of its own.  apt's
# state of this computer is not touched.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/tap.sh"
. "$here/lab_kernel.sh"

arguments 0 1 "$@"
lab_kernel "$@"
release=$(cat "$kernel/release")
line=$(cut -d. -f1,2 <<< "$release")
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
kept=$work/cache/fetch/machine-$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
unset KVM_INTEL_FAST_KERNEL KVM_INTEL_FAST_OFFLINE ALLOW_UNREVIEWED
archive=$work/archive

# tarball NAME [SED-EXPRESSION FILE] - a linux-source tarball of what the build needs of stock
tarball() {
	mkdir -p "$work/trees"
	cp -r "$kernel/source" "$work/trees/linux-source-$line"
	[ $# = 1 ] || sed -i "$2" "$work/trees/linux-source-$line/$3"
	tar -C "$work/trees" -c linux-source-$line | xz -0 > "$work/$1"
	rm -rf "$work/trees"
}
tarball reviewed.tar.xz
tarball changed.tar.xz 's/vmx->nested.last_vpid = 0;/vmx->nested.last_vpid = 1;/' arch/x86/kvm/vmx/nested.c

# package SUITE NAME VERSION [FILE] - put it into a suite of the archive, with FILE as its content
package() {
	local root=$work/root
	mkdir -p "$archive/$1" "$root/DEBIAN" "$root/usr/src"
	printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: test\nDescription: test\n' \
		"$2" "$3" > "$root/DEBIAN/control"
	[ $# = 3 ] || cp "$4" "$root/usr/src/linux-source-$line.tar.xz"
	dpkg-deb -Znone --root-owner-group --build "$root" "$archive/$1/$2_$3_all.deb" > /dev/null
	rm -rf "$root"
}

# kernel_of SUITE VERSION ABI WHAT... - packages of one kernel: image, unsigned, headers, source, changed
kernel_of() {
	local suite=$1 version=$2 abi=$3 what
	shift 3
	for what; do
		case $what in
		image) package "$suite" "linux-image-$line.0-$abi-amd64" "$version" ;;
		unsigned) package "$suite" "linux-image-$line.0-$abi-amd64-unsigned" "$version" ;;
		headers)
			package "$suite" "linux-headers-$line.0-$abi-amd64" "$version"
			package "$suite" "linux-headers-$line.0-$abi-common" "$version" ;;
		kbuild) package "$suite" linux-kbuild-$line "$version" ;;
		source) package "$suite" linux-source-$line "$version" "$work/reviewed.tar.xz" ;;
		changed) package "$suite" linux-source-$line "$version" "$work/changed.tar.xz" ;;
		meta) package "$suite" linux-headers-amd64 "$version" ;;
		esac
	done
}

new_archive() {
	rm -rf "$archive" "$work/cache"
	mkdir -p "$archive"
}

# The archive's index, as it is now; what was read of an earlier one is old.  Suites called
# other-* are not the computer's own.
publish() {
	local suite name
	# Nothing comes from those of the real archive that lines name.
	for name in $(awk '!/^#/ { print $1 }' "$top"/patches/*/suite); do mkdir -p "$archive/other-$name"; done
	KVM_INTEL_FAST_ARCHIVE=
	for suite in "$archive"/*/; do
		(cd "$suite" && dpkg-scanpackages -m . > Packages 2> /dev/null)
		name=$(basename "$suite")
		[ "${name#other-}" = "$name" ] || KVM_INTEL_FAST_ARCHIVE+="${name#other-}: "
		KVM_INTEL_FAST_ARCHIVE+="deb [trusted=yes] file:$suite ./"$'\n'
	done
	export KVM_INTEL_FAST_ARCHIVE KVM_INTEL_FAST_CACHE=$work/cache
	rm -f "$work"/cache/fetch/*/apt/updated
}

# lines_with LINE... - a copy of this project whose patches/ has the lines LINE, each as ours but
# for its name; the kernels of 7.3 are those of the suite "other"
lines_with() {
	local line
	project=$work/project
	rm -rf "$project"
	mkdir "$project"
	cp -r "$top/scripts" "$project/"
	for line; do
		mkdir -p "$project/patches/$line"
		echo > "$project/patches/$line/series"
	done
	[ ! -d "$project/patches/7.3" ] || echo "other compiler" > "$project/patches/7.3/suite"
}

# newer SUITE LINE VERSION RELEASE WHAT... - packages of a kernel of another line
newer() {
	local suite=$1 line=$2 version=$3 release=$4 part
	shift 4
	for part in "image-$release-amd64" "headers-$release-amd64" "headers-$release-common" \
			"kbuild-$release" "$@"; do
		package "$suite" "linux-$part" "$version"
	done
	package "$suite" "linux-source-$line" "$version" "$work/reviewed.tar.xz"
}

# chooses WANTED [WORD] - the copy's resolve takes that version, for a line, a version or by default
chooses() {
	local wanted=$1
	shift
	ALLOW_UNREVIEWED=1 "$project/scripts/resolve" "$@" > "$work/out" 2> "$work/stderr"
	cat "$work/out" "$work/stderr"
	[ "$(head -n 1 "$work/out")" = "$wanted" ]
}

# Of 6.19 on the files of an image are in packages of their own.
seven_three() {
	newer "$1" 7.3 7.3.4-1~bpo13+1 7.3.4+deb13 {base,binary,modules}-7.3.4+deb13-amd64
}

line_of_another_suite() {
	new_archive
	lines_with $line 7.3
	kernel_of bookworm $line.176-1 50 image headers kbuild source
	seven_three other-other
	publish
	chooses 7.3.4-1~bpo13+1 7.3 && [ "$(wc -l < "$work/out")" = 9 ] &&
		ls "$work/cache/fetch/other/bin/linux-modules-7.3.4+deb13-amd64_7.3.4-1~bpo13+1" &&
		[ "$("$project/scripts/resolve" --list 7.3)" = 7.3.4-1~bpo13+1 ] || return 1
	# Now out of the cache, by its version
	rm -rf "$archive"
	chooses 7.3.4-1~bpo13+1 7.3.4-1~bpo13+1 && [ "$(wc -l < "$work/out")" = 9 ]
}

own_suites_come_first() {
	new_archive
	lines_with 7.3
	seven_three backports
	newer other-other 7.3 7.3.5-1~bpo13+1 7.3.5+deb13 {base,binary,modules}-7.3.5+deb13-amd64
	publish
	chooses 7.3.4-1~bpo13+1 7.3 && [ ! -d "$work/cache/fetch/other" ]
}

part_of_the_image_is_missing() {
	new_archive
	lines_with 7.3
	newer other-other 7.3 7.3.4-1~bpo13+1 7.3.4+deb13 {base,binary}-7.3.4+deb13-amd64
	publish
	refuses 'no version of line 7.3 is to be had whole' "$project/scripts/resolve" 7.3
}

# Debian 13, with the name of a line that it has not
default_is_the_first_line_of_own_suites() {
	new_archive
	lines_with 6.1 6.12 7.3
	newer trixie 6.12 6.12.117-1 6.12.117+deb13
	seven_three trixie-backports
	publish
	chooses 6.12.117-1
}

# resolves VERSION [IMAGE] - scripts/resolve chooses it, and says so in one line
resolves() {
	local found said
	publish
	found=$("$top/scripts/resolve" 2> "$work/stderr") || { cat "$work/stderr"; return 1; }
	echo "$found"
	cat "$work/stderr"
	[ "$(head -n 1 <<< "$found")" = "$1" ] || return 1
	[ $# = 1 ] || grep -q "^$2 $1 /" <<< "$found" || return 1
	said=$(grep -c '^kernel: ' "$work/stderr")
	[ "$said" = 1 ] && [ "$(tail -n +2 <<< "$found" | cut -d' ' -f3 | xargs ls | wc -l)" = 5 ]
}

# refuses WORDS COMMAND... - it fails, and says so in the three sentences
refuses() {
	local words=$1 log
	shift
	if log=$("$@" 2>&1); then
		echo "succeeded: $log"
		return 1
	fi
	echo "$log"
	grep -qF -- "$words" <<< "$log" && grep -q '^  expected: ' <<< "$log" &&
		grep -q '^  to do: ' <<< "$log"
}

# What bookworm and its security suite had on 2026-11-28.
as_of_2026_11_28() {
	new_archive
	kernel_of bookworm $line.170-3 49 source
	kernel_of bookworm $line.176-1 50 image unsigned headers kbuild source meta
	kernel_of security $line.187-1 53 image unsigned headers source
	kernel_of security $line.190-1 54 image unsigned headers source
	kernel_of security $line.192-1 55 image unsigned headers source
	kernel_of security $line.192-2 56 image unsigned headers source meta
	kernel_of security $line.192-3 57 unsigned headers kbuild source
	resolves $line.192-3 linux-image-$line.0-57-amd64-unsigned
}

headers_newer_than_source() {
	new_archive
	kernel_of security $line.192-2 56 image headers kbuild source meta
	kernel_of security $line.192-3 57 image headers kbuild meta
	resolves $line.192-2 linux-image-$line.0-56-amd64
}

source_newer_than_headers() {
	new_archive
	kernel_of security $line.192-2 56 image headers kbuild source meta
	kernel_of security $line.192-3 57 source
	resolves $line.192-2
}

image_is_missing() {
	new_archive
	kernel_of security $line.192-2 56 image headers kbuild source
	kernel_of security $line.192-3 57 headers kbuild source
	resolves $line.192-2
}

only_meta_lags() {
	new_archive
	kernel_of security $line.192-2 56 image headers kbuild source meta
	kernel_of security $line.192-3 57 image unsigned headers kbuild source
	resolves $line.192-3 linux-image-$line.0-57-amd64
}

suites_differ() {
	new_archive
	kernel_of bookworm $line.176-1 50 image headers kbuild source meta
	kernel_of security $line.192-3 57 image kbuild
	kernel_of updates $line.192-3 57 headers source
	resolves $line.192-3
}

main_without_security() {
	new_archive
	kernel_of bookworm $line.176-1 50 image headers kbuild source meta
	resolves $line.176-1
}

# Version numbers are Debian's, not strings.
tenth_upload() {
	new_archive
	kernel_of security $line.99-1 40 image headers kbuild source
	kernel_of security $line.100-9 41 image headers kbuild source
	kernel_of security $line.100-10~deb12u1 42 image headers kbuild source
	resolves $line.100-10~deb12u1
}

newer_is_not_reviewed() {
	new_archive
	kernel_of security $line.192-2 56 image headers kbuild source
	kernel_of security $line.193-1 58 image headers kbuild changed
	resolves $line.192-2 && grep -q "$line.193-1 is newer: .*enter_vmx_operation" "$work/stderr"
}

none_is_reviewed() {
	new_archive
	kernel_of security $line.193-1 58 image headers kbuild changed
	resolves $line.193-1 && grep -q 'warning: .*verify=1.*enter_vmx_operation' "$work/stderr"
}

nothing_is_whole() {
	new_archive
	kernel_of security $line.192-3 57 image kbuild source
	publish
	refuses "no version of line $line is to be had whole" "$top/scripts/resolve"
}

a_version_by_name() {
	new_archive
	kernel_of security $line.192-2 56 image headers kbuild source
	kernel_of security $line.192-3 57 image headers kbuild source
	publish
	[ "$("$top/scripts/resolve" $line.192-2 | head -n 1)" = $line.192-2 ] &&
		[ "$(KVM_INTEL_FAST_KERNEL=$line.192-2 "$top/scripts/resolve" | head -n 1)" = $line.192-2 ] &&
		refuses "one of: $line.192-3 $line.192-2" "$top/scripts/resolve" $line.171-1
}

# After the cases above: what was fetched serves without an archive.
without_the_network() {
	only_meta_lags > /dev/null || return 1
	rm -rf "$archive"
	rm -f "$kept/apt/updated"
	"$top/scripts/resolve" > "$work/out" 2> "$work/stderr" || { cat "$work/stderr"; return 1; }
	cat "$work/out"
	[ "$(head -n 1 "$work/out")" = $line.192-3 ] || return 1
	rm -rf "$work/cache"
	refuses 'is to be had whole' "$top/scripts/resolve"
}

# A newer one that is in the index alone is passed over.
newer_is_not_cached() {
	main_without_security > /dev/null || return 1
	kernel_of security $line.192-3 57 image headers kbuild source
	publish
	"$top/scripts/fetch" - list '^linux-' > /dev/null || return 1
	rm -rf "$archive"
	KVM_INTEL_FAST_OFFLINE=1 "$top/scripts/resolve" > "$work/out" 2> "$work/stderr"
	cat "$work/out" "$work/stderr"
	[ "$(head -n 1 "$work/out")" = $line.176-1 ]
}

half_a_download() {
	only_meta_lags > /dev/null || return 1
	mkdir "$kept/bin/.new.half"
	echo half > "$kept/bin/.new.half/linux-source-${line}_$line.192-3_all.deb"
	rm -r "$kept/bin/linux-source-${line}_$line.192-3"
	resolves $line.192-3 && [ ! -e "$kept/bin/.new.half" ]
}

# No file can grow past a few kB, as if the disk were full.
full_disk() {
	new_archive
	kernel_of security $line.192-3 57 image headers kbuild source
	publish
	"$top/scripts/fetch" - list '^linux-' > /dev/null || return 1
	(ulimit -f 100; trap '' XFSZ; refuses "linux-source-$line $line.192-3 could not be fetched" "$top/scripts/resolve") || return 1
	resolves $line.192-3
}

# deb822 sources and one-line ones, whose index apt has read or has not.  Of another release the
# security suite comes from the security archive.
apt_is_configured_in_any_way() {
	local state=$work/state suite sum packages label=Debian at=$archive
	new_archive
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/parts"
	for suite in bookworm bookworm-security; do
		[ $suite = bookworm ] || label=Debian-Security at=$archive/security
		mkdir -p "$at/dists/$suite/main/binary-amd64"
		packages=$at/dists/$suite/main/binary-amd64/Packages
		printf 'Package: p\nVersion: 1\nArchitecture: amd64\nFilename: p.deb\nSize: 1\n' > "$packages"
		sum=$(sha256sum < "$packages" | cut -d' ' -f1)
		printf '%s\n' "Origin: Debian" "Label: $label" "Suite: $suite" "Codename: $suite" \
			"Date: $(date -Ru)" "Architectures: amd64" "Components: main" "SHA256:" \
			" $sum $(stat -c %s "$packages") main/binary-amd64/Packages" > "$at/dists/$suite/Release"
	done
	printf '%s\n' "Types: deb" "URIs: file:$archive" "Suites: bookworm" "Components: main" \
		"Trusted: yes" > "$state/parts/debian.sources"
	echo "deb [trusted=yes] file:$at bookworm-security main" > "$state/parts/security.list"
	echo "deb [trusted=yes] file:/nowhere other main" > "$state/parts/other.list"
	printf '%s\n' "Dir::Etc::sourcelist \"/dev/null\";" "Dir::Etc::sourceparts \"$state/parts\";" \
		"Dir::State::lists \"$state/lists\";" "Dir::Cache \"$state/cache\";" \
		"APT::Architecture \"amd64\";" "APT::Sandbox::User \"root\";" > "$state/apt.conf"
	for _ in unread read; do
		rm -rf "$work/cache"
		env -u KVM_INTEL_FAST_ARCHIVE APT_CONFIG="$state/apt.conf" KVM_INTEL_FAST_CACHE="$work/cache" \
			bash -c "$top/scripts/fetch - sources && $top/scripts/fetch trixie-security sources" \
			> "$work/out" || return 1
		cat "$work/out"
		grep -q "^deb .* file:$at/* trixie-security main" "$work/out" || return 1
		[ "$(grep -c '^deb .*bookworm' "$work/out")" = 2 ] && [ "$(wc -l < "$work/out")" = 4 ] || return 1
		APT_CONFIG=$state/apt.conf apt-get update -q > /dev/null 2>&1 || true	# /nowhere
	done
}

# prepare_as SOURCE-VERSION HEADERS-VERSION ARGUMENTS... - prepare, where dpkg says that
# linux-source and the headers are installed in these versions
prepare_as() {
	mkdir -p "$work/bin"
	cat > "$work/bin/dpkg-query" <<SHIM
#!/bin/sh
case "\$*" in
-S*) echo "linux-headers-$release: file" ;;
*linux-source-*) echo "installed $1" ;;
*linux-headers-*) echo "installed $2" ;;
esac
SHIM
	chmod +x "$work/bin/dpkg-query"
	shift 2
	rm -rf "$work/kvm"
	PATH=$work/bin:$PATH "$top/scripts/prepare" "$kernel/build" "$@" "$work/kvm"
}

# Neither is installed or changed: the right source comes from the archive.
make_fetches_the_headers_source() {
	new_archive
	kernel_of security $line.192-2 56 source
	kernel_of security $line.192-3 57 source
	publish
	prepare_as $line.192-3 $line.192-2 '' && [ -f "$work/kvm/vmx/nested.c" ] &&
		ls "$kept/bin/linux-source-${line}_$line.192-2"
}

source_has_left_the_archive() {
	new_archive
	kernel_of security $line.192-3 57 source
	publish
	refuses "linux-source-$line $line.192-2, the source of these headers, has left the archive" \
		prepare_as $line.192-3 $line.192-2 ''
}

# And the command that the error names helps in this very state.
archive_is_not_reachable() {
	local log deb=linux-source-${line}_$line.192-2_all.deb
	new_archive
	kernel_of elsewhere $line.192-2 56 source
	mv "$archive/elsewhere" "$work/elsewhere"
	mkdir "$archive/security"
	publish
	rm -rf "$archive"
	refuses "apt-get download linux-source-$line=$line.192-2; then here: make KSRC=$deb" \
		prepare_as $line.192-3 $line.192-2 '' || return 1
	prepare_as $line.192-3 $line.192-2 "$work/elsewhere/$deb" && [ -f "$work/kvm/vmx/nested.c" ]
}

unreviewed_source() {
	new_archive
	kernel_of security $line.193-1 58 changed
	publish
	refuses 'enter_vmx_operation is not as reviewed' prepare_as $line.192-3 $line.193-1 '' || return 1
	ALLOW_UNREVIEWED=1 prepare_as $line.192-3 $line.193-1 '' && grep -q FAST_UNREVIEWED "$work/kvm/objects.mk"
}

check "the archive of 2026-11-28" as_of_2026_11_28
check "headers are newer than source" headers_newer_than_source
check "source is newer than headers" source_newer_than_headers
check "the image is not there yet" image_is_missing
check "only the meta package lags" only_meta_lags
check "two suites differ" suites_differ
check "the main archive without security" main_without_security
check "the tenth upload" tenth_upload
check "a newer one is not reviewed" newer_is_not_reviewed
check "none is reviewed" none_is_reviewed
check "no version is whole" nothing_is_whole
check "a version by its name" a_version_by_name
check "the archive is away, all is in the cache" without_the_network
check "the archive is away, a newer version is in its index" newer_is_not_cached
check "a line of another suite" line_of_another_suite
check "the computer's own suites come first" own_suites_come_first
check "a part of the image is missing" part_of_the_image_is_missing
check "the default line is the first of the computer's own suites" default_is_the_first_line_of_own_suites
check "half a download" half_a_download
check "a full disk" full_disk
check "apt's sources in both formats, read or not" apt_is_configured_in_any_way
check "make: the source of the headers' version comes from the archive" make_fetches_the_headers_source
check "make: that version has left the archive" source_has_left_the_archive
check "make: the archive is not reachable, and the advice helps" archive_is_not_reachable
check "make: source that nobody reviewed" unreviewed_source
finish
