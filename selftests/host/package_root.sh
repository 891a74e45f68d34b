# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by package_test.sh: roots of a suite, and small packages of a kernel to install there.
# Needs lib.sh, $top and $work.

# make_base SUITE - set base to a root of SUITE with what the package depends on, kept in the cache
make_base() {
	local suite=$1 packages=apt,ccache,dkms,gcc,kmod,linux-base,make,mount,pahole,patch,procps,python3,xz-utils sources
	case $suite in
	bookworm) packages+=,linux-compiler-gcc-12-x86,libelf1,libssl3 ;;
	trixie) packages+=,gcc-14,gcc-14-for-host,libelf1t64,libssl3t64 ;;
	*) wrong_call "there is no such test for '$suite'" ;;
	esac
	base=$(cache_folder)/package/$suite-$(echo "$packages" | hash)
	[ ! -d "$base" ] || return 0
	progress "making a root of $suite (500 MB, a minute or more)"
	sources=$("$top/scripts/fetch" "$suite" sources) || return 1
	begin_folder "$base"
	mmdebstrap --quiet --variant=apt --include="$packages" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		"$suite" "$new/root" - <<< "$(grep '^deb ' <<< "$sources")" && publish "$base"
}

# in_root COMMAND [WORD...] - in the root, with the packages at /debs; what it changes is kept in
# $work.  Ends with all that it began, as at a power cut, when it is killed.
in_root() {
	local command=$1
	shift
	mkdir -p "$work/upper" "$work/work" "$work/root"
	unshare --mount --pid --fork --kill-child bash -euc '
		base=$1 work=$2 debs=$3 command=$4 root=$2/root
		shift 4
		mount -t overlay overlay -o "lowerdir=$base/root,upperdir=$work/upper,workdir=$work/work" "$root"
		mount -t proc proc "$root/proc"
		for name in dev sys; do mount --rbind "/$name" "$root/$name"; done
		mkdir -p "$root/debs" "$root/ccache"
		mount --bind "$debs" "$root/debs"
		mount --bind "$base/../ccache" "$root/ccache"
		exec chroot "$root" env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			PATH=/usr/local/sbin:/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin \
			CCACHE_DIR=/ccache bash -c "$command" - "$@"' - \
		"$base" "$work" "$debs" "$command" "$@"
}

# control FOLDER SED - rewrite a package's control file
control() {
	sed -i -e "$2" "$1/DEBIAN/control"
	rm -f "$1/DEBIAN/md5sums"
}

pack() { dpkg-deb --root-owner-group -Zgzip -z1 --build "$1" "$2" > /dev/null && rm -rf "$1"; }

# small_kernel FOLDER IMAGE[,PART...] SOURCE HEADERS... - the packages of a kernel, from those files:
# the image, whose parts 7.x has in packages of their own, without what KVM does not need, and
# linux-source without what we do not need
small_kernel() {
	local out=$1 images=${2//,/ } source=$3 line file parts=
	shift 3
	line=$(basename "$source" | sed 's/linux-source-\([0-9.]*\)_.*/\1/')
	mkdir -p "$out/image/boot" && dpkg-deb -e "${images%% *}" "$out/image/DEBIAN" || return 1
	for file in $images; do
		dpkg-deb --fsys-tarfile "$file" | tar -x -C "$out/image" --wildcards '*/arch/x86/kvm/*' \
			'*/virt/lib/irqbypass*' '*/modules.builtin*' '*/modules.order' './boot/config*' 2> /dev/null
		parts+=", $(dpkg-deb --show --showformat='${Package} (= ${Version})' "$file")"
	done
	file=$(find "$out/image" -name 'kvm.ko*' | grep .) || return 1
	# As the postinst of linux-modules
	[ "$images" = "$2" ] || sed -i 's/^linux-update-symlinks/depmod $version\n&/' "$out/image/DEBIAN/postinst"
	touch "$out/image/boot/vmlinuz-$(sed 's,.*/modules/,,; s,/.*,,' <<< "$file")"
	control "$out/image" "s/^Depends:.*/Depends: kmod, linux-base\nProvides: ${parts#, }/; /^\(Recommends\|Breaks\|Conflicts\)/d"
	pack "$out/image" "$out" && cp "$@" "$out" || return 1
	mkdir -p "$out/source/DEBIAN" "$out/source/usr/src" "$out/tree/linux-source-$line" || return 1
	# shellcheck disable=SC2086 # one word per member
	unpack_source "$source" "$out/tree/linux-source-$line" $stock_members &&
		tar -cJ -C "$out/tree" -f "$out/source/usr/src/linux-source-$line.tar.xz" "linux-source-$line" && rm -rf "$out/tree" || return 1
	printf '%s\n' "Package: linux-source-$line" "Version: $(dpkg-deb -f "$source" Version)" \
		"Architecture: all" "Provides: linux-source" "Maintainer: a test" "Description: a test" \
		> "$out/source/DEBIAN/control"
	pack "$out/source" "$out"
}

# mark MODULE TEXT - a kvm-intel.ko that differs from that of another version
mark() {
	case $1 in
	*.xz) xz -d "$1" && echo "$2" >> "${1%.xz}" && xz --check=crc32 "${1%.xz}" ;;
	*) echo "$2" >> "$1" ;;
	esac
}

# as_version FROM TO OLD NEW - the packages in the folder FROM, with another version, in TO
as_version() {
	local file
	mkdir "$2" || return 1
	for file in "$1"/*.deb; do
		dpkg-deb -R "$file" "$2/package" || return 1
		case $file in
		*/linux-image-*) mark "$(find "$2/package" -name 'kvm-intel.ko*')" "$4" || return 1 ;;
		esac
		control "$2/package" "s/$(sed 's/[.+]/\\&/g' <<< "$3")/$4/g" && pack "$2/package" "$2" || return 1
	done
}

# files_of_line LINE - "VERSION IMAGE[,PART...] SOURCE HEADERS..." of its newest kernel
files_of_line() {
	"$top/scripts/resolve" "$1" | awk 'NR == 1 { version = $1; next } $1 ~ /^linux-image/ { image = $3 image; next }
		$1 ~ /^linux-(base|binary|modules)/ { image = image "," $3; next }
		$1 ~ /^linux-source/ { source = $3; next } { headers = headers " " $3 }
		END { print version, image, source headers }'
}

# other_line SUITE - the line of its backports
other_line() {
	case $1 in bookworm) echo 6.12 ;; *) echo 7.3 ;; esac
}

# kernel_files SUITE - the same of the newest kernel of the suite
kernel_files() {
	local suite=$1 version name image source headers=() release
	if [ "$suite" = bookworm ]; then
		files_of_line 6.1
		return
	fi
	read -r name version _ < <("$top/scripts/fetch" "$suite-security" list '^linux-headers-6.12[^-]*-amd64$' |
		sort -Vk2 | tail -n 1)
	release=${name#linux-headers-}
	image=$("$top/scripts/fetch" "$suite-security" bin "linux-image-$release" "$version") &&
		source=$("$top/scripts/fetch" "$suite-security" bin linux-source-6.12 "$version") || return 1
	for name in "linux-headers-$release" "linux-headers-${release%-amd64}-common" "linux-kbuild-${release%-amd64}"; do
		headers+=("$("$top/scripts/fetch" "$suite-security" bin "$name" "$version")") || return 1
	done
	echo "$version $image $source ${headers[*]}"
}

# unknown_kernel FOLDER - a package of a kernel with headers, of no line that we support
unknown_kernel() {
	local release=5.99.0-1-amd64 root=$1/package
	mkdir -p "$root"/{DEBIAN,usr/lib/modules/$release/kernel/arch/x86/kvm,usr/src/linux-headers-$release/include/generated/uapi/linux} &&
		touch "$root/usr/lib/modules/$release"/{modules.builtin,modules.order,kernel/arch/x86/kvm/kvm{,-intel}.ko} \
			"$root/usr/src/linux-headers-$release"/{Makefile,Module.symvers} &&
		ln -s "/usr/src/linux-headers-$release" "$root/usr/lib/modules/$release/build" &&
		printf '#define LINUX_VERSION_%s\n' 'MAJOR 5' 'PATCHLEVEL 99' 'SUBLEVEL 0' \
			> "$root/usr/src/linux-headers-$release/include/generated/uapi/linux/version.h" &&
		printf '%s\n' "Package: linux-unknown" "Version: 5.99.0-1" "Architecture: all" \
			"Maintainer: a test" "Description: a test" > "$root/DEBIAN/control" && pack "$root" "$1"
}

# make_kernels SUITE - set debs to a folder, kept in the cache, with small packages of one kernel in
# 1/ to 4/, each of a higher version than the one before.  The source of 4 is not as reviewed.  In
# other/ is a kernel of another line, in unknown/ one that we do not support.
make_kernels() {
	local suite=$1 files other count
	mkdir -p "$(cache_folder)/package/ccache"
	files=$(kernel_files "$suite") && other=$(files_of_line "$(other_line "$suite")") || return 1
	# shellcheck disable=SC2086 # words
	set -- $files
	debs=$(cache_folder)/package/kernels-$(cat "$top/selftests/host/package_root.sh" <(echo "$files $other") | hash)
	[ ! -d "$debs" ] || return 0
	progress "making small packages of kernel $1"
	begin_folder "$debs"
	mkdir "$new/small" && small_kernel "$new/small" "${@:2}" || return 1
	for count in 1 2 3 4; do
		as_version "$new/small" "$new/$count" "$1" "$1+t$count" || return 1
	done
	rm -r "$new/small"
	mkdir "$new/other" "$new/unknown" && unknown_kernel "$new/unknown" || return 1
	# shellcheck disable=SC2086 # words
	small_kernel "$new/other" ${other#* } || return 1
	# Whose tools the maintainer scripts of 7.x call
	[ "$suite" = bookworm ] || cp "$("$top/scripts/fetch" "$suite-backports" bin linux-base)" "$new/other" || return 1
	spoil_source "$new/4" && publish "$debs"
}

# spoil_source FOLDER - another statement in a function that our skips rest on
spoil_source() {
	local file tarball
	file=$(echo "$1"/linux-source-*.deb)
	dpkg-deb -R "$file" "$1/source" && tarball=$(echo "$1"/source/usr/src/*.tar.xz) && mkdir "$1/tree" &&
		tar -xJ -C "$1/tree" -f "$tarball" &&
		sed -i '/^static int nested_vmx_run(/,/^{/s/^{/{\n\tif (!vcpu)\n\t\treturn 0;/' \
			"$1"/tree/*/arch/x86/kvm/vmx/nested.c &&
		tar -cJ -C "$1/tree" -f "$tarball" "$(ls "$1/tree")" && rm -r "$1/tree" "$file" && pack "$1/source" "$file"
}
