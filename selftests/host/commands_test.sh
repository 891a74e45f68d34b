#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# commands_test.sh - does each command answer --help, and refuse an option and a word that it
# does not know, before it does anything?  TAP.
#
# The commands are all executable files of scripts/ and selftests/ but those that run inside
# the emulated machine.  Works in a copy of the project; tools that install, build or fetch
# are stubs there that note each call.  A command that goes wrong can do no harm: root runs
# them as nobody, who may write to the scratch folders alone.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$top/scripts/lib.sh" || exit 1
. "$top/selftests/tap.sh" || exit 1
arguments 0 0 "$@" || exit 1
[ -z "${IN_COMMANDS_TEST:-}" ] || { echo "this test does not run within itself" >&2; exit 1; }

in_the_machine='/guest/|/guest-driver$'
stubs="apt apt-cache apt-get bochs busybox cc chromium cpp curl depmod dpkg dpkg-deb dpkg-query flock g++ gcc
git gnuplot insmod ld make modinfo modprobe patch perl qemu-system-x86_64 rmmod sparse strip sudo tar wget xz"

work=$(mktemp -d) && [ -d "$work" ] || exit 1
trap 'rm -rf "$work"' EXIT
copy=$work/project
mkdir "$copy" "$work/bin" "$work/home" "$work/tmp" || exit 1
copy_project "$copy"
cd "$copy" || exit 1
for stub in $stubs; do
	printf '#!/bin/sh\necho "%s $*" >> "%s/called"\nexit 1\n' "$stub" "$work" > "$work/bin/$stub"
done
# A script whose mktemp fails may go on with an empty name.
printf '#!/bin/sh\necho "mktemp $*" >> "%s/called"\nexec %s "$@"\n' "$work" "$(type -P mktemp)" \
	> "$work/bin/mktemp"
chmod +x "$work/bin"/*
as_nobody=()
if [ "$(id -u)" = 0 ]; then
	as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all)
	chown -R 65534:65534 "$work"
fi
chmod 755 "$work"

state() { find "$copy" "$work/home" "$work/tmp" "$work/cache" -printf '%p %s %T@ %m\n' 2>/dev/null | sort; }

# call STATUS [NAME=VALUE...] COMMAND... - its exit status; nothing called, nothing written
call() {
	local expected=$1 status before
	shift
	rm -f "$work/called"
	find "$work/home" "$work/tmp" "$work/cache" -mindepth 1 -delete 2> /dev/null
	before=$(state)
	env -i PATH="$work/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" LC_ALL=C HOME="$work/home" \
		TMPDIR="$work/tmp" KVM_INTEL_FAST_CACHE="$work/cache" IN_COMMANDS_TEST=1 \
		timeout 20 "${as_nobody[@]}" env "$@" < /dev/null > "$work/stdout" 2> "$work/stderr"
	status=$?
	head -n 20 "$work/stdout" "$work/stderr"
	if [ -e "$work/called" ]; then
		echo "called:"
		cat "$work/called"
		return 1
	fi
	echo "exit status $status, expected $expected"
	[ $status = "$expected" ] && diff <(echo "$before") <(state)
}

# Usage, and a sentence: a line of five words.
helps() {
	call 0 "$@" --help && [ ! -s "$work/stderr" ] && grep -qi '^usage' "$work/stdout" &&
		grep -qF -- "${1##*/}" "$work/stdout" && grep -qE '([[:alpha:]]+[ ,]+){4}[[:alpha:]]+' "$work/stdout"
}

# refuses [NAME=VALUE...] COMMAND... - it says what it found, what it expects, who tells more
refuses() {
	call 2 "$@" && [ ! -s "$work/stdout" ] && grep -q error "$work/stderr" &&
		grep -qiE 'expected|usage' "$work/stderr" && grep -qF -- --help "$work/stderr"
}

names() { # WORD COMMAND... - refuses, and names the word
	local word=$1
	shift
	refuses "$@" && grep -qF -- "$word" "$work/stderr"
}

mapfile -t commands < <(find scripts selftests -type f -perm -100 | grep -vE "$in_the_machine" | sort)
check "there are commands" [ ${#commands[@]} -gt 20 ]
for command in "${commands[@]}"; do
	check "$command --help" helps "$command"
	check "$command refuses an unknown option" names --no-such-option "$command" --no-such-option
	check "$command refuses an unknown word" names no-such-word "$command" no-such-word
done
mapfile -t commands < <(selftests/kvm-lab --help | sed -n '/^commands/,/^$/s/^  \([a-z]*\) .*/\1/p')
check "kvm-lab has commands" [ ${#commands[@]} -gt 8 ]
for command in "${commands[@]}"; do
	check "kvm-lab $command --help" helps selftests/kvm-lab "$command"
	check "kvm-lab $command refuses an unknown option" names --no-such-option selftests/kvm-lab "$command" --no-such-option
	check "kvm-lab $command refuses an unknown word" names no-such-word selftests/kvm-lab "$command" no-such-word
done
check "an unknown group in ONLY=" names no-such-group ONLY="kunit no-such-group" selftests/test
check "an unknown group in --only" names no-such-group selftests/test --only "kunit no-such-group"
check "a value in the place of an option" names no-such-word selftests/bench --quick no-such-word
finish
