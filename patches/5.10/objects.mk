# SPDX-License-Identifier: GPL-2.0
# The objects that stock links into kvm_intel on this kernel line.
stock-objects := vmx/vmx.o vmx/vmenter.o vmx/pmu_intel.o vmx/vmcs12.o \
		 vmx/evmcs.o vmx/nested.o vmx/posted_intr.o
# Its version.h has neither.
ccflags-y += -DLINUX_VERSION_MAJOR=5 -DLINUX_VERSION_PATCHLEVEL=10
