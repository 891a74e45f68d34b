// SPDX-License-Identifier: GPL-2.0
/*
 * The loop of tiny hypervisors around their L2: see tiny_hypervisor.h.
 */
#include "lib/tiny_hypervisor.h"

asm(".pushsection .text\n"
	".globl resume_l2\n"
	"resume_l2:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"push %rax\n"			/* aligns the stack */
	"push %rdi; push %rdx\n"
	"mov %rsi, %rax\n"
	"mov %rsp, %rsi\n"
	"lea 2f(%rip), %rdx\n"
	"call *%rax\n"
	"jmp 2f\n"
	"1:	vmresume\n"
	"ud2\n"
	"3:	vmlaunch\n"
	"ud2\n"
	"2:	mov 8(%rsp), %rdi\n"
	"call *(%rsp)\n"
	"test %eax, %eax\n"		/* RESUME_L2 */
	"jz 1b\n"
	"dec %eax\n"			/* LAUNCH_L2 */
	"jz 3b\n"
	"add $24, %rsp\n"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"ret\n"
	".popsection\n");
