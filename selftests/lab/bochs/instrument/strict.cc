// SPDX-License-Identifier: GPL-2.0
/*
 * A CPU as strict about VMCSs as the SDM lets a CPU be ("Virtual-Machine Control Structures":
 * "Overview", "VMCS Types", "Software Use of Virtual-Machine Control Structures").
 *
 * The data of an active VMCS are on the CPU alone. VMPTRLD, and VM entry with VMCS shadowing for
 * the VMCS that the link pointer names, bring them there, and fill the region in memory with a
 * pattern. VMCLEAR brings them back. The eight bytes that software may read, the revision and the
 * abort indicator, stay in memory.
 *
 * Software that breaks a rule stops the machine, with a sentence that names the rule. A real CPU
 * would go on, and nobody could say with what. The rules:
 *  - what VMPTRLD or a link pointer names was initialised by VMCLEAR, and nobody wrote to it since;
 *  - a VMCS is active on one CPU at a time, and VMCLEAR is executed there;
 *  - nobody writes to the region of an active VMCS;
 *  - VM entry: the current VMCS is no shadow VMCS; VMLAUNCH for one that is clear, VMRESUME for
 *    one that is launched; the VMCS at the link pointer was not loaded by VMPTRLD since its last
 *    VMCLEAR. (The last is stricter than the SDM, which only asks that it be active nowhere else.
 *    Software that does so need not know on which CPU it is active.)
 *  - in root mode there is a current VMCS when an instruction needs one;
 *  - VMXOFF, and HLT or MWAIT that no interrupt ends, come after VMCLEAR of all that are active on
 *    the CPU.
 *
 * It also knows whose VMCS is whose, for reach.cc. KVM gives a vCPU one VM-entry MSR-load area: vmcs01
 * and vmcs02 both name its address. A VMCS is L2's if an older active one names the same. A VMCS is as
 * old as the VMCLEAR that found its memory blank, as it is when KVM has just allocated it.
 *
 * Invariant: software that breaks no rule sees and does the same as without this file, but for the
 * memory of active VMCSs.
 */
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/icache.h"
#include "memory/memory-bochs.h"
#include <stdarg.h>
#include <memory>
#include <unordered_map>
#include <vector>

#if BX_INSTRUMENTATION

#define LOG_THIS genlog->

enum {
	HEADER = 8,		/* revision and abort indicator */
	PATTERN = 0xe5,
	SHADOW_BIT = 1u << 31,
	NOWHERE = ~0u,
};

/* A VMCS that was once the operand of VMCLEAR. */
struct region {
	alignas(VMX_VMCS_AREA_SIZE) Bit8u data[VMX_VMCS_AREA_SIZE]; /* inactive: as VMCLEAR left it */
	Bit64u address;
	unsigned cpu;		/* where it is active, or NOWHERE */
	bool loaded;		/* by VMPTRLD since the last VMCLEAR */
	Bit64u born;		/* the order in which they were allocated */
	bool level_known, l2s;	/* since then, from the first entry on */
};

struct on_cpu {
	unsigned active;
	region *link;		/* what VMREAD and VMWRITE access in non-root mode */
	Bit64u entry;		/* RIP of the last VM entry */
};

static std::unordered_map<Bit64u, std::unique_ptr<region>> regions;
static std::vector<on_cpu> cpus;

static on_cpu *state(unsigned cpu)
{
	if (cpus.empty())
		cpus.resize(BX_SMP_PROCESSORS);
	return &cpus[cpu];
}

static void stop(unsigned cpu, const char *format, ...)
{
	char sentence[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	BX_FATAL(("VMX rule broken: %s (CPU %u, RIP 0x" FMT_LL "x)", sentence, cpu,
		  BX_CPU(cpu)->in_vmx_guest ? state(cpu)->entry :
					      BX_CPU(cpu)->get_instruction_pointer()));
}

static region *find(Bit64u address)
{
	auto found = regions.find(address);

	return found == regions.end() ? NULL : found->second.get();
}

static Bit8u *memory(unsigned cpu, Bit64u address)
{
	Bit8u *bytes = BX_MEM(0)->getHostMemAddr(BX_CPU(cpu), address, BX_WRITE);

	if (!bytes)
		BX_FATAL(("a VMCS at 0x" FMT_LL "x, which is no RAM", address));
	pageWriteStampTable.decWriteStamp(address);
	return bytes;
}

static bool is_filled(const Bit8u *bytes, Bit8u with)
{
	return bytes[HEADER] == with &&
	       !memcmp(bytes + HEADER, bytes + HEADER + 1, VMX_VMCS_AREA_SIZE - HEADER - 1);
}

static Bit8u *field(unsigned cpu, region *vmcs, Bit32u encoding)
{
	return vmcs->data + BX_CPU(cpu)->vmcs_map->vmcs_field_offset(encoding);
}

static bool is_shadow(region *vmcs)
{
	Bit32u revision;

	memcpy(&revision, vmcs->data, sizeof(revision));
	return revision & SHADOW_BIT;
}

static Bit32u *launch_state(unsigned cpu, region *vmcs)
{
	return (Bit32u *)field(cpu, vmcs, VMCS_LAUNCH_STATE_FIELD_ENCODING);
}

/* Make it active on a CPU; how says what for. */
static region *activate(unsigned cpu, Bit64u address, const char *how)
{
	region *vmcs = find(address);
	Bit8u *bytes;

	if (!vmcs)
		stop(cpu, "%s 0x" FMT_LL "x, which never was the operand of VMCLEAR", how, address);
	if (vmcs->cpu == cpu)
		return vmcs;
	if (vmcs->cpu != NOWHERE)
		stop(cpu, "%s 0x" FMT_LL "x, which is active on CPU %u", how, address, vmcs->cpu);
	bytes = memory(cpu, address);
	if (memcmp(bytes + HEADER, vmcs->data + HEADER, VMX_VMCS_AREA_SIZE - HEADER))
		stop(cpu, "%s 0x" FMT_LL "x, which was written to since its last VMCLEAR", how, address);
	memcpy(vmcs->data, bytes, HEADER);
	memset(bytes + HEADER, PATTERN, VMX_VMCS_AREA_SIZE - HEADER);
	vmcs->cpu = cpu;
	state(cpu)->active++;
	return vmcs;
}

bx_ptr_equiv_t strict_load(unsigned cpu, Bit64u address)
{
	region *vmcs = activate(cpu, address, "VMPTRLD of");

	vmcs->loaded = true;
	return (bx_ptr_equiv_t)vmcs->data;
}

static void bear(region *vmcs)
{
	static Bit64u births;

	vmcs->born = ++births;
	vmcs->level_known = false;
}

void strict_clear(unsigned cpu, Bit64u address)
{
	Bit8u *bytes = memory(cpu, address);
	region *vmcs = find(address);

	if (!vmcs) {
		vmcs = new region();
		vmcs->address = address;
		vmcs->cpu = NOWHERE;
		regions[address].reset(vmcs);
	}
	if (vmcs->cpu == cpu) {
		if (!is_filled(bytes, PATTERN))
			stop(cpu, "memory of the active VMCS at 0x" FMT_LL "x was written to", address);
		*launch_state(cpu, vmcs) = VMCS_STATE_CLEAR;
		memcpy(bytes + HEADER, vmcs->data + HEADER, VMX_VMCS_AREA_SIZE - HEADER);
		state(cpu)->active--;
	} else if (vmcs->cpu != NOWHERE) {
		stop(cpu, "VMCLEAR of 0x" FMT_LL "x, which is active on CPU %u", address, vmcs->cpu);
	} else {
		if (!vmcs->born || is_filled(bytes, 0))
			bear(vmcs);
		memcpy(vmcs->data, bytes, VMX_VMCS_AREA_SIZE);
		*launch_state(cpu, vmcs) = VMCS_STATE_CLEAR;
	}
	vmcs->cpu = NOWHERE;
	vmcs->loaded = false;
	if (state(cpu)->link == vmcs)
		state(cpu)->link = NULL;
}

void strict_entry(unsigned cpu, bool launch, Bit32u launch_state)
{
	region *vmcs = find(BX_CPU(cpu)->vmcsptr);

	state(cpu)->entry = BX_CPU(cpu)->get_instruction_pointer();
	if (is_shadow(vmcs))
		stop(cpu, "VM entry, and the current VMCS at 0x" FMT_LL "x is a shadow VMCS", vmcs->address);
	if (launch && launch_state != VMCS_STATE_CLEAR)
		stop(cpu, "VMLAUNCH of 0x" FMT_LL "x, which is launched", vmcs->address);
	if (!launch && launch_state != VMCS_STATE_LAUNCHED)
		stop(cpu, "VMRESUME of 0x" FMT_LL "x, which is clear", vmcs->address);
}

void strict_entered(unsigned cpu)
{
	VMCS_CACHE *controls = &BX_CPU(cpu)->vmcs;
	region *link;

	if (!controls->vmexec_ctrls2.VMCS_SHADOWING() || controls->vmcs_linkptr == BX_INVALID_VMCSPTR)
		return;
	link = activate(cpu, controls->vmcs_linkptr, "VM entry with the link pointer");
	if (link->loaded)
		stop(cpu, "VM entry with the link pointer 0x" FMT_LL "x, which is active by VMPTRLD",
		     link->address);
	state(cpu)->link = link;
}

strict_link::strict_link(unsigned which)
	: cpu(which), current(BX_CPU(which)->vmcsptr), bytes(BX_CPU(which)->vmcshostptr)
{
	BX_CPU(cpu)->vmcsptr = state(cpu)->link->address;
	BX_CPU(cpu)->vmcshostptr = (bx_ptr_equiv_t)state(cpu)->link->data;
}

strict_link::~strict_link()
{
	BX_CPU(cpu)->vmcsptr = current;
	BX_CPU(cpu)->vmcshostptr = bytes;
}

void strict_none_current(unsigned cpu)
{
	if (BX_CPU(cpu)->in_vmx && !BX_CPU(cpu)->in_vmx_guest)
		stop(cpu, "a VMX instruction needs a current VMCS, and there is none");
}

static Bit64u vcpu_of(unsigned cpu, region *vmcs)
{
	Bit64u address;

	memcpy(&address, field(cpu, vmcs, VMCS_64BIT_CONTROL_VMENTRY_MSR_LOAD_ADDR), sizeof(address));
	return address;
}

Bit64u strict_vcpu(unsigned cpu)
{
	return vcpu_of(cpu, find(BX_CPU(cpu)->vmcsptr));
}

bool strict_is_l2s(unsigned cpu)
{
	region *vmcs = find(BX_CPU(cpu)->vmcsptr);
	Bit64u vcpu;

	if (vmcs->level_known)
		return vmcs->l2s;
	vcpu = vcpu_of(cpu, vmcs);
	vmcs->level_known = true;
	vmcs->l2s = false;
	for (auto &entry : regions) {
		region *other = entry.second.get();

		if (vcpu && other->cpu != NOWHERE && other->born < vmcs->born && !is_shadow(other) &&
		    vcpu_of(cpu, other) == vcpu)
			vmcs->l2s = true;
	}
	return vmcs->l2s;
}

/* The CPU may lose what it holds. */
static void must_be_empty(unsigned cpu, const char *event)
{
	if (!state(cpu)->active)
		return;
	for (auto &entry : regions)
		if (entry.second->cpu == cpu)
			stop(cpu, "%s, and %u VMCSs are active, one at 0x" FMT_LL "x", event,
			     state(cpu)->active, entry.first);
}

void strict_vmxoff(unsigned cpu)
{
	must_be_empty(cpu, "VMXOFF");
}

void strict_sleep(unsigned cpu)
{
	if (!BX_CPU(cpu)->in_vmx_guest && !BX_CPU(cpu)->get_IF())
		must_be_empty(cpu, "the CPU is halted for good");
}

#endif
