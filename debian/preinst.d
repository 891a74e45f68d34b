#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Before a kernel is unpacked: its own kvm_intel, so that no kernel boots with a module that was
# built for the one before.  The trigger of kvm-intel-fast-dkms builds a new one.
[ ! -x /usr/sbin/kvm-intel-fast-dkms ] || kvm-intel-fast-dkms withdraw "$1" || true
