/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The whole firmware of the emulated machine: a 64 KiB ROM that enters the
 * kernel which the emulator has already put into memory.
 *
 * directboot.py assembles it and defines KERNEL_ENTRY (startup_64, physical) and
 * BOOT_PARAMS.  Invariant: the kernel is entered at most once.  A second pass
 * means that it asked for a reset (a panic does): the machine is switched off.
 */
	.set	PAGE_TABLES, 0x70000	/* PML4, PDPT, four page directories */
	.set	STACK, 0x80000
	.set	ROM, 0xf0000
	.set	ENTERED, BOOT_PARAMS + 0xffc	/* beyond what the kernel reads */
	.set	PORT_SHUTDOWN, 0x8900
	.set	MSR_MTRR_DEF_TYPE, 0x2ff
	.set	MSR_EFER, 0xc0000080

	.text
	.globl	_start
_start:
	.code16
real_mode:
	cli
	cld
	movb	$0xff, %al		/* mask both interrupt controllers */
	outb	%al, $0x21
	outb	%al, $0xa1
	inb	$0x92, %al		/* A20 on, without a reset */
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
	lgdtl	%cs:gdt_pointer - _start
	movl	$0x11, %eax		/* protection; caches on */
	movl	%eax, %cr0
	ljmpl	$0x08, $(ROM + protected_mode - _start)

	.code32
protected_mode:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss

	cmpl	$0, ENTERED
	jne	shutdown
	movl	$1, ENTERED

	/* Without enabled MTRRs the kernel does without the PAT, too. */
	movl	$MSR_MTRR_DEF_TYPE, %ecx
	movl	$0x806, %eax		/* enabled, write-back */
	xorl	%edx, %edx
	wrmsr

	/* Identity-map 4 GiB with 2 MiB pages, which every 64-bit CPU has. */
	movl	$PAGE_TABLES, %edi
	xorl	%eax, %eax
	movl	$(0x2000 / 4), %ecx
	rep stosl
	movl	$(PAGE_TABLES + 0x1000 + 3), PAGE_TABLES
	movl	$(PAGE_TABLES + 0x2000 + 3), PAGE_TABLES + 0x1000
	movl	$(PAGE_TABLES + 0x3000 + 3), PAGE_TABLES + 0x1008
	movl	$(PAGE_TABLES + 0x4000 + 3), PAGE_TABLES + 0x1010
	movl	$(PAGE_TABLES + 0x5000 + 3), PAGE_TABLES + 0x1018
	movl	$0x83, %eax		/* present, writable, large */
	movl	$2048, %ecx
2:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$8, %edi
	addl	$0x200000, %eax
	loop	2b

	movl	$0x20, %eax		/* PAE */
	movl	%eax, %cr4
	movl	$PAGE_TABLES, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$0x100, %eax		/* LME */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80000000, %eax	/* PG */
	movl	%eax, %cr0
	ljmpl	$0x10, $(ROM + long_mode - _start)

shutdown:
	movl	$(ROM + word - _start), %esi
	movl	$8, %ecx
	movl	$PORT_SHUTDOWN, %edx
	rep outsb
3:	hlt
	jmp	3b

	.code64
long_mode:
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$STACK, %esp
	movl	$BOOT_PARAMS, %esi
	xorl	%ebp, %ebp
	xorl	%edi, %edi
	xorl	%ebx, %ebx
	movl	$KERNEL_ENTRY, %eax
	jmp	*%rax

word:	.ascii	"Shutdown"
	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff	/* 0x08: 32-bit code */
	.quad	0x00af9a000000ffff	/* 0x10: 64-bit code */
	.quad	0x00cf92000000ffff	/* 0x18: data */
gdt_pointer:
	.word	. - gdt - 1
	.long	ROM + gdt - _start

	.org	0xfff0			/* where the CPU starts after a reset */
	.code16
	ljmpw	$(ROM >> 4), $0
	.org	0x10000
