// SPDX-License-Identifier: GPL-2.0
/*
 * Runs of the differential test's guests: see run.h.
 */
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "differential/run.h"
#include "differential/state.h"
#include "differential/storm.h"
#include "differential/transcript.h"
#include "differential/user.h"

#define MOST_EXITS	64	/* of KVM_RUN, until somebody waits */
#define WATCHDOG_NS	100000000ul	/* of one run, unless the kernel is slow */
#define STORM_NS	5000000000ul

extern char __executable_start, edata;

static void end(const char *why)
{
	record(why, 0);
	ended = true;
}

/* What L1 and L2 have logged since the last time. */
static void drain_log(void)
{
	uint64_t i;

	if (mail->logged > LOG_ENTRIES) {
		end("the mailbox is damaged");
		mail->logged = 0;
	}
	for (i = 0; i < mail->logged; i++) {
		if (mail->log[i].tag < &__executable_start || mail->log[i].tag >= &edata) {
			end("the log is damaged");
			break;
		}
		record(mail->log[i].tag, mail->log[i].value);
	}
	mail->logged = 0;
}

unsigned int slowness = 1;

static void watchdog(uint64_t ns)
{
	struct itimerval timer = {
		.it_value = { ns / 1000000000, ns % 1000000000 / 1000 },
		.it_interval = { ns / 1000000000, ns % 1000000000 / 1000 },
	};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static volatile sig_atomic_t barked;

void on_alarm(int signal)
{
	barked = 1;
}

/* A pending signal that KVM_RUN lets in. */
static void arm_signal(bool on)
{
	struct { struct kvm_signal_mask head; uint64_t set; } mask = { .head.len = 8 };
	static const struct timespec now;
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	if (on) {
		sigprocmask(SIG_BLOCK, &blocked, NULL);
		ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask);
		raise(SIGUSR1);
	} else {
		sigtimedwait(&blocked, NULL, &now);
		ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, NULL);
	}
}

/* KVM_RUN returned without an exit; true: try again. */
static bool interrupted(int error)
{
	struct kvm_mp_state mp = {};

	if (error == EINTR && barked) {
		__vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &mp);
		record("mp", mp.mp_state);
		end("stuck");
		stuck = true;
		mail->logged = 0;	/* how much there is depends on time */
		return false;
	}
	if (error == EINTR || error == EAGAIN)
		return true;
	record("KVM_RUN", error);
	ended = true;
	return false;
}

/* L1's own idea of it is wrong when its host state was. */
static bool in_guest_mode(void)
{
	nested.state.size = sizeof(nested);
	nested.state.flags = 0;
	__vcpu_ioctl(vcpu, KVM_GET_NESTED_STATE, &nested.state);
	return nested.state.flags & KVM_STATE_NESTED_GUEST_MODE;
}

static void answer_io(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	size_t length = (size_t)run->io.size * run->io.count;

	record("io port", run->io.port);
	record("direction", run->io.direction);
	record("size", run->io.size);
	record("count", run->io.count);
	if (run->io.direction == KVM_EXIT_IO_OUT)
		record_bytes("data", data, length);
	else
		memset(data, 0xa5, length);
}

static void answer_mmio(struct kvm_run *run)
{
	record("mmio", run->mmio.phys_addr);
	record("length", run->mmio.len);
	record("write", run->mmio.is_write);
	if (run->mmio.is_write)
		record_bytes("data", run->mmio.data, run->mmio.len & 7 ?: 8);
	else
		memset(run->mmio.data, 0x5a, sizeof(run->mmio.data));
}

static void answer_msr(struct kvm_run *run)
{
	record("msr", run->msr.index);
	record("reason", run->msr.reason);
	if (run->exit_reason == KVM_EXIT_X86_WRMSR)
		record("data", run->msr.data);
	else
		run->msr.data = 0xabcd;
	run->msr.error = run->msr.index & 1;
}

static void record_internal_error(struct kvm_run *run)
{
	unsigned int i, count = run->internal.ndata;

	record("suberror", run->internal.suberror);
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
		count = 0;	/* flags and bytes, the length of which differs */
	for (i = 0; i < count && i < 16; i++)
		record("data", run->internal.data[i]);
	ended = true;
}

/* Let the vCPU complete the I/O by which the guest waits. */
static void complete_io(void)
{
	vcpu->run->immediate_exit = 1;
	record_result("completes", __vcpu_run(vcpu));
	vcpu->run->immediate_exit = 0;
}

/* One exit; true when somebody waits. */
static bool take_exit(struct kvm_run *run)
{
	record("KVM exit", run->exit_reason);
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (run->io.port == PORT_L1 || run->io.port == PORT_L2) {
			waiting = run->io.port == PORT_L1 ? PARTY_L1 : PARTY_L2;
			return true;
		}
		if (run->io.port == PORT_DIED && !in_guest_mode())
			ended = true;
		answer_io(run);
		return false;
	case KVM_EXIT_MMIO:
		answer_mmio(run);
		return false;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		answer_msr(run);
		return false;
	case KVM_EXIT_DEBUG:
		record("debug pc", run->debug.arch.pc);
		record("dr6", run->debug.arch.dr6);
		if (single_steps && !--single_steps)
			user_debug(0, 0);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		record_internal_error(run);
		return false;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_SET_TPR:
		return false;
	case KVM_EXIT_FAIL_ENTRY:
		record("hardware reason", run->fail_entry.hardware_entry_failure_reason);
		ended = true;
		return false;
	default:
		ended = true;
		return false;
	}
}

void run_guests(void)
{
	unsigned int exits = 0;
	int error;

	if (single_steps)
		user_debug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP, 0);
	if (signal_next)
		arm_signal(true);
	vcpu->run->immediate_exit = immediate_next;
	barked = 0;
	if (storm.next)
		storm_begin();
	watchdog((storm.next ? STORM_NS : WATCHDOG_NS) * slowness);
	while (!ended) {
		if (exits++ == MOST_EXITS) {
			end("too many exits");
			break;
		}
		error = __vcpu_run(vcpu) ? errno : 0;
		if (immediate_next || signal_next) {
			record("interrupted", error);
			vcpu->run->immediate_exit = immediate_next = false;
			if (signal_next)
				arm_signal(false);
			signal_next = false;
		}
		if (error ? !interrupted(error) : take_exit(vcpu->run))
			break;
	}
	watchdog(0);
	if (storm.next)
		storm_end();
	if (single_steps && !ended) {
		single_steps = 0;
		user_debug(0, 0);
	}
	drain_log();
	if (!ended)
		complete_io();
}

static void fill_queue(const struct guest_operation *op, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		mail->l2[i] = *op;
	mail->l2_first = 0;
	mail->l2_count = count;
}

/* L2 waits, but it is L1's turn: L2 exits by VMCALL. */
static void to_l1(void)
{
	static const struct guest_operation leave = { .operation = L2_vmcall };
	unsigned int tries;

	for (tries = 0; waiting == PARTY_L2 && !ended && tries < 4; tries++) {
		fill_queue(&leave, 1);
		mail->stop = 1;
		run_guests();
		mail->stop = 0;
	}
	if (waiting == PARTY_L2 && !ended)
		end("L2 does not leave");
}

void l1_step(const struct step *step)
{
	struct guest_operation again = {};

	to_l1();
	if (ended)
		return;
	mail->l1.operation = step->operation;
	memcpy(mail->l1.arg, step->arg, sizeof(step->arg));
	mail->l2_first = mail->l2_count = 0;
	if (step->operation == L1_enter && step->arg[1] >> 16 & 0xff) {
		again.operation = (step->arg[1] >> 16 & 0xff) % L2_COUNT;
		again.arg[0] = step->arg[1] >> 32;
		fill_queue(&again, QUEUE);
	}
	run_guests();
}

void l2_step(const struct step *step)
{
	struct guest_operation op = { .operation = step->operation };

	memcpy(op.arg, step->arg, sizeof(op.arg));
	if (waiting == PARTY_L1) {
		mail->l1 = (struct guest_operation){ .operation = L1_enter, .arg = { 6, 0, 0 } };
		fill_queue(&op, 1);
	} else {
		fill_queue(&op, 1);
	}
	run_guests();
}
