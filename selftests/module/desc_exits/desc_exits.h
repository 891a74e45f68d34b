/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest of desc_exits_test and its cases share.
 */
#ifndef DESC_EXITS_DESC_EXITS_H
#define DESC_EXITS_DESC_EXITS_H

#include "kvm_util.h"
#include "processor.h"
#include "apic.h"

#include "lib/guest.h"

/* What a form does, and to what. */
enum { STORES_GDT, STORES_IDT, STORES_LDT, STORES_TR, LOADS_GDT, LOADS_IDT, LOADS_LDT, LOADS_TR };

#define INDEX		3
#define FS_BASE		0x5000ul
#define WAKE_VECTOR	0x40
#define RFLAGS_TF	BIT_ULL(8)
#define MANY		2000	/* accesses of SGDT_MANY */
#define MEMORY		0	/* size of the operand, where it is in memory */

/*
 * F(name, before, instruction, after, what it does, size of its register or MEMORY, distance of
 * RDI from the operand).  RDI has an address, RAX a value, RSI INDEX.
 */
#define PLAIN(F, NAME, INSN, WHAT, SIZE)	F(NAME, "", INSN, "", WHAT, SIZE, 0)
#define TRAP	"lea -128(%%rsp), %%rsp; pushfq; orl $0x100, (%%rsp); popfq"
#define UNTRAP	"lea 128(%%rsp), %%rsp"
#define FORMS(F) \
	PLAIN(F, SGDT, "sgdt (%%rdi)", STORES_GDT, MEMORY) \
	PLAIN(F, SIDT, "sidt (%%rdi)", STORES_IDT, MEMORY) \
	F(SGDT_BYTE, "", "sgdt -0x10(%%rdi)", "", STORES_GDT, MEMORY, -0x10) \
	F(SGDT_LONG, "", "sgdt 0x12340(%%rdi)", "", STORES_GDT, MEMORY, 0x12340) \
	F(SGDT_INDEX, "", "sgdt (%%rdi,%%rsi,8)", "", STORES_GDT, MEMORY, 8 * INDEX) \
	F(SIDT_INDEX, "mov %%rdi, %%r13", "sidt 1(%%rsi,%%r13,1)", "", STORES_IDT, MEMORY, \
	  INDEX + 1) \
	F(SGDT_ADDR32, "bts $40, %%rdi", "sgdt (%%edi)", "", STORES_GDT, MEMORY, 0) \
	F(SGDT_FS, "", "sgdt %%fs:(%%rdi)", "", STORES_GDT, MEMORY, FS_BASE) \
	F(SGDT_ES, "", ".byte 0x26; sgdt (%%rdi)", "", STORES_GDT, MEMORY, 0) \
	F(SIDT_STACK, "mov %%rsp, %%rdx; mov %%rdi, %%rsp", "sidt (%%rsp)", "mov %%rdx, %%rsp", \
	  STORES_IDT, MEMORY, 0) \
	F(SIDT_FRAME, "mov %%rbp, %%rdx; mov %%rdi, %%rbp", "sidt (%%rbp)", "mov %%rdx, %%rbp", \
	  STORES_IDT, MEMORY, 0) \
	PLAIN(F, SGDT_DATA16, ".byte 0x66; sgdt (%%rdi)", STORES_GDT, MEMORY) \
	PLAIN(F, SLDT, "sldt (%%rdi)", STORES_LDT, MEMORY) \
	PLAIN(F, SLDT_DATA16, ".byte 0x66; sldt (%%rdi)", STORES_LDT, MEMORY) \
	PLAIN(F, SLDT_REXW, ".byte 0x48; sldt (%%rdi)", STORES_LDT, MEMORY) \
	PLAIN(F, SLDT_AX, "sldt %%ax", STORES_LDT, 2) \
	PLAIN(F, SLDT_EAX, "sldt %%eax", STORES_LDT, 4) \
	PLAIN(F, SLDT_RAX, "sldt %%rax", STORES_LDT, 8) \
	PLAIN(F, SLDT_PREFIXES, ".byte 0x2e, 0x67, 0x66, 0x48; sldt %%eax", STORES_LDT, 8) \
	PLAIN(F, SLDT_LATE_PREFIX, ".byte 0x48, 0x66; sldt %%eax", STORES_LDT, 2) \
	F(SLDT_R8W, "mov %%rax, %%r8", "sldt %%r8w", "mov %%r8, %%rax", STORES_LDT, 2, 0) \
	F(SLDT_R13D, "mov %%rax, %%r13", "sldt %%r13d", "mov %%r13, %%rax", STORES_LDT, 4, 0) \
	F(SLDT_RSP, "mov %%rsp, %%rdx; mov %%rax, %%rsp", "sldt %%rsp", \
	  "mov %%rsp, %%rax; mov %%rdx, %%rsp", STORES_LDT, 8, 0) \
	PLAIN(F, STR, "str (%%rdi)", STORES_TR, MEMORY) \
	PLAIN(F, STR_AX, "str %%ax", STORES_TR, 2) \
	PLAIN(F, STR_EAX, "str %%eax", STORES_TR, 4) \
	PLAIN(F, STR_RAX, "str %%rax", STORES_TR, 8) \
	PLAIN(F, LGDT, "lgdt (%%rdi)", LOADS_GDT, MEMORY) \
	PLAIN(F, LIDT, "lidt (%%rdi)", LOADS_IDT, MEMORY) \
	PLAIN(F, LLDT, "lldt (%%rdi)", LOADS_LDT, MEMORY) \
	PLAIN(F, LLDT_AX, "lldt %%ax", LOADS_LDT, 2) \
	PLAIN(F, LTR, "ltr (%%rdi)", LOADS_TR, MEMORY) \
	PLAIN(F, LTR_AX, "ltr %%ax", LOADS_TR, 2) \
	F(SGDT_TF, TRAP, "sgdt (%%rdi)", UNTRAP, STORES_GDT, MEMORY, 0) \
	F(SLDT_TF, TRAP, "sldt %%eax", UNTRAP, STORES_LDT, 4, 0) \
	F(SGDT_STI, "sti", "sgdt (%%rdi)", "cli", STORES_GDT, MEMORY, 0) \
	F(SGDT_AC, "stac", "sgdt (%%rdi)", "clac", STORES_GDT, MEMORY, 0) \
	F(SGDT_MANY, "mov $2000, %%edx; 2:", "sgdt (%%rdi)", "dec %%edx; jnz 2b", STORES_GDT, \
	  MEMORY, 0) \
	F(SLDT_TABLE, "mov %%rax, %%r13", "sldt (%%rdi)", \
	  "mov %%cr3, %%rax; mov %%rax, %%cr3; mov (%%r13), %%rax", STORES_LDT, MEMORY, 0)

enum form {
#define F(NAME, ...) FORM_##NAME,
	FORMS(F)
#undef F
	NR_FORMS,
	NR_PLAIN_FORMS = FORM_SGDT_TF	/* the others raise exceptions, or change flags */
};

struct request {
	enum form form;
	uint64_t rdi, rax;
	bool interrupt;			/* one is pending */
};

struct answer {
	uint64_t rax;
	uint64_t exceptions, vector, error_code, cr2;
	int64_t distance;		/* from the end of the instruction to where the last came */
};

extern struct request request;
extern struct answer answer;
extern uint64_t after_it;	/* the address behind the instruction of the last form */
void guest_code(void);
void note_exception(struct ex_regs *regs);

/* The host's. */
#define TABLE_SIZE	10
#define FILLER		0xa5
#define PTE_P		BIT_ULL(0)
#define PTE_US		BIT_ULL(2)
#define PTE_FRAME	0x000ffffffffff000ull
#define PF_WRITE	2
#define SLOT		5
#define SLOT_GPA	0x80000000ul

extern vm_vaddr_t target;	/* two pages, and none behind them */
extern uint8_t *target_hva;
extern struct kvm_sregs sregs;	/* as the vCPU has them */
uint64_t *entry_in(uint64_t table, uint64_t address, int level);
uint64_t *entry_of(uint64_t gva, int level);
void create_vm(void);
void create_vm_with_ring(uint32_t size);
void execute_at(enum form form, uint64_t gva, uint64_t rax);
void execute(enum form form, uint64_t rax);
void expect_no_exception(const char *name);
void expect_exception(int vector, uint64_t error_code, const char *name);
void count_from_here(void);
void expect_fast(unsigned int number, const char *name);
void expect_table(const struct kvm_dtable *table, const char *name);
void load_table(enum form form, uint16_t limit, uint64_t base);
void expect_written_to(uint8_t *page, uint8_t *other, const char *when);
uint8_t *new_memory(uint64_t size);
void set_slot(uint32_t slot, uint64_t gpa, void *memory, uint64_t size, uint32_t flags);
void map_target_to(uint64_t gpa);

void page_tables_change(void);
void accessed_and_dirty_flags(void);
void cr3_changes(void);
void page_of_user_space(void);
void memslots_change(void);
void dirty_log_read(void);
void dirty_log_read_and_cleared(void);
void dirty_log_initially_set(void);
void dirty_ring(void);
void dirty_ring_full(void);
void smm_has_other_memory(void);
void table_of_the_guest(void);
void table_of_l1_for_l2(void);
void cpu_has_umip(void);

#endif
