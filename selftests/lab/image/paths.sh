# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Sourced by what makes an image and by what runs in it: where things are there.

image_top=/opt/kvm-intel-fast
# What the image brings; its file "units" lists what appears in a cache by one rename, sorted: a source
# tree comes after the package that it is unpacked from.
image_seed=/usr/share/kvm-intel-fast/cache
# The one place of the cache: kernels know where they were built.
image_cache=/var/cache/kvm-intel-fast
