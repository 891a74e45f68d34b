// SPDX-License-Identifier: GPL-2.0
/*
 * User space of the differential test: see user.h.
 */
#include <sched.h>

#include "differential/memory.h"
#include "differential/state.h"
#include "differential/storm.h"
#include "differential/transcript.h"
#include "differential/user.h"

struct mailbox *mail;
enum party waiting;
bool ended;
bool stuck;
unsigned int single_steps;
bool immediate_next;
bool signal_next;

static void user_filter(uint32_t msr, unsigned int what, bool to_user_space)
{
	static uint8_t denied;
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = {
			.flags = what & 3,
			.base = msr,
			.nmsrs = what & 3 ? 1 : 0,
			.bitmap = &denied,
		},
	};

	record_result("cap", __vm_enable_cap(vm, KVM_CAP_X86_USER_SPACE_MSR, to_user_space ?
					     KVM_MSR_EXIT_REASON_FILTER : 0));
	record_result("filter", __vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &filter));
}

static void user_sregs(unsigned int which, uint64_t bits)
{
	struct kvm_sregs sregs;

	__vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	switch (which) {
	case 0:
		break;
	case 1:
		sregs.cr4 ^= bits;
		break;
	case 2:
		sregs.cr0 ^= bits;
		break;
	case 3:
		sregs.efer ^= bits;
		break;
	case 4:
		sregs.cr8 = bits & 15;
		break;
	case 5:
		sregs.tr.unusable ^= 1;
		break;
	default:
		sregs.fs.base ^= bits;
		break;
	}
	record_result("result", __vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs));
}

static void user_events(unsigned int which, uint64_t bits)
{
	struct kvm_vcpu_events events = {};

	events_get(&events);
	switch (which) {
	case 1:
		events.nmi.masked ^= 1;
		break;
	case 2:
		events.nmi.pending ^= 1;
		break;
	case 3:
		events.interrupt.shadow = bits & 3;
		break;
	case 4:
		events.exception.injected = 1;
		events.exception.nr = bits & 31;
		events.exception.has_error_code = bits >> 8 & 1;
		break;
	case 5:
		events.interrupt.injected = 1;
		events.interrupt.nr = 0x40 + (bits & 15);
		break;
	case 6:
		events.smi.pending ^= 1;
		break;
	}
	record_result("result", __vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events));
}

void user_debug(uint32_t control, uint64_t address)
{
	struct kvm_guest_debug debug = {
		.control = control,
		.arch.debugreg[0] = address,
		.arch.debugreg[7] = 0x400,
	};

	record_result("result", __vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug));
}

static void user_interrupt(unsigned int vector, unsigned int mode)
{
	struct kvm_msi msi = {
		.address_lo = 0xfee00000,
		.data = (vector & 0xff) | (mode & 7) << 8,
	};

	record_result("result", __vm_ioctl(vm, KVM_SIGNAL_MSI, &msi));
}

void user_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void user_capability(unsigned int which)
{
	static const uint32_t capabilities[][2] = {
		{ KVM_CAP_EXCEPTION_PAYLOAD, 1 },
		{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1 },
		{ KVM_CAP_DISABLE_QUIRKS2, 0x3f },
		{ KVM_CAP_X86_USER_SPACE_MSR, 7 },
	};

	which %= ARRAY_SIZE(capabilities);
	record_result("result",
		      __vm_enable_cap(vm, capabilities[which][0], capabilities[which][1]));
}

static void user_lapic(void)
{
	struct kvm_lapic_state lapic = {};

	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic));
	record_bytes("lapic", &lapic, sizeof(lapic));
	record_result("set", __vcpu_ioctl(vcpu, KVM_SET_LAPIC, &lapic));
}

void user_step(const struct step *step)
{
	uint64_t a = step->arg[0], b = step->arg[1], c = step->arg[2], value = 0;

	switch (step->operation) {
	case USER_nested_get:
		record_result("result", nested_read());
		break;
	case USER_nested_same:
		user_nested_same();
		break;
	case USER_nested_new_vm:
		user_nested_new_vm();
		break;
	case USER_nested_hostile:
		user_nested_hostile(a, b, c);
		break;
	case USER_slot:
		user_slot(a, b);
		break;
	case USER_dirty_log:
		user_dirty_log(a);
		break;
	case USER_remap:
		user_remap(a);
		break;
	case USER_discard:
		user_discard(a, b);
		break;
	case USER_poke:
		*(uint64_t *)(page_memory(a % PAGES) + (b & 0xff8)) = c;
		break;
	case USER_flip:
		*(uint8_t *)(page_memory(a % PAGES) + (b / 8 & 0xfff)) ^= 1 << (b & 7);
		break;
	case USER_filter:
		user_filter(a, b, c);
		break;
	case USER_get_msr:
		record("result", msr_get(a, &value));
		record("value", value);
		break;
	case USER_set_msr:
		record("result", msr_set(a, b));
		break;
	case USER_flip_msr:
		msr_get(a, &value);
		record("result", msr_set(a, value ^ b));
		break;
	case USER_sregs:
		user_sregs(a, b);
		break;
	case USER_events:
		user_events(a, b);
		break;
	case USER_debug:
		if (a)
			single_steps = a;
		else
			user_debug(b, c);
		break;
	case USER_smi:
		record_result("result", __vcpu_ioctl(vcpu, KVM_SMI, NULL));
		break;
	case USER_nmi:
		record_result("result", __vcpu_ioctl(vcpu, KVM_NMI, NULL));
		break;
	case USER_interrupt:
		user_interrupt(a, b);
		break;
	case USER_immediate:
		immediate_next = true;
		break;
	case USER_signal:
		signal_next = true;
		break;
	case USER_cpu:
		user_cpu(a);
		break;
	case USER_regs:
		user_regs();
		break;
	case USER_statistics:
		user_statistics();
		break;
	case USER_lapic:
		user_lapic();
		break;
	case USER_capability:
		user_capability(a);
		break;
	case USER_storm:
		storm.next = true;
		storm.kinds = a;
		storm.page = b;
		storm.bit = c;
		break;
	}
}
