/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one place that knows which kernel line is being built.
 *
 * Everything else is written once, for all lines.  A difference between lines
 * becomes a macro or an inline function here, never an #ifdef elsewhere.
 */
#ifndef KVM_INTEL_FAST_COMPAT_H
#define KVM_INTEL_FAST_COMPAT_H

#include <linux/kvm_host.h>
#include <linux/version.h>

#define FAST_LINE	KERNEL_VERSION(LINUX_VERSION_MAJOR, LINUX_VERSION_PATCHLEVEL, 0)
#define FAST_LINE_5_10	KERNEL_VERSION(5, 10, 0)
#define FAST_LINE_6_1	KERNEL_VERSION(6, 1, 0)
#define FAST_LINE_6_12	KERNEL_VERSION(6, 12, 0)
#define FAST_LINE_7_2	KERNEL_VERSION(7, 2, 0)
#define FAST_LINE_7_3	KERNEL_VERSION(7, 3, 0)

#if FAST_LINE != FAST_LINE_5_10 && FAST_LINE != FAST_LINE_6_1 && \
	FAST_LINE != FAST_LINE_6_12 && FAST_LINE != FAST_LINE_7_2 && FAST_LINE != FAST_LINE_7_3
#error "kvm-intel-fast supports the kernel lines 6.1, 6.12, 7.2 and 7.3"
#endif

#if FAST_LINE >= FAST_LINE_6_12
#include <linux/unaligned.h>
/* Bits of vcpu->arch.hflags */
#define FAST_HFLAGS_GUEST_MODE		BIT_ULL(0)
#define FAST_HFLAGS_SMM			BIT_ULL(1)
#define fast_has_evmcs12(vmx)		nested_vmx_is_evmptr12_valid(vmx)
#define fast_evmcs12(vmx)		nested_vmx_evmcs(vmx)
#ifdef CONFIG_KVM_HYPERV
#define fast_evmcs12_address(vmx) \
	(fast_has_evmcs12(vmx) ? (vmx)->nested.hv_evmcs_vmptr : INVALID_GPA)
#else
#define fast_evmcs12_address(vmx)	INVALID_GPA
#endif
/* L0 runs on Hyper-V, and its VMCSs are memory. */
#define fast_uses_evmcs()		kvm_is_using_evmcs()
/* Per page of a memslot, how often writes of it are tracked */
#define fast_write_track(slot)		((slot)->arch.gfn_write_track)
#define FAST_EVENT_INSTRUCTIONS		kvm_pmu_eventsel.INSTRUCTIONS_RETIRED
#define fast_host_efer			kvm_host.efer
#define fast_entry_has_no_posted_intr(vmx)	((vmx)->nested.posted_intr_nv = -1)
#define fast_kvm_cpuid_base(vcpu)	((vcpu)->arch.kvm_cpuid.base)
#else
#include <asm/unaligned.h>
#define FAST_HFLAGS_GUEST_MODE		BIT_ULL(5)
#define FAST_HFLAGS_SMM			BIT_ULL(6)
#define fast_uses_evmcs()		static_branch_unlikely(&enable_evmcs)
#define fast_write_track(slot)		((slot)->arch.gfn_track[KVM_PAGE_TRACK_WRITE])
#define FAST_EVENT_INSTRUCTIONS		PERF_COUNT_HW_INSTRUCTIONS
#define fast_host_efer			host_efer
#define fast_entry_has_no_posted_intr(vmx)	do { } while (0)	/* posted_intr_nv stays */
#if FAST_LINE >= FAST_LINE_6_1
#define fast_has_evmcs12(vmx)		evmptr_is_valid((vmx)->nested.hv_evmcs_vmptr)
#else
#define fast_has_evmcs12(vmx)		((vmx)->nested.hv_evmcs)
#endif
#define fast_evmcs12(vmx)		((vmx)->nested.hv_evmcs)
#define fast_evmcs12_address(vmx) \
	(fast_has_evmcs12(vmx) ? (vmx)->nested.hv_evmcs_vmptr : INVALID_GPA)
#define fast_kvm_cpuid_base(vcpu)	((vcpu)->arch.kvm_cpuid_base)
#endif

/*
 * The words of the MSR bitmap that stock merges with vmcs01's, beyond those of 6.1: part, an
 * MSR of the word, the bits that L1 may clear for L2.  The PMU's can only be clear in vmcs01
 * with the module parameter enable_mediated_pmu of kvm.ko.
 */
#define FAST_MSR_BITMAP_FLUSH_CMD(WORD)	WORD(WRITE_LOW, 0x10b, BIT_ULL(0x0b))
#if FAST_LINE >= FAST_LINE_7_2
#define FAST_MSR_BITMAP_WORDS(WORD)							\
	FAST_MSR_BITMAP_FLUSH_CMD(WORD)							\
	WORD(READ_LOW, 0xc0, GENMASK_ULL(8, 1) | BIT_ULL(0x27) | BIT_ULL(0x28))		\
						/* PERFCTRn, MPERF, APERF */		\
	WORD(READ_LOW, 0x6a0, GENMASK_ULL(0x27, 0x24) | BIT_ULL(0x22) | BIT_ULL(0x20))	\
						/* U_CET, S_CET, PL0_SSP to PL3_SSP */	\
	WORD(WRITE_LOW, 0x6a0, GENMASK_ULL(0x27, 0x24) | BIT_ULL(0x22) | BIT_ULL(0x20))
#define FAST_MSR_BITMAP_PMU_WORDS(WORD)							\
	WORD(WRITE_LOW, 0xc0, GENMASK_ULL(8, 1))	/* PERFCTRn */			\
	WORD(READ_LOW, 0x4c0, GENMASK_ULL(8, 1))	/* PMCn */			\
	WORD(WRITE_LOW, 0x4c0, GENMASK_ULL(8, 1))					\
	WORD(READ_LOW, 0x309, GENMASK_ULL(11, 9))	/* FIXED_CTRn */		\
	WORD(WRITE_LOW, 0x309, GENMASK_ULL(11, 9))					\
	WORD(READ_LOW, 0x38f, BIT_ULL(15) | BIT_ULL(14)) /* GLOBAL_CTRL, GLOBAL_STATUS */ \
	WORD(WRITE_LOW, 0x38f, BIT_ULL(16) | BIT_ULL(15)) /* GLOBAL_OVF_CTRL, GLOBAL_CTRL */
#define fast_mediated_pmu()		enable_mediated_pmu
#else
#if FAST_LINE >= FAST_LINE_6_12
#define FAST_MSR_BITMAP_WORDS(WORD)	FAST_MSR_BITMAP_FLUSH_CMD(WORD)
#else
#define FAST_MSR_BITMAP_WORDS(WORD)
#endif
#define FAST_MSR_BITMAP_PMU_WORDS(WORD)
#define fast_mediated_pmu()		false
#endif

#if FAST_LINE >= FAST_LINE_7_2
#include <linux/mm.h>
#include <linux/vmstat.h>

/* Stock's parameters that not all lines have */
#define FAST_PARAMS_OF_LINE(DESC)							\
	DESC(warn_on_missed_cc, "Warn where hardware finds fault with vmcs12 and KVM does not") \
	DESC(cet, "Offer CET to guests")						\
	DESC(mbec, "Use mode-based execute control for EPT")				\
	DESC(enable_device_posted_irqs, "Let devices post interrupts to guests")	\
	DESC(enable_mediated_pmu, "Give the PMU to the guest while it runs")
#define FAST_REG(name)			VCPU_REG_##name
#define fast_pi_desc(vcpu)		(&to_vt(vcpu)->pi_desc)
#define fast_regs_available(vcpu, regs)	(((vcpu)->arch.regs_avail[0] & (regs)) == (regs))
#define fast_guest_has(vcpu, feature)	guest_cpu_cap_has(vcpu, feature)
#define fast_guest_has_evmcs(vcpu)	guest_cpu_cap_has_evmcs(vcpu)
#define fast_rdmsr_safe(msr, value)	rdmsrq_safe(msr, value)
#define fast_hrtimer_set_function(timer, function)	hrtimer_update_function(timer, function)
#define fast_emulation_required(vmx)	((vmx)->vt.emulation_required)
#define fast_exit_reason(vcpu)		(vmx_get_exit_reason(vcpu).basic)
/* What counts instructions can be told of one with interrupts off. */
#define fast_fastpath_allowed(vcpu)	kvm_pmu_is_fastpath_emulation_allowed(vcpu)
#define fast_instruction_retired(vcpu)	kvm_pmu_instruction_retired(vcpu)
/* The next VM entry flushes the L1D, if flushes are conditional. */
#define fast_request_l1d_flush(vcpu)	kvm_request_l1tf_flush_l1d()
#define fast_guest_state_loaded(vmx)	((vmx)->vt.guest_state_loaded)
#define fast_nested_run_pending(vcpu)	((vcpu)->arch.nested_run_pending)
#define fast_entry_forgets_tpr_threshold(vmx)	do { } while (0)
/* Stock changes CET state of vmcs01 at a nested exit. */
#define fast_has_cet(vcpu)		(guest_cpu_cap_has(vcpu, X86_FEATURE_IBT) ||	\
					 guest_cpu_cap_has(vcpu, X86_FEATURE_SHSTK))
#define fast_cpuid_bits_changed(vcpu)	((vcpu)->arch.cpuid_dynamic_bits_dirty = true)
/* The word of struct page with PG_dirty */
#define fast_flags_of(page)		(&compound_head(page)->flags.f)
/* What the young calls of an MMU notifier return */
#define FAST_YOUNG			bool
/* Fields of vmcs12 that the checks read, and that change without a trapped VMWRITE */
#define FAST_CHECKED_FIELDS(FIELD)	\
	FIELD(tpr_threshold)		\
	FIELD(guest_s_cet)		\
	FIELD(guest_ssp)		\
	FIELD(guest_ssp_tbl)
#define FAST_CHECKS_TPR_THRESHOLD	1
#define fast_init_shadow_ept_mmu(vcpu, execonly, lpage_level, ad, mbec, eptp)	\
	kvm_init_shadow_ept_mmu(vcpu, execonly, lpage_level, ad, mbec, eptp)

#define FAST_ENTRY_READS_RVI		0
/* Stock reads L1's CR3 between the copy-in and the switch to vmcs02. */
#define FAST_ENTRY_READS_CR3		1
/* And the CET state of vmcs01, unless vmcs12 loads another. */
#define fast_entry_reads_more(vcpu)						\
	(fast_has_cet(vcpu) &&							\
	 !(get_vmcs12(vcpu)->vm_entry_controls & VM_ENTRY_LOAD_CET_STATE))

/* kvm_vcpu_unmap() marks what was mapped to be written as dirty: all pages but the MSR bitmap. */
#define FAST_UNMAP_DIRTIES		1

static inline int fast_vcpu_map(struct kvm_vcpu *vcpu, gfn_t gfn, struct kvm_host_map *map,
				bool written)
{
	return __kvm_vcpu_map(vcpu, gfn, map, written);
}

static inline void fast_vcpu_unmap(struct kvm_vcpu *vcpu, struct kvm_host_map *map, bool dirty)
{
	map->writable = dirty;
	kvm_vcpu_unmap(vcpu, map);
}

static inline bool fast_map_has_struct_page(const struct kvm_host_map *map)
{
	return map->page;
}

/* True if stock holds the page by a count: here a pin. */
static inline bool fast_map_is_counted(const struct kvm_host_map *map)
{
	return map->pinned_page;
}

/* Takes what kvm_vcpu_unmap() gives back, for a page that is mapped.  Context: any. */
static inline void fast_map_count(const struct kvm_host_map *map)
{
	struct folio *folio = page_folio(map->pinned_page);

	if (is_zero_folio(folio))
		return;
	if (folio_has_pincount(folio)) {
		folio_ref_inc(folio);
		atomic_inc(&folio->_pincount);
	} else {
		folio_ref_add(folio, GUP_PIN_COUNTING_BIAS);
	}
	node_stat_mod_folio(folio, NR_FOLL_PIN_ACQUIRED, 1);
}

/* Gives that back, and marks the page accessed; @map can still be used. */
static inline void fast_map_uncount(struct kvm_vcpu *vcpu, const struct kvm_host_map *map)
{
	struct kvm_host_map clean = *map;

	if (map->page)
		fast_vcpu_unmap(vcpu, &clean, false);
}

static inline void fast_map_set_dirty(const struct kvm_host_map *map)
{
	if (map->pinned_page && !PageReserved(map->pinned_page))
		SetPageDirty(map->pinned_page);
}
#else
#define FAST_PARAMS_OF_LINE(DESC)	\
	DESC(nested_early_check, "Let hardware check vmcs12 by a trial VM entry")
#define FAST_REG(name)			VCPU_EXREG_##name
#define fast_pi_desc(vcpu)		(&to_vmx(vcpu)->pi_desc)
#define fast_regs_available(vcpu, regs)	(((vcpu)->arch.regs_avail & (regs)) == (regs))
#define fast_guest_has(vcpu, feature)	guest_cpuid_has(vcpu, feature)
#define fast_guest_has_evmcs(vcpu)	guest_cpuid_has_evmcs(vcpu)
#define fast_rdmsr_safe(msr, value)	rdmsrl_safe(msr, value)
#define fast_hrtimer_set_function(timer, callback)	((timer)->function = (callback))
#define fast_emulation_required(vmx)	((vmx)->emulation_required)
#define fast_exit_reason(vcpu)		(to_vmx(vcpu)->exit_reason.basic)
#define fast_fastpath_allowed(vcpu)	true
#define fast_request_l1d_flush(vcpu)	((vcpu)->arch.l1tf_flush_l1d = true)
#define fast_instruction_retired(vcpu)	\
	kvm_pmu_trigger_event(vcpu, FAST_EVENT_INSTRUCTIONS)
#define fast_guest_state_loaded(vmx)	((vmx)->guest_state_loaded)
#define fast_nested_run_pending(vcpu)	(to_vmx(vcpu)->nested.nested_run_pending)
#define fast_entry_forgets_tpr_threshold(vmx)	((vmx)->nested.l1_tpr_threshold = -1)
#define fast_has_cet(vcpu)		false
#define fast_cpuid_bits_changed(vcpu)	cpuid_update(vcpu)
#define fast_flags_of(page)		(&compound_head(page)->flags)
#define FAST_YOUNG			int
#define FAST_CHECKED_FIELDS(FIELD)
#define FAST_CHECKS_TPR_THRESHOLD	0
#define fast_init_shadow_ept_mmu(vcpu, execonly, lpage_level, ad, mbec, eptp)	\
	kvm_init_shadow_ept_mmu(vcpu, execonly, lpage_level, ad, eptp)
#define FAST_ENTRY_READS_RVI		1
#define FAST_ENTRY_READS_CR3		0
#define fast_entry_reads_more(vcpu)	false
#define FAST_UNMAP_DIRTIES		0

static inline int fast_vcpu_map(struct kvm_vcpu *vcpu, gfn_t gfn, struct kvm_host_map *map,
				bool written)
{
	return kvm_vcpu_map(vcpu, gfn, map);
}

static inline void fast_vcpu_unmap(struct kvm_vcpu *vcpu, struct kvm_host_map *map, bool dirty)
{
	kvm_vcpu_unmap(vcpu, map, dirty);
}

static inline bool fast_map_has_struct_page(const struct kvm_host_map *map)
{
	return map->page != KVM_UNMAPPED_PAGE;
}

/*
 * True if stock holds the page by a count: here a reference.  Decides as
 * kvm_pfn_to_refcounted_page() does, which kvm.ko does not export.
 */
static inline bool fast_map_is_counted(const struct kvm_host_map *map)
{
	struct page *page = map->page;

	return fast_map_has_struct_page(map) &&
	       (!PageReserved(page) || is_zero_pfn(page_to_pfn(page)) || is_zone_device_page(page));
}

static inline void fast_map_count(const struct kvm_host_map *map)
{
	get_page(map->page);
}

static inline void fast_map_uncount(struct kvm_vcpu *vcpu, const struct kvm_host_map *map)
{
	kvm_release_pfn_clean(map->pfn);
}

static inline void fast_map_set_dirty(const struct kvm_host_map *map)
{
	kvm_set_pfn_dirty(map->pfn);
}
#endif

#if FAST_LINE >= FAST_LINE_7_3
#include <linux/hrtimer_bases.h>

#define FAST_PAGEWALK			struct kvm_pagewalk
/* The role of the context for L1's EPT */
#define fast_ept_role(vcpu)		((vcpu)->arch.ngpa_walk.cpu_role.as_u64)
/* The role of the guest's own paging, outside guest mode */
#define fast_walk_role(vcpu)		((vcpu)->arch.gva_walk.cpu_role)
#else
#define FAST_PAGEWALK			struct { }
#define fast_ept_role(vcpu)		((vcpu)->arch.guest_mmu.cpu_role.as_u64)
#define fast_walk_role(vcpu)		((vcpu)->arch.walk_mmu->cpu_role)
#endif

#if FAST_LINE >= FAST_LINE_6_1
#define fast_apicv_active(vcpu)		((vcpu)->arch.apic->apicv_active)
#define fast_guest_debugctl()		vmx_guest_debugctl_read()
#define fast_l1_tsc_ratio(vcpu)		((vcpu)->arch.l1_tsc_scaling_ratio)
#define fast_l2_tsc_is_one(vmcs12) \
	((vmcs12)->tsc_multiplier == kvm_caps.default_tsc_scaling_ratio)
#define fast_root(mmu)			((mmu)->root.hpa)
#define fast_root_level(mmu)		((mmu)->root_role.level)
/* The page of a root, NULL if it has none; only with kvm/mmu/spte.h */
#if FAST_LINE >= FAST_LINE_6_12
#define fast_root_to_sp(root)		root_to_sp(root)
#else
#define fast_root_to_sp(root)		to_shadow_page(root)
#endif
#define fast_nested_entries(vcpu)	((vcpu)->stat.nested_run)
#define fast_uret_is_loaded(vmx, slot)	((vmx)->guest_uret_msrs[slot].load_into_hardware)
#define fast_map_apic_access(nested, address)	((nested)->apic_access_page_map.hva = (address))
#define fast_msr_bitmap_is_new(nested)	((nested)->force_msr_bitmap_recalc = false)
/* The word of vmcs01's MSR bitmap that stock merges into word @i of msr_bitmap_inputs.l01 */
#define fast_msr_bitmap_l01(l01, i)	((l01)[i])
#else
/* Of 5.10 only what patches/5.10/series names was tried. */
#define fast_apicv_active(vcpu)		((vcpu)->arch.apicv_active)
#define fast_guest_debugctl()		vmcs_read64(GUEST_IA32_DEBUGCTL)
#define fast_l1_tsc_ratio(vcpu)		((vcpu)->arch.tsc_scaling_ratio)
#define fast_l2_tsc_is_one(vmcs12)	true	/* L1 has no such control */
#define fast_root(mmu)			((mmu)->root_hpa)
#define fast_root_level(mmu)		((mmu)->shadow_root_level)
#define fast_nested_entries(vcpu)	((vcpu)->stat.exits)
#define fast_uret_is_loaded(vmx, slot)	((slot) < (vmx)->nr_active_uret_msrs)
#define fast_map_apic_access(nested, address)	BUILD_BUG()
#define fast_msr_bitmap_is_new(nested)	BUILD_BUG()
#define KVM_RUN_LOAD_DEBUGCTL		0
#define INVALID_GPA			(~(gpa_t)0)

/*
 * Stock looks at vmcs01's bitmap for SPEC_CTRL and PRED_CMD alone, and there at writes alone;
 * L1 always has the base registers.
 */
static inline u64 fast_msr_bitmap_l01(const u64 *l01, int i)
{
	return i < 2 ? l01[1] : 0;
}
#endif

/* 1 if ALLOW_UNREVIEWED=1 let stock code be built that nobody reviewed: see scripts/apply. */
#ifndef FAST_UNREVIEWED
#define FAST_UNREVIEWED 0
#endif

#endif /* KVM_INTEL_FAST_COMPAT_H */
