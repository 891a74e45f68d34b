# SPDX-License-Identifier: GPL-2.0
# The objects that stock links into kvm_intel on this kernel line.
stock-objects := vmx/vmx.o vmx/vmenter.o vmx/pmu_intel.o vmx/vmcs12.o \
		 vmx/evmcs.o vmx/nested.o vmx/posted_intr.o
stock-objects-$(CONFIG_X86_SGX_KVM) += vmx/sgx.o
