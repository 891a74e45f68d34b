// SPDX-License-Identifier: GPL-2.0
/*
 * Cases of badinput_test: images for KVM_SET_NESTED_STATE, with some of it spoilt.
 */
#include "module/badinput/badinput.h"

union image image;

static uint8_t *vmcs12 = image.bytes + sizeof(struct kvm_nested_state);
static uint8_t *shadow_vmcs12 = image.bytes + sizeof(struct kvm_nested_state) +
				KVM_STATE_NESTED_VMX_VMCS_SIZE;

/* Offsets in KVM's vmcs12, which are part of its user-space interface. */
enum {
	LINK_POINTER = 176, EPTP = 120,
	FIELDS_BEGIN = 40, FIELDS_END = 1000,
	PIN_CONTROLS = 744, CPU_CONTROLS = 748, EXIT_CONTROLS = 768, ENTRY_CONTROLS = 780,
	SECONDARY_CONTROLS = 804,
};

static const uint16_t pointers[] = {
	40, 48 /* I/O bitmaps */, 56 /* MSR bitmap */, 64, 72, 80 /* MSR lists */,
	96 /* virtual-APIC page */, 104 /* APIC access */, 112 /* posted interrupts */,
	LINK_POINTER, 280, 288 /* VMREAD and VMWRITE bitmaps */, 304 /* EPTP list */,
	312 /* PML */,
};

static const uint16_t controls[] = {
	PIN_CONTROLS, CPU_CONTROLS, EXIT_CONTROLS, ENTRY_CONTROLS, SECONDARY_CONTROLS,
};

/* Control bits that make KVM look at a pointer. */
static const struct {
	uint16_t offset;
	uint8_t bit;
} pointer_users[] = {
	{ CPU_CONTROLS, 21 }, { CPU_CONTROLS, 25 }, { CPU_CONTROLS, 28 }, { PIN_CONTROLS, 7 },
	{ SECONDARY_CONTROLS, 0 }, { SECONDARY_CONTROLS, 4 }, { SECONDARY_CONTROLS, 8 },
	{ SECONDARY_CONTROLS, 9 }, { SECONDARY_CONTROLS, 13 }, { SECONDARY_CONTROLS, 14 },
	{ SECONDARY_CONTROLS, 17 }, { CPU_CONTROLS, 31 }, { EXIT_CONTROLS, 15 },
};

/*
 * Where L1's VMX pages are, and beyond; guest code lies below, and the emulator
 * cannot fetch an instruction from a virtual-APIC page.
 */
static uint64_t address_in_memory(void)
{
	return vmx_pages->vmxon_gpa + below(memory_size - vmx_pages->vmxon_gpa);
}

static uint64_t hostile_address(void)
{
	const uint64_t choices[] = {
		0, 1, 0xfff, 0x1000, memory_size - 0x1000, memory_size, memory_size + 0x1000,
		1ull << 36, (1ull << 52) - 0x1000, 1ull << 63, -1ull, -0x1000ull, 0xfee00000,
		vm_pgd(vm), vmx_pages->vmcs_gpa, vmx_pages->vmxon_gpa, vmx_pages->msr_gpa,
		address_in_memory(), address_in_memory() & ~0xfffull,
		address_in_memory() & ~0xfffull, random_number() | 1,
	};

	return choices[below(ARRAY_SIZE(choices))];
}

static void flip(uint16_t offset, uint8_t bit)
{
	vmcs12[offset + bit / 8] ^= 1 << bit % 8;
}

void spoil_vmcs12(void)
{
	static const uint64_t values[] = { 0, 1, -1, 1ull << 31, 1ull << 63, 0x7fffffff };
	uint64_t value;
	uint16_t offset;
	unsigned int i;

	for (i = below(4); i; i--) {
		value = hostile_address();
		memcpy(vmcs12 + pointers[below(ARRAY_SIZE(pointers))], &value, 8);
	}
	for (i = below(4); i; i--) {
		unsigned int n = below(ARRAY_SIZE(pointer_users));

		flip(pointer_users[n].offset, pointer_users[n].bit);
	}
	if (one_in(4))
		flip(controls[below(ARRAY_SIZE(controls))], below(32));
	if (one_in(3)) {
		/*
		 * Not the EPT pointer: an address outside guest memory trips a
		 * warning in stock KVM 6.1 itself.
		 */
		do {
			offset = FIELDS_BEGIN + 2 * below((FIELDS_END - FIELDS_BEGIN) / 2 - 4);
		} while (offset > EPTP - 8 && offset < EPTP + 8);
		value = one_in(2) ? random_number() : values[below(ARRAY_SIZE(values))];
		memcpy(vmcs12 + offset, &value, 2 << below(3));
	}
}

static void spoil_header(void)
{
	switch (below(8)) {
	case 0:
		image.state.flags ^= 1 << below(16);
		break;
	case 1:
		image.state.format = below(3);
		break;
	case 2:
		image.state.size = below(2) ? below(IMAGE_SIZE + 8) : random_number();
		break;
	case 3:
		image.state.hdr.vmx.vmxon_pa = hostile_address();
		break;
	case 4:
		image.state.hdr.vmx.vmcs12_pa = hostile_address();
		break;
	case 5:
		image.state.hdr.vmx.smm.flags = below(8);
		break;
	case 6:
		image.state.hdr.vmx.flags = random_number();
		break;
	case 7:
		image.state.hdr.vmx.preemption_timer_deadline = random_number();
		image.state.hdr.vmx.flags = KVM_STATE_VMX_PREEMPTION_TIMER_DEADLINE;
		break;
	}
}

/* A shadow vmcs12 that claims to be one, or nearly. */
static void add_shadow_vmcs12(void)
{
	uint64_t link = below(2) ? vmx_pages->shadow_vmcs_gpa : hostile_address();
	uint32_t revision;
	unsigned int i;

	memcpy(&revision, vmcs12, sizeof(revision));
	revision |= 1u << 31;
	for (i = 0; i < KVM_STATE_NESTED_VMX_VMCS_SIZE; i++)
		shadow_vmcs12[i] = random_number() >> 56;
	if (!one_in(4))
		memcpy(shadow_vmcs12, &revision, sizeof(revision));
	memcpy(vmcs12 + LINK_POINTER, &link, sizeof(link));
	flip(SECONDARY_CONTROLS, 14);
	image.state.size = IMAGE_SIZE;
}

void valid_image(void)
{
	memset(&image, 0, sizeof(image));
	memcpy(&image, &paused->nested, paused->nested.size);
}

static void spoilt_image(void)
{
	valid_image();
	if (one_in(4))
		spoil_header();
	if (one_in(8))
		add_shadow_vmcs12();
	if (one_in(32)) {
		unsigned int i;

		for (i = below(8); i < KVM_STATE_NESTED_VMX_VMCS_SIZE; i++)
			vmcs12[i] = random_number() >> 56;
	} else {
		spoil_vmcs12();
	}
}

void valid_image_is_accepted(void)
{
	create_vm(false);
	begin_verdicts();
	ksft_print_msg("%zu KiB of guest memory\n", memory_size / 1024);
	rewind_vm();
	valid_image();
	EXPECT(try_image(&image), "the VM is dead");
	EXPECT(accepted == 1 && !stuck, "refused, or it ran on");
	print_verdicts("valid");
	destroy_vm();
}

void header_of_the_image(void)
{
	struct kvm_nested_state *state = &image.state;
	uint64_t pa;
	unsigned int i;

	create_vm(false);
	begin_verdicts();
	for (i = 0; i < sizeof(image.state) + 8; i += 4) {
		rewind_vm();
		valid_image();
		state->size = i;
		try_image(state);
	}
	for (i = 0; i < 16; i++) {
		rewind_vm();
		valid_image();
		state->flags ^= 1 << i;
		try_image(state);
	}
	for (i = 0; i < 64; i++) {
		rewind_vm();
		valid_image();
		pa = i & 1 ? hostile_address() : state->hdr.vmx.vmxon_pa;
		state->hdr.vmx.vmxon_pa = pa;
		state->hdr.vmx.vmcs12_pa = i & 2 ? hostile_address() : pa;
		try_image(state);
	}
	EXPECT(refused > 60, "%lu refused only", refused);
	print_verdicts("headers");

	/* Not memory at all, or too little of it. */
	EXPECT(set_nested(NULL) && errno == EFAULT, "%s", strerror(errno));
	EXPECT(set_nested((void *)-4096ul) && errno == EFAULT, "%s", strerror(errno));
	destroy_vm();
}

void contents_of_the_image(void)
{
	unsigned int i;
	bool alive = false;

	begin_verdicts();
	for (i = 0; i < IMAGES; i++) {
		if (i % IMAGES_PER_VM == 0 || !alive) {
			if (i)
				destroy_vm();
			create_vm(i / IMAGES_PER_VM & 1);
		}
		rewind_vm();
		spoilt_image();
		alive = try_image(&image);
	}
	destroy_vm();
	EXPECT(accepted > IMAGES / 10 && refused > IMAGES / 10,
	       "accepted %lu, refused %lu: the images are too tame or too wild", accepted, refused);
	print_verdicts("contents");
}
