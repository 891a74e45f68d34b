# SPDX-License-Identifier: GPL-2.0
#
# kvm-intel-fast: see README.md.  "make help" lists the targets.
#
#   KDIR=  kernel build folder (default: the running kernel's, else the newest
#          headers installed)
#   KSRC=  kernel source tree, package linux-source-X.Y or its tarball (default: that
#          package of the headers' version, installed or taken from the archive)
#   ALLOW_UNREVIEWED=1 build although nobody reviewed the stock code of this kernel
#   KERNEL= instead of both: a kernel of selftests/lab/kernel, as in KERNEL=6.12 (Debian's
#          newest of that line), fetched into the cache
#   SERIES= a folder of patches/<line>/variants/, as in SERIES=2017: stock with these
#          patches, and without ours
#   PATCHES= numbers of our patches, as in PATCHES="0007 0012": without the others, but for
#          0001 and 0002, which they need
#   LINE=, BASE= of "make upstream-patch": a kernel line, and a source tree of it to write the
#          series for (default: Debian's newest reviewed one, fetched into the cache)
#   KVM_INTEL_FAST_BUILD= in the environment: the folder of what is made, in the place of build/
#   PARAMS= module parameters for "make load", as in PARAMS="verify=1"

SHELL := /bin/bash
.SUFFIXES:

KERNEL ?=
ifneq ($(KERNEL),)
ifeq ($(filter-out all,$(or $(MAKECMDGOALS),all)),)
kernel := $(or $(shell selftests/lab/kernel '$(KERNEL)'),$(error see above))
KDIR := $(kernel)/build
KSRC := $(kernel)/source
endif
endif
running := /lib/modules/$(shell uname -r)/build
KDIR ?= $(if $(wildcard $(running)),$(running),$(lastword \
	$(shell ls -d /lib/modules/*/build 2>/dev/null | sort -V)))
KSRC ?=
SERIES ?=
PATCHES ?=
build := $(or $(KVM_INTEL_FAST_BUILD),build)
export ALLOW_UNREVIEWED PATCHES
empty :=

release := $(shell sed -n 's/.* UTS_RELEASE "\(.*\)"/\1/p' \
	'$(KDIR)/include/generated/utsrelease.h' 2>/dev/null)
out := $(build)/$(release)$(if $(SERIES),-$(SERIES))$(if $(PATCHES),-$(subst $(empty) ,+,$(PATCHES)))
module := $(out)/kvm-intel-$(or $(SERIES),fast).ko
sources := $(wildcard vmx/*.[ch] nested/*.[ch])
tarballs := $(wildcard /usr/src/linux-source-*.tar.*)

# One make at a time works on that folder; another waits, and finds it done.
.PHONY: all plain-paths
all: plain-paths
ifeq ($(release),)
	@scripts/prepare '$(KDIR)' '$(KSRC)' '$(build)/none'
else
	@mkdir -p '$(build)'
	@+flock '$(build)/.lock' $(MAKE) --no-print-directory KERNEL= KDIR='$(KDIR)' KSRC='$(KSRC)' $(module)
endif

plain-paths:
	@. scripts/lib.sh && plain_project && \
	plain_path KDIR '$(KDIR)' 'name a link to it, in another folder: make KDIR=LINK'

# Rewritten only when KDIR or KSRC changes, so that it works as a prerequisite.
$(out)/.inputs: FORCE
	@mkdir -p $(out)
	@echo '$(abspath $(KDIR)) $(abspath $(KSRC)) $(ALLOW_UNREVIEWED)' > $@.$$$$ && \
	{ cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv $@.$$$$ $@; }

$(out)/.prepared: $(out)/.inputs $(addprefix scripts/,prepare apply check-hooks review \
		stock_code.py command.py cache.py __init__.py lib.sh) \
		$(wildcard patches/*/* patches/*/variants/*/*) $(tarballs) \
		$(wildcard $(KDIR)/include/generated/uapi/linux/version.h)
	@scripts/prepare '$(KDIR)' '$(KSRC)' '$(out)/kvm' '$(SERIES)'
	@touch $@

$(module): $(out)/.prepared Kbuild scripts/build $(sources) $(wildcard $(KDIR)/Module.symvers)
	@scripts/build '$(KDIR)' '$(module)'

.PHONY: load unload
load: all
	scripts/load $(module) $(PARAMS)
unload:
	scripts/load stock

# The Debian packages, in build/deb/; and their life in roots of Debian 12 and 13 (SUITES=)
.PHONY: deb package-test
SUITES ?= bookworm trixie
deb:
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL scripts/deb
package-test:
	@for suite in $(SUITES); do \
		env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/host/package_test.sh $$suite && \
		env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/host/bare_test.sh $$suite package && \
		env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/host/bare_test.sh $$suite autopkgtest || exit; \
	done

# A root with kvm-lab and all that it needs, for any distribution, in OUT (default: build/image); and
# two of them, compared and used (IMAGE= one that is there, in their place)
.PHONY: image image-test
SUITE ?=
image:
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL OUT='$(OUT)' selftests/lab/image/build $(SUITE)
image-test:
	@command -v python3 > /dev/null || selftests/setup
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/host/image_test whole $(IMAGE)

# The programs that "kvm-intel-fast check" and "measure" run on a host with VMX, in build/kit/
.PHONY: kit
kit:
	@command -v python3 > /dev/null || selftests/setup
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/kit

# These commands with the emulated machine as the host
.PHONY: hardware-test
hardware-test:
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/host/hardware_test

.PHONY: bench test
# They build other projects, to which our flags mean nothing.  What else is missing than
# python3 they install themselves, once they know that they are well called.
bench test:
	@command -v python3 > /dev/null || selftests/setup
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/$@

# Each patch of the series alone: builds, and runs L2
.PHONY: patches
patches:
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/host/patches_test.sh

# Our patches and files as a series that "git am" takes, in build/upstream-<line>/
.PHONY: upstream-patch upstream-test
LINE ?=
BASE ?=
upstream-patch:
	@. scripts/lib.sh && { [ -n '$(LINE)' ] || die "make upstream-patch without LINE=" \
		"a kernel line, as in LINE=6.1" "name one of patches/: $$(cd patches && echo [0-9]*)"; }
	@command -v python3 > /dev/null || selftests/setup
	@base='$(BASE)' && base=$${base:-$$(selftests/lab/kernel 'source@$(LINE)')} && \
		scripts/upstream-patch '$(LINE)' "$$base"

# LINE= chooses a line; default: all
upstream-test:
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/host/upstream_test.sh $(LINE)

# The page of what the tests reach; ONLY= runs some groups anew
.PHONY: reach
reach:
	@command -v python3 > /dev/null || selftests/setup
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/test --reach
	@selftests/reach

# Each kernel version on offer, tested and measured; VERSIONS= chooses, as in VERSIONS="7.3"
.PHONY: matrix
matrix:
	@command -v python3 > /dev/null || selftests/setup
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/matrix $(VERSIONS)

# SEEDS= chooses the programs, as in SEEDS=0-999
.PHONY: differential
differential:
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/differential/run \
		$(if $(SEEDS),--seeds $(SEEDS))

# What happens to a host while an L2 runs; VARIANTS= chooses, as in VARIANTS="stock fast"
.PHONY: soak
soak:
	@command -v python3 > /dev/null || selftests/setup
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/soak/run $(VARIANTS:%=--variant %)

.PHONY: mutants
mutants:
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/mutants/run $(LINE:%=--line %) $(MUTANTS)

# KERNELS= chooses, as in KERNELS="6.1 6.12"; QUICK=1 leaves the Linux L1 out
.PHONY: history
history:
	@command -v python3 > /dev/null || selftests/setup
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL selftests/lab/history $(KERNELS)

.PHONY: clean
clean:
	rm -rf build

.PHONY: help
help:
	@echo 'make          build kvm-intel-fast.ko (KDIR= and KSRC= choose the kernel)'
	@echo 'make load     replace the running kvm_intel by it; make unload puts stock back'
	@echo 'make deb      build the Debian packages, in build/deb/'
	@echo 'make package-test  install, upgrade and remove them in Debian 12 and 13 (SUITES=)'
	@echo 'make image    kvm-lab and all that it needs as a root for any distribution, in build/image/'
	@echo '              (OUT=, SUITE=trixie); make image-test makes two, compares and uses them'
	@echo 'make kit      the programs for kvm-intel-fast check and measure, in build/kit/'
	@echo 'make hardware-test  kvm-intel-fast check, measure and estimate in the emulated machine'
	@echo 'make bench    measure stock and fast in the emulated machine (QUICK=1: a minute;'
	@echo '              PART=exits, PART=workloads, PART=xen: one part; PART=long: more workloads)'
	@echo 'make test     run all tests'
	@echo 'make patches  does each patch of the series build and run L2 without the others?'
	@echo 'make upstream-patch LINE=6.1  a series for "git am" on a kernel tree (BASE=TREE)'
	@echo 'make upstream-test  does each patch of these series build and boot? (LINE=)'
	@echo 'make reach    which group of the tests reaches which exit reason, control and MSR'
	@echo 'make differential  the same random programs under stock and fast (SEEDS=0-999)'
	@echo 'make matrix   every kernel version on offer, tested and measured (VERSIONS="6.12 7.3")'
	@echo 'make soak     KSM, CPU and memory hot-unplug, migration, reset... while an L2 runs, at length'
	@echo 'make mutants  does a test notice each deliberate mistake? (MUTANTS= names some)'
	@echo 'make history  what stock KVM costs as L0, release by release (KERNELS="6.1 7.3")'
	@echo 'make clean    remove build/'
	@echo 'PARAMS=       module parameters for make load, as in PARAMS="verify=1"'
	@echo 'SERIES=       stock with patches/<line>/variants/ and without ours, as in SERIES=2017'
	@echo 'PATCHES=      build these patches of the series, as in PATCHES="0007 0012"'
	@echo 'ONLY=         groups of make test, as in ONLY="kunit load"'
	@echo 'RERUN=1       make test: run the stock machines that were kept, too, and compare'

.PHONY: FORCE
FORCE:
