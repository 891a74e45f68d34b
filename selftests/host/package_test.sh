#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# package_test.sh [short|bookworm|trixie] - the life of kvm-intel-fast-dkms, and each failure on the way
#
# In a root of a suite (made by mmdebstrap, kept in the cache), with small packages of its newest
# kernel: the real headers, modules and maintainer scripts, and of linux-source what we need.
# "short" (the default) takes a few of the cases, in Debian 12 with both its own dkms and that of
# Debian 13.  Takes the right to mount: without, it is skipped, but where CI is set it fails.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$top/scripts/lib.sh"
. "$top/selftests/tap.sh"
. "$here/package_root.sh"

arguments 0 1 "$@"
kind=${1:-short}
case $kind in short) suite=bookworm ;; bookworm|trixie) suite=$kind ;; *) wrong_call "there is no '$kind'" ;; esac
"$top/selftests/setup" test || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf --one-file-system "$work"' EXIT
if ! unshare --mount --pid --fork true 2> /dev/null; then
	if [ -n "${CI:-}" ]; then
		check "a root can be made: this needs root, and the right to mount" false
	else
		result 0 "packages # SKIP a root cannot be made: this needs root, and the right to mount"
	fi
	finish
	exit
fi

ours=$work/ours			# the package that is tested, and the same of a later version

packages_build() {
	"$top/scripts/deb" "$ours" && "$top/scripts/deb" "$work/again" &&
		diff -r "$ours" "$work/again" && mv "$ours"/kvm-intel-fast-dkms_*.deb "$ours/dkms.deb"
}

lintian_is_content() {
	lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$ours"/*.deb > "$work/lintian" 2>&1 &&
		! grep '^[EWI]:' "$work/lintian" || { cat "$work/lintian"; return 1; }
}

tools_bring_pages() {
	local page
	for page in man1/kvm-lab.1 man8/kvm-intel-fast.8; do
		dpkg-deb --fsys-tarfile "$ours"/kvm-intel-fast-tools_*.deb | tar -xO "./usr/share/man/$page.gz" |
			zcat | groff -man -ww -Tutf8 -z 2>&1 | { ! grep .; } || return 1
	done
}

later_version() {
	dpkg-deb -R "$ours/dkms.deb" "$work/later" &&
		mv "$work"/later/usr/src/kvm-intel-fast-* "$work/later/usr/src/kvm-intel-fast-99" &&
		sed -i 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION="99"/' "$work/later/usr/src/kvm-intel-fast-99/dkms.conf" &&
		ln -sf ../src/kvm-intel-fast-99/scripts/dkms "$work/later/usr/sbin/kvm-intel-fast-dkms" &&
		control "$work/later" 's/^Version:.*/Version: 99/' && pack "$work/later" "$ours/later.deb"
}

# Programs in the root that note a change of the loaded modules; apt without an archive; and what the
# cases below share.
prepare_root() {
	in_root '
		: > /etc/apt/sources.list
		rm -f /etc/apt/sources.list.d/*
		echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/unsafe-io
		echo "DPkg::Path \"$PATH\";" > /etc/apt/apt.conf.d/path
		for name in modprobe insmod rmmod; do
			printf "#!/bin/sh\necho \"\$0 \$*\" >> /called\n" > /usr/local/sbin/$name
			chmod +x /usr/local/sbin/$name
		done
		cat > /cases <<-"END"
			state=/var/lib/kvm-intel-fast
			release=$(basename "$(ls -d /debs/1/linux-image-*)" | sed "s/linux-image-//; s/_.*//")
			folder=/lib/modules/$release
			# What follows is about that kernel
			of() { release=$1 folder=/lib/modules/$1; }
			other=$(basename "$(ls -d /debs/other/linux-image-*)" | sed "s/linux-image-//; s/_.*//")
			install() { apt-get install -qq -y --allow-downgrades --reinstall "$@" 2>&1; }
			kernel() { ls /debs/$1/*.deb; }
			some() { ls /debs/$1/linux-$2*.deb; }
			in_force() { modinfo -k "$release" -n kvm_intel; }
			# What modprobe would take
			is_fast() { case $(in_force) in */updates/dkms/kvm-intel.ko*) modinfo -k $release -F version kvm_intel | grep -q ^fast ;; *) false ;; esac; }
			# And nothing of ours is left
			is_stock() {
				case $(in_force) in */kernel/arch/x86/kvm/kvm-intel.ko*) ;; *) in_force; return 1 ;; esac
				! ls $folder/updates/dkms/kvm-intel* 2> /dev/null &&
				! ls -d /var/lib/dkms/kvm-intel-fast/original_module/$release 2> /dev/null
			}
			sha_stock() { dpkg-deb --fsys-tarfile $(some $1 image) | tar -xO --wildcards "*/kvm-intel.ko*" | sha256sum; }
			stock_of() { [ "$(sha256sum < $(in_force))" = "$(sha_stock $1)" ]; }
			# One sentence says it: apt, dkms status and our status
			said() {
				cat /log
				[ "$(grep -c "keeps stock" /log)" = 1 ] && grep "keeps stock.*$1.*to do: " /log &&
				dkms status 2>&1 > /dev/null | grep "keeps stock.*$1" &&
				kvm-intel-fast-dkms status | grep "^kernel $release keeps stock.*$1"
			}
			dpkg_is_content() { [ -z "$(dpkg --audit)" ] && dkms autoinstall -k $release > /dev/null; }
			built_for() { [ "$(cut -d" " -f2 $state/installed/$release)" = "$(dpkg-query -W -f="\${Version}" linux-headers-$release)" ]; }
			fast() { is_fast && built_for && dpkg_is_content && dkms status | grep "$release.*: installed" ; }
			stock() { is_stock && dpkg_is_content && [ "$(dkms status | grep -c ": installed")" = 0 ]; }
		END
		! ls /lib/modules 2> /dev/null'
}

# life NAME SCRIPT - a case: a shell script in the root, in which each command has to succeed
life() {
	local name=$1
	check "$name$with" in_root '. /cases; rm -f /called; rm -f /log; trap "cat /log 2> /dev/null || true" EXIT; set -e; '"$2"'; [ ! -e /called ] || { cat /called; false; }'
}

# killed NAME WHEN SCRIPT - the same, but all of the root ends once the command WHEN is true there
killed() {
	check "$1$with" cut_off "$2" "$3"
}

cut_off() {
	in_root '. /cases; ('"$2"') & until '"$1"' > /dev/null || ! kill -0 $!; do sleep 0.05; done; '"$1"' && exit 99'
	[ $? = 99 ]
}

common_cases() {
	life "an installation builds the module, and the next load takes it" '
		install $(kernel 1) /debs/dkms.deb > /log; fast
		ls $state/source/*+t1.tar.xz'
	[ -n "$with" ] || keep_modules installed
	life "a later version takes the place of the first; no module is loaded or removed" '
		install /debs/dkms.deb; fast; install /debs/later.deb; fast
		[ "$(cut -d" " -f1 $state/installed/$release)" = 99 ]; [ "$(dkms status | wc -l)" = 1 ]'
	[ -n "$with" ] || keep_modules later
	life "removal brings stock back, the very file" '
		apt-get remove -qq -y kvm-intel-fast-dkms; stock; stock_of 1; ls $state/source/*+t1.tar.xz'
	[ -n "$with" ] || keep_modules removed
	life "a compiler that fails: stock stays, and a sentence says why" '
		for name in {,x86_64-linux-gnu-}gcc-1{2,4}; do ln -s /bin/false /usr/local/sbin/$name; done
		install /debs/dkms.deb > /log; rm /usr/local/sbin/*gcc-1?; stock; said "does not compile"'
	life "it is built once the compiler is back" 'kvm-intel-fast-dkms update; fast'
	life "a kernel that is not supported beside it: stock there, and a sentence" '
		install /debs/unknown/*.deb > /log; fast; of 5.99.0-1-amd64; depmod $release; is_stock; dpkg_is_content
		said "there is no kvm-intel-fast for 5.99"
		apt-get remove -qq -y linux-unknown; ! kvm-intel-fast-dkms status | grep 5.99'
	life "an upgrade of the kernel and its source builds anew" '
		install $(kernel 2); fast; apt-get remove -qq -y kvm-intel-fast-dkms; stock; stock_of 2'
	life "no source: stock, until it comes" '
		install $(some 3 image; some 3 headers; some 3 kbuild) /debs/dkms.deb > /log; stock; said "source of linux .*+t3 is not here"
		kvm-intel-fast-dkms keep $(some 3 source); fast'
	life "purge leaves nothing" '
		apt-get purge -qq -y kvm-intel-fast-dkms; stock; stock_of 3
		! ls -d $state /var/lib/dkms/kvm-intel-fast /etc/kernel/preinst.d/kvm-intel-fast \
			/etc/dkms/framework.conf.d/kvm-intel-fast.conf /usr/src/kvm-intel-fast* 2> /dev/null'
}

more_cases() {
	life "an older source is kept when linux-source is upgraded" '
		install $(kernel 1) /debs/dkms.deb; install $(some 2 source); fast
		rm -r $state/installed; kvm-intel-fast-dkms update; fast'
	life "a kernel of another line, as from backports: built for it, and for the one before" '
		install /debs/other/*.deb > /log; fast; of $other; fast; ls $state/source | grep -c . | grep "[3-9]"'
	life "without the source of that line: stock there, and a sentence" '
		mv /usr/src/linux-source-$(cut -d. -f1-2 <<< $other).tar.xz /
		rm $state/installed/$other $state/source/$(dpkg-query -W -f="\${Version}" linux-headers-$other).tar.xz
		kvm-intel-fast-dkms update > /log; mv /linux-source-* /usr/src; fast; of $other; is_stock; said "source of linux .* is not here"
		kvm-intel-fast-dkms update; fast'
	life "a kernel that goes takes its module with it" '
		apt-get remove -qq -y linux-image-$other linux-headers-$other linux-source-$(cut -d. -f1-2 <<< $other)
		fast; ! kvm-intel-fast-dkms status | grep $other'
	life "an image of another version than its headers: stock, and a sentence" '
		install $(some 2 image) > /log; stock; stock_of 2; said "is of version .*+t2, .*its headers are"'
	life "and fast once the headers follow" 'install $(kernel 2); fast'
	life "headers that go take nothing away; a new image without headers does" '
		apt-get remove -qq -y linux-headers-$release; is_fast
		install $(some 3 image) > /log; stock; stock_of 3; said "its headers are missing"; install $(kernel 3); fast'
	life "stock code that nobody reviewed: stock, and a sentence" '
		install $(kernel 4) > /log; stock; said "not as reviewed"; install $(kernel 3); fast'
	life "an unknown kernel line: stock, and a sentence" '
		rm -r $state/installed; mv /usr/src/kvm-intel-fast-*/patches /p; mkdir -p /usr/src/kvm-intel-fast-0.1/patches/5.99
		kvm-intel-fast-dkms update > /log; rm -r /usr/src/kvm-intel-fast-*/patches; mv /p /usr/src/kvm-intel-fast-0.1/patches
		stock; said "there is no kvm-intel-fast for"; kvm-intel-fast-dkms update; fast'
	life "Secure Boot without an enrolled key: stock, and a sentence" '
		rm -r $state/installed; mount -t tmpfs tmpfs /sys/firmware; mkdir -p /sys/firmware/efi/efivars
		printf "\0\0\0\0\1" > /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
		kvm-intel-fast-dkms update > /log; umount /sys/firmware; stock; said "Secure Boot"; kvm-intel-fast-dkms update; fast'
	life "a full disk below /var/lib/dkms: stock, and a sentence" '
		apt-get remove -qq -y kvm-intel-fast-dkms; mkdir -p /var/lib/dkms; mount -t tmpfs -o size=30m tmpfs /var/lib/dkms
		install /debs/dkms.deb > /log; stock; said "MB free"; apt-get remove -qq -y kvm-intel-fast-dkms'
	life "a disk that fills while it is built: stock, and a sentence" '
		mount -t tmpfs -o size=12m tmpfs /var/lib/dkms
		dpkg --unpack /debs/dkms.deb; sed -i "s/^space=.*/space=1/" $(realpath /usr/sbin/kvm-intel-fast-dkms)
		dpkg --configure kvm-intel-fast-dkms > /log 2>&1; stock; said "."; apt-get remove -qq -y kvm-intel-fast-dkms'
	life "a full disk where sources are kept: stock, and a sentence" '
		rm -rf $state; mkdir $state; mount -t tmpfs -o size=100k tmpfs $state
		install /debs/dkms.deb > /log; stock; grep "cannot be kept" /log; grep "keeps stock.*source" /log; apt-get remove -qq -y kvm-intel-fast-dkms'
	life "a full disk in /lib/modules: stock" '
		mkdir -p $folder/updates; mount -t tmpfs -o size=100k tmpfs $folder/updates
		install /debs/dkms.deb > /log; cat /log; grep "keeps stock" /log; is_stock; dpkg_is_content
		apt-get remove -qq -y kvm-intel-fast-dkms; umount $folder/updates; rmdir -p --ignore-fail-on-non-empty $folder/updates || true'
	killed "dpkg dies while the module is built" 'pgrep -x make' 'install /debs/dkms.deb'
	life "stock is whole then, and dpkg goes on" 'is_stock; dpkg --configure -a; fast'
	life "stock again" 'apt-get remove -qq -y kvm-intel-fast-dkms; stock; printf "#!/bin/sh\ntouch /reached\nsleep 100\n" > /usr/local/sbin/depmod; chmod +x /usr/local/sbin/depmod'
	killed "dpkg dies while the module is installed" '[ -e /reached ]' 'install /debs/dkms.deb'
	life "dpkg goes on from there, too" '
		rm /reached /usr/local/sbin/depmod; dpkg --configure -a; fast; apt-get remove -qq -y kvm-intel-fast-dkms; stock; stock_of 3'
	life "dkms that died between stock and ours: the next removal brings stock back" '
		install /debs/dkms.deb; fast
		if ls /var/lib/dkms/kvm-intel-fast/original_module; then
			rm -r $folder/updates /var/lib/dkms/kvm-intel-fast/kernel-*; depmod $release; ! in_force
		fi
		apt-get remove -qq -y kvm-intel-fast-dkms; stock; stock_of 3'
	life "removal of the kernel, then of the package" '
		install /debs/dkms.deb; fast
		apt-get remove -qq -y linux-image-$release linux-headers-$release; dpkg_is_content; ! kvm-intel-fast-dkms status | grep .
		install $(kernel 3); fast; apt-get purge -qq -y kvm-intel-fast-dkms; stock'
}

# keep_modules NAME - what /lib/modules is now, for the machine
keep_modules() {
	mkdir -p "$work/modules/$1" &&
		in_root '. /cases; tar -c -C "$folder" --exclude=./build --exclude=./source .' |
			tar -x -C "$work/modules/$1"
}

in_the_machine() {
	dpkg-deb -x "$ours/dkms.deb" "$work/package" || return 1
	"$top/selftests/lab/run" --kernel debian --no-kvm-intel --time-limit 600 --file "$top/selftests/tap.sh:/tap.sh" \
		--file "$(KVM_INTEL_FAST_KERNEL=6.1 "$top/selftests/kvm/build")/exit_bench" \
		--file "$work/modules:/modules" --file "$(realpath /usr/bin/kmod):/kmod" \
		--file "$(command -v flock):/usr/bin/flock" \
		--file "$work/package/usr/libexec/kvm-intel-fast:/usr/libexec/kvm-intel-fast" \
		--file "$work/package/usr/lib/modprobe.d:/lib/modprobe.d" -- "$top/selftests/guest/package_test.sh"
}

with=
check "the packages build, twice the same" packages_build
[ "$tap_failed" = 0 ] || { finish; exit; }
check "lintian is content" lintian_is_content
check "a later version" later_version
make_base "$suite" && make_kernels "$suite" || exit 1
cp -r "$debs" "$work/debs" && cp "$ours"/*.deb "$work/debs" || exit 1
debs=$work/debs
check "a root of $suite without a kernel" prepare_root
check "the tools bring the manual of each command" tools_bring_pages
life "what setup would install for kvm-lab, the tools recommend" '
	install /debs/kvm-intel-fast-tools_*.deb > /log
	tools=$(dpkg-query -W -f="\${Depends}, \${Recommends}" kvm-intel-fast-tools)
	/usr/share/kvm-intel-fast/selftests/setup bench > /log 2>&1 || true
	for name in $(sed -n "s/^ *INSTALL *//p" /log); do grep -qw -- "$name" <<< "$tools" || { echo "$name"; false; }; done
	grep -q "INSTALL .*bison" /log'
life "the tools have what kvm-lab builds its programs from" '
	cd /usr/share/kvm-intel-fast/selftests; eval "$(grep ^programs= kvm/build)"
	[ ${#programs[@]} -gt 3 ]; ls -d lib "${programs[@]}"'
life "kvm-lab answers from the package, and writes to the folder of its user" '
	kvm-lab --help | grep "^  bisect "; COLUMNS=200 kvm-lab bench --help | grep "default: ~/.cache/kvm-intel-fast/output/bench"
	diff <(kvm-lab completion) /usr/share/bash-completion/completions/kvm-lab
	kvm-lab compare / / > /log 2>&1 || [ $? = 2 ]; kvm-lab ab --tree / > /log 2>&1 || [ $? = 2 ]
	grep "is no git tree" /log; ! find /usr/share/kvm-intel-fast -newer /debs/dkms.deb ! -type d | grep .'
life "the tools answer without the module" '
	kvm-intel-fast status | tee /log | grep "no kvm_intel is loaded\|stock"
	kvm-intel-fast doctor > /log || [ $? = 1 ]; kvm-intel-fast verify on; [ -s /etc/modprobe.d/kvm-intel-fast.conf ]
	kvm-intel-fast verify off; [ ! -e /etc/modprobe.d/kvm-intel-fast.conf ]
	ls /usr/share/bash-completion/completions/kvm-intel-fast; apt-get purge -qq -y kvm-intel-fast-tools'
common_cases
[ "$suite" != bookworm ] || check "in the machine, too" in_the_machine
if [ "$kind" != short ]; then
	more_cases
else
	with=", dkms of Debian 13"
	dkms=$("$top/scripts/fetch" trixie bin dkms) && cp "$dkms" "$debs/" || exit 1
	life "dkms of Debian 13 in its place" '
		install $(kernel 1); dpkg -i /debs/dkms_3*.deb; dkms --version | grep 3.2'
	life "an installation moves stock away" '
		install /debs/dkms.deb; fast; ls /var/lib/dkms/kvm-intel-fast/original_module/$release/*/kvm-intel.ko*'
	life "an upgrade of the kernel, and removal, bring stock of the new one back" '
		install $(kernel 2); fast; apt-get purge -qq -y kvm-intel-fast-dkms; stock; stock_of 2'
fi
finish
