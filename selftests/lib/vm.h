/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VM of a test, and what the kernel says of it: the module's parameters, the VM's
 * files in debugfs.
 */
#ifndef LIB_VM_H
#define LIB_VM_H

#include "kvm_util.h"

extern struct kvm_vm *vm;
extern struct kvm_vcpu *vcpu;

/* A VM with one vCPU, which runs @l1_guest_code(struct vmx_pages *). */
void create_vm_with_l1(void *l1_guest_code);

void pin_to_cpu(int cpu);

/* Run until the guest, L1 or L2, executes GUEST_SYNC().  Return: what it said. */
uint64_t run_to_sync(void);

/* As after a migration: the state of the VM and its vCPU in a new VM and vCPU. */
void move_to_new_vm(void);

/* Return: 0, or a negative errno. */
int write_file(const char *path, const char *text);

/* The first letter of a parameter of kvm_intel, or 0 if it has none of that name. */
char parameter(const char *name);

/* A number in one of the VM's files; @name: on the line that begins with it, or NULL. */
uint64_t debugfs_value(const char *file, const char *name);

/* One of our module's counters; 0 under stock, which has none. */
uint64_t counter(const char *name);

/* Without those for L0's own interrupts: on a debug kernel its tick is in every tenth. */
uint64_t exits(void);

#endif
