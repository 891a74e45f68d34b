# SPDX-License-Identifier: GPL-2.0
# The objects that stock links into kvm_intel from 6.12 on.
stock-objects := vmx/vmx.o vmx/vmenter.o vmx/pmu_intel.o vmx/vmcs12.o \
		 vmx/nested.o vmx/posted_intr.o vmx/main.o
stock-objects-$(CONFIG_X86_SGX_KVM) += vmx/sgx.o
stock-objects-$(CONFIG_KVM_INTEL_TDX) += vmx/tdx.o
stock-objects-$(CONFIG_KVM_HYPERV) += vmx/hyperv.o
stock-objects-$(if $(CONFIG_KVM_HYPERV)$(CONFIG_HYPERV),y) += vmx/hyperv_evmcs.o
# Hyper-V may be a module.
stock-objects-$(if $(CONFIG_HYPERV),y) += vmx/vmx_onhyperv.o
