// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU's state in the differential test: see state.h.
 */
#include "kvm_util.h"

#include "differential/image.h"
#include "differential/memory.h"
#include "differential/state.h"
#include "differential/transcript.h"
#include "differential/user.h"

static const uint32_t known_msrs[] = {
	0x1b, 0x3a, 0x48, 0x8b, 0x174, 0x175, 0x176, 0x1a0, 0x1d9, 0x277, 0xda0,
	0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084,
	0xc0000100, 0xc0000101, 0xc0000102, 0xc0000103,
	0x480, 0x481, 0x482, 0x483, 0x484, 0x485, 0x486, 0x487, 0x488, 0x489, 0x48a,
	0x48b, 0x48c, 0x48d, 0x48e, 0x48f, 0x490, 0x491, 0x9e, 0x345, 0x38f,
};

struct one_msr {
	struct kvm_msrs header;
	struct kvm_msr_entry entry;
};

int msr_get(uint32_t index, uint64_t *value)
{
	struct one_msr one = { .header.nmsrs = 1, .entry.index = index };
	int result = __vcpu_ioctl(vcpu, KVM_GET_MSRS, &one.header);

	*value = one.entry.data;
	return result;
}

int msr_set(uint32_t index, uint64_t value)
{
	struct one_msr one = { .header.nmsrs = 1, .entry = { .index = index, .data = value } };

	return __vcpu_ioctl(vcpu, KVM_SET_MSRS, &one.header);
}

struct all_msrs {
	struct kvm_msrs header;
	struct kvm_msr_entry entry[ARRAY_SIZE(known_msrs)];
};

/* The known ones: in one call, but for one more after each that is refused. */
static void msrs_get(uint64_t *values, bool *got)
{
	unsigned int i, done = 0;
	struct all_msrs all;
	int result;

	while (done < ARRAY_SIZE(known_msrs)) {
		all.header = (struct kvm_msrs){ .nmsrs = ARRAY_SIZE(known_msrs) - done };
		for (i = 0; i < all.header.nmsrs; i++)
			all.entry[i] = (struct kvm_msr_entry){ .index = known_msrs[done + i] };
		result = __vcpu_ioctl(vcpu, KVM_GET_MSRS, &all.header);
		for (i = 0; i < all.header.nmsrs && (int)i <= result; i++) {
			values[done + i] = all.entry[i].data;
			got[done + i] = (int)i < result;
		}
		done += result < 0 ? all.header.nmsrs : i;
	}
}

/*
 * KVM leaves what it queued last in the members of an event that is not there.  What
 * that was depends on time: when L0's tick comes between the VM entry that L1 asked
 * for and the CPU's, KVM takes L1's event back and queues it (vmx_cancel_injection()),
 * otherwise never.
 */
void events_get(struct kvm_vcpu_events *events)
{
	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, events));
	if (!events->exception.injected && !events->exception.pending) {
		events->exception.nr = 0;
		events->exception.has_error_code = 0;
		events->exception.error_code = 0;
		events->exception_has_payload = 0;
		events->exception_payload = 0;
	}
	if (!events->interrupt.injected)
		events->interrupt.nr = 0;
	record_bytes("events", events, sizeof(*events));
}

void user_regs(void)
{
	uint64_t values[ARRAY_SIZE(known_msrs)] = {};
	bool got[ARRAY_SIZE(known_msrs)] = {};
	struct kvm_regs regs = {};
	struct kvm_sregs sregs = {};
	struct kvm_vcpu_events events = {};
	struct kvm_debugregs debug = {};
	struct kvm_mp_state mp = {};
	uint64_t all = 0;
	unsigned int i;

	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_REGS, &regs));
	record("rip", regs.rip);
	record("rflags", regs.rflags);
	record_bytes("regs", &regs, sizeof(regs));
	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs));
	record("cr0", sregs.cr0);
	record("cr3", sregs.cr3);
	record("cr4", sregs.cr4);
	record("efer", sregs.efer);
	record("apic base", sregs.apic_base);
	record_bytes("sregs", &sregs, sizeof(sregs));
	events_get(&events);
	record_result("get", __vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &debug));
	record_bytes("debugregs", &debug, sizeof(debug));
	__vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &mp);
	record("mp", mp.mp_state);
	msrs_get(values, got);
	for (i = 0; i < ARRAY_SIZE(known_msrs); i++) {
		if (full)
			printf("    msr %#x: %d %#lx\n", known_msrs[i], got[i], values[i]);
		all = (all ^ values[i] ^ got[i]) * 0x9e3779b97f4a7c15ul;
	}
	record("msrs", all);
}

union nested_image nested;

/* So that a transcript names the field of the image that differs. */
static void print_image(const uint8_t *image, size_t length)
{
	uint64_t word;
	size_t i;

	for (i = 0; i + sizeof(word) <= length; i += sizeof(word)) {
		memcpy(&word, image + i, sizeof(word));
		if (word)
			printf("  image+%#zx %#lx\n", i, word);
	}
}

long nested_read(void)
{
	long result;

	clear_words(&nested, sizeof(nested) / 8);
	nested.state.size = sizeof(nested);
	result = __vcpu_ioctl(vcpu, KVM_GET_NESTED_STATE, &nested.state);
	if (result)
		return result;
	record("flags", nested.state.flags);
	record("size", nested.state.size);
	record("vmxon", nested.state.hdr.vmx.vmxon_pa);
	record("vmcs12", nested.state.hdr.vmx.vmcs12_pa);
	record("smm", nested.state.hdr.vmx.smm.flags);
	record("deadline", nested.state.hdr.vmx.flags);
	if (nested.state.size > sizeof(nested.state) && nested.state.size <= sizeof(nested)) {
		size_t used = nested.state.size - sizeof(nested.state);

		if (full)
			print_image(nested.state.data.vmx->vmcs12,
				    used < PAGE_BYTES ? used : PAGE_BYTES);
		record_bytes("vmcs12 image", nested.state.data.vmx->vmcs12,
			     used < PAGE_BYTES ? used : PAGE_BYTES);
		if (used > PAGE_BYTES)
			record_bytes("shadow image", nested.state.data.vmx->shadow_vmcs12,
				     used - PAGE_BYTES);
	}
	return 0;
}

void user_nested_same(void)
{
	record_result("get", nested_read());
	record_result("set", __vcpu_ioctl(vcpu, KVM_SET_NESTED_STATE, &nested.state));
}

void user_nested_hostile(uint64_t where, uint64_t bits, uint64_t what)
{
	static union nested_image good;

	record_result("get", nested_read());
	good = nested;
	switch (what) {
	case 0:
		nested.state.flags ^= bits & 0xf;
		break;
	case 1:
		nested.state.hdr.vmx.vmxon_pa ^= bits;
		break;
	case 2:
		nested.state.hdr.vmx.vmcs12_pa ^= bits;
		break;
	case 3:
		nested.state.hdr.vmx.smm.flags ^= bits & 3;
		break;
	case 4:
		nested.state.size = where % sizeof(nested);
		break;
	case 5:
		nested.state.hdr.vmx.vmcs12_pa = -1;
		break;
	case 6:
		nested.state.hdr.vmx.vmxon_pa = -1;
		break;
	default:
		nested.bytes[sizeof(nested.state) + where % 1024] ^= bits;
		break;
	}
	record_result("set", __vcpu_ioctl(vcpu, KVM_SET_NESTED_STATE, &nested.state));
	record_result("again", __vcpu_ioctl(vcpu, KVM_SET_NESTED_STATE, &good.state));
	nested_read();
}

struct whole_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_mp_state mp;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_lapic_state lapic;
	uint64_t msr[ARRAY_SIZE(known_msrs)];
	bool has_msr[ARRAY_SIZE(known_msrs)];
};

static void whole_save(struct whole_state *state)
{
	__vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &state->events);
	__vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &state->mp);
	__vcpu_ioctl(vcpu, KVM_GET_REGS, &state->regs);
	__vcpu_ioctl(vcpu, KVM_GET_XSAVE, &state->xsave);
	__vcpu_ioctl(vcpu, KVM_GET_XCRS, &state->xcrs);
	__vcpu_ioctl(vcpu, KVM_GET_SREGS, &state->sregs);
	__vcpu_ioctl(vcpu, KVM_GET_LAPIC, &state->lapic);
	__vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &state->debug);
	nested_read();
	msrs_get(state->msr, state->has_msr);
}

static void whole_load(const struct whole_state *state)
{
	unsigned int i;

	record_result("sregs", __vcpu_ioctl(vcpu, KVM_SET_SREGS, &state->sregs));
	for (i = 0; i < ARRAY_SIZE(known_msrs); i++)
		if (state->has_msr[i])
			record("msr", msr_set(known_msrs[i], state->msr[i]));
	record_result("lapic", __vcpu_ioctl(vcpu, KVM_SET_LAPIC, &state->lapic));
	record_result("xcrs", __vcpu_ioctl(vcpu, KVM_SET_XCRS, &state->xcrs));
	record_result("xsave", __vcpu_ioctl(vcpu, KVM_SET_XSAVE, &state->xsave));
	record_result("events", __vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &state->events));
	record_result("mp", __vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &state->mp));
	record_result("debug", __vcpu_ioctl(vcpu, KVM_SET_DEBUGREGS, &state->debug));
	record_result("regs", __vcpu_ioctl(vcpu, KVM_SET_REGS, &state->regs));
	record_result("nested", __vcpu_ioctl(vcpu, KVM_SET_NESTED_STATE, &nested.state));
}

void user_nested_new_vm(void)
{
	static struct whole_state state;

	whole_save(&state);
	kvm_vm_release(vm);
	vcpu = vm_recreate_with_one_vcpu(vm);
	slots_add();
	whole_load(&state);
}
