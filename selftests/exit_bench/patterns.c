// SPDX-License-Identifier: GPL-2.0
/*
 * The fields of each pattern: see patterns.h.
 */
#include "exit_bench/patterns.h"

static const uint32_t no_fields[] = { END };
static const uint32_t host_stack[] = { HOST_RSP, HOST_RIP, END };

static const uint32_t kvm_reads[] = {
	VM_EXIT_REASON, VM_EXIT_INTR_INFO, IDT_VECTORING_INFO_FIELD, GUEST_RIP, GUEST_RSP,
	GUEST_RFLAGS, GUEST_INTERRUPTIBILITY_INFO, GUEST_PML_INDEX, END
};

static const uint32_t kvm_writes[] = {
	GUEST_RSP, GUEST_RFLAGS, GUEST_INTERRUPTIBILITY_INFO, VM_ENTRY_INTR_INFO_FIELD, END
};

static const uint32_t haxm_reads[] = {
	VM_EXIT_REASON, VM_EXIT_INTR_INFO, VM_EXIT_INTR_ERROR_CODE, IDT_VECTORING_INFO_FIELD,
	IDT_VECTORING_ERROR_CODE, EXIT_QUALIFICATION, GUEST_LINEAR_ADDRESS,
	GUEST_PHYSICAL_ADDRESS, GUEST_RIP, GUEST_RSP, GUEST_RFLAGS,
	GUEST_CR0, GUEST_CR3, GUEST_CR4, CR0_READ_SHADOW, CR4_READ_SHADOW,
	GUEST_CS_SELECTOR, GUEST_CS_BASE, GUEST_CS_LIMIT, GUEST_CS_AR_BYTES,
	GUEST_SS_SELECTOR, GUEST_SS_BASE, GUEST_SS_LIMIT, GUEST_SS_AR_BYTES,
	GUEST_DS_SELECTOR, GUEST_DS_BASE, GUEST_ES_SELECTOR, GUEST_ES_BASE,
	GUEST_INTERRUPTIBILITY_INFO, GUEST_ACTIVITY_STATE, GUEST_DR7, GUEST_IA32_EFER, END
};

static const uint32_t haxm_writes[] = {
	HOST_CR0, HOST_CR3, HOST_CR4, HOST_RSP, HOST_RIP, HOST_FS_SELECTOR, HOST_GS_SELECTOR,
	HOST_FS_BASE, HOST_GS_BASE, HOST_TR_BASE, HOST_GDTR_BASE, HOST_IDTR_BASE,
	HOST_IA32_EFER, GUEST_RSP, GUEST_RFLAGS, GUEST_INTERRUPTIBILITY_INFO,
	VM_ENTRY_INTR_INFO_FIELD, EXCEPTION_BITMAP, CPU_BASED_VM_EXEC_CONTROL,
	PIN_BASED_VM_EXEC_CONTROL, TPR_THRESHOLD, END
};

static const uint32_t all_host_writes[] = {
	HOST_ES_SELECTOR, HOST_CS_SELECTOR, HOST_SS_SELECTOR, HOST_DS_SELECTOR,
	HOST_FS_SELECTOR, HOST_GS_SELECTOR, HOST_TR_SELECTOR, HOST_IA32_PAT, HOST_IA32_EFER,
	HOST_IA32_SYSENTER_CS, HOST_CR0, HOST_CR3, HOST_CR4, HOST_FS_BASE, HOST_GS_BASE,
	HOST_TR_BASE, HOST_GDTR_BASE, HOST_IDTR_BASE, HOST_IA32_SYSENTER_ESP,
	HOST_IA32_SYSENTER_EIP, HOST_RSP, HOST_RIP, END
};

/* Filled in by L1, which tries all numbers. */
static uint32_t every_field[MAX_FIELDS], every_writable_field[MAX_FIELDS];

const struct pattern rewrites_host_stack = { no_fields, host_stack };
const struct pattern as_kvm = { kvm_reads, kvm_writes };
const struct pattern as_haxm = { haxm_reads, haxm_writes };
const struct pattern rewrites_host = { no_fields, all_host_writes };
const struct pattern walks = { every_field, every_writable_field };

void find_every_field(void)
{
	uint32_t width, type, index, field, reads = 0, writes = 0;
	uint64_t value;

	for (width = 0; width < 4; width++)
		for (type = 0; type < 4; type++)
			for (index = 0; index < 64; index++) {
				field = field_number(width, type, index, false);
				if (vmread(field, &value))
					continue;
				GUEST_ASSERT(reads < MAX_FIELDS - 1);
				every_field[reads++] = field;
				if (!field_is_read_only(field))
					every_writable_field[writes++] = field;
			}
	every_field[reads] = END;
	every_writable_field[writes] = END;
}

void remember(const uint32_t *fields, uint64_t *values)
{
	for (; *fields != END; fields++)
		*values++ = read_field(*fields);
}
