/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The emulator's instrumentation interface: which of its hooks this library uses.
 *
 * Invariant: while no window is open, an instruction costs two comparisons here, an access to data and
 * a conditional branch one. The hooks in use are expanded in the emulator's own code; every other hook
 * is empty and costs nothing.
 */
#if BX_INSTRUMENTATION

#include "cpu/decoder/ia_opcodes.h"

class bxInstruction_c;

/* strict.cc: the rules about VMCSs; patches call the functions where an instruction touches them. */
bx_ptr_equiv_t strict_load(unsigned cpu, Bit64u address);
void strict_clear(unsigned cpu, Bit64u address);
void strict_entry(unsigned cpu, bool launch, Bit32u launch_state);
void strict_entered(unsigned cpu);
void strict_none_current(unsigned cpu);
void strict_vmxoff(unsigned cpu);
void strict_sleep(unsigned cpu);

/* The current VMCS: a name for its vCPU, and whether it is what that vCPU runs L2 with. */
Bit64u strict_vcpu(unsigned cpu);
bool strict_is_l2s(unsigned cpu);

/* reach.cc: patches call the functions in non-root mode, the last two where nothing exits. */
void reach_entered(unsigned cpu);
void reach_exit(unsigned cpu, Bit32u reason);
void reach_vmwrite(unsigned cpu, bxInstruction_c *i);
void reach_rdmsr(unsigned cpu, Bit32u msr);
void reach_wrmsr(unsigned cpu, Bit32u msr);

/* caches.cc: of the open window, but the mark, which says where kvm_intel is. */
void caches_module_mark(unsigned cpu);
void caches_open(void);
void caches_instruction(unsigned cpu, bxInstruction_c *i);
void caches_exit(unsigned cpu);
void caches_access(unsigned cpu, Bit64u linear, Bit64u physical, unsigned length, unsigned rw);
void caches_branch(unsigned cpu, Bit64u ip, bool taken);
void caches_write(FILE *out);
void caches_close(void);

/* While it lives, the VMCS at the link pointer is accessed in place of the current one. */
class strict_link {
public:
	explicit strict_link(unsigned cpu);
	~strict_link();
private:
	unsigned cpu;
	Bit64u current;
	bx_ptr_equiv_t bytes;
};

extern bool counters_open;

void counters_instruction(unsigned int cpu, bxInstruction_c *i);
void counters_exit(unsigned int cpu, Bit32u reason);

#define BX_INSTR_BEFORE_EXECUTION(cpu, i) do {				\
	if (__builtin_expect(counters_open ||				\
			     (i)->getIaOpcode() == BX_IA_XCHG_EwGw, 0))	\
		counters_instruction(cpu, i);				\
} while (0)
#define BX_INSTR_VMEXIT(cpu, reason, qualification) do {		\
	reach_exit(cpu, reason);					\
	if (counters_open)						\
		counters_exit(cpu, reason);				\
} while (0)
#define BX_INSTR_LIN_ACCESS(cpu, lin, phy, len, memtype, rw) do {	\
	if (__builtin_expect(counters_open, 0))				\
		caches_access(cpu, lin, phy, len, rw);			\
} while (0)
#define BX_INSTR_CNEAR_BRANCH_TAKEN(cpu, branch_eip, new_eip) do {	\
	if (__builtin_expect(counters_open, 0))				\
		caches_branch(cpu, branch_eip, true);			\
} while (0)
#define BX_INSTR_CNEAR_BRANCH_NOT_TAKEN(cpu, branch_eip) do {		\
	if (__builtin_expect(counters_open, 0))				\
		caches_branch(cpu, branch_eip, false);			\
} while (0)
#define BX_INSTR_MWAIT(cpu, addr, len, flags) do {			\
	if (!((flags) & 1))						\
		strict_sleep(cpu);					\
} while (0)

#else

#define BX_INSTR_BEFORE_EXECUTION(cpu, i)
#define BX_INSTR_VMEXIT(cpu, reason, qualification)
#define BX_INSTR_LIN_ACCESS(cpu, lin, phy, len, memtype, rw)
#define BX_INSTR_CNEAR_BRANCH_TAKEN(cpu, branch_eip, new_eip)
#define BX_INSTR_CNEAR_BRANCH_NOT_TAKEN(cpu, branch_eip)
#define BX_INSTR_MWAIT(cpu, addr, len, flags)

#endif

#define BX_INSTR_INIT_ENV()
#define BX_INSTR_EXIT_ENV()
#define BX_INSTR_INITIALIZE(cpu)
#define BX_INSTR_EXIT(cpu)
#define BX_INSTR_RESET(cpu, type)
#define BX_INSTR_HLT(cpu)
#define BX_INSTR_DEBUG_PROMPT()
#define BX_INSTR_DEBUG_CMD(cmd)
#define BX_INSTR_UCNEAR_BRANCH(cpu, what, branch_eip, new_eip)
#define BX_INSTR_FAR_BRANCH(cpu, what, prev_cs, prev_eip, new_cs, new_eip)
#define BX_INSTR_OPCODE(cpu, i, opcode, len, is32, is64)
#define BX_INSTR_EXCEPTION(cpu, vector, error_code)
#define BX_INSTR_INTERRUPT(cpu, vector)
#define BX_INSTR_HWINTERRUPT(cpu, vector, cs, eip)
#define BX_INSTR_CLFLUSH(cpu, laddr, paddr)
#define BX_INSTR_CACHE_CNTRL(cpu, what)
#define BX_INSTR_TLB_CNTRL(cpu, what, new_cr3)
#define BX_INSTR_PREFETCH_HINT(cpu, what, seg, offset)
#define BX_INSTR_AFTER_EXECUTION(cpu, i)
#define BX_INSTR_REPEAT_ITERATION(cpu, i)
#define BX_INSTR_PHY_ACCESS(cpu, phy, len, memtype, rw)
#define BX_INSTR_INP(addr, len)
#define BX_INSTR_INP2(addr, len, val)
#define BX_INSTR_OUTP(addr, len, val)
#define BX_INSTR_WRMSR(cpu, addr, value)
