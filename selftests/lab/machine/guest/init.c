// SPDX-License-Identifier: GPL-2.0
/*
 * Process 1 of the emulated machine: does what the plan says, reports in
 * frames (frame.h), switches the machine off.
 *
 * The plan is /lab/plan, one step a line, the rest of the line its argument:
 *	insmod PATH [OPTIONS]	load a module
 *	kvm			there must be a /dev/kvm now
 *	symbols			send /proc/kallsyms
 *	follow PATH		a file of /out: send what it grows by while the program runs
 *	log LEVEL		of the kernel's log, send what is as severe as that
 *	run			run the program of /lab/argv (NUL after each word)
 * A step that fails ends the plan.  Invariant: whatever happens, the kernel's
 * log and the frame "end" follow, so that the host can tell a machine that
 * finished from one that died.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <x86intrin.h>
#include "frame.h"
#include "poweroff.h"

#define SYSLOG_ACTION_READ_ALL	3
#define SYSLOG_ACTION_SIZE_BUFFER	10

#define FOLLOW_INTERVAL	1000	/* ms of the machine: each costs L0 a few thousand instructions */

static int lock;
static char *followed;		/* the path, and how much of it was sent */
static off_t followed_size;
static int log_level = 7;	/* KERN_DEBUG: all */

static void __attribute__((format(printf, 2, 3)))
report(const char *name, const char *format, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	frame_write(lock, name, text,
		    n < (int)sizeof(text) ? n : (int)sizeof(text) - 1);
}

static void ticks(const char *when)
{
	report("meta", "%s_ticks=%llu\n", when, (unsigned long long)__rdtsc());
}

static void mount_all(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mkdir("/tmp", 01777);
	mkdir("/out", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	mkdir("/dev/shm", 01777);
	mount("tmpfs", "/dev/shm", "tmpfs", 0, NULL);
}

static int insmod(char *argument)
{
	char *path = strsep(&argument, " ");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret = -1;

	if (fd >= 0)
		ret = syscall(SYS_finit_module, fd, argument ? argument : "", 0);
	if (ret)
		report("meta", "error=insmod %s %s: %s\n", path,
		       argument ? argument : "", strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

static int need_kvm(void)
{
	if (!access("/dev/kvm", R_OK | W_OK))
		return 0;
	report("meta", "error=/dev/kvm: %s\n", strerror(errno));
	return -1;
}

/* Tell the emulator where kvm_intel lies (see its caches.cc).  Elsewhere nothing happens. */
static void module_mark(uint64_t first, uint64_t end)
{
	register uint64_t r8 asm("r8") = first, r9 asm("r9") = end;

	asm volatile("xchg %%cx, %%cx" : : "r"(r8), "r"(r9));
}

/* The symbols that code can have; data symbols double the size. */
static int send_symbols(void)
{
	uint64_t first = 0, end = 0;
	FILE *file = fopen("/proc/kallsyms", "r");
	static char buffer[1 << 16];
	size_t used = 0;
	char line[512];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		size_t n = strlen(line);

		if (n < 18 || !strchr("tTwW", line[17]))
			continue;
		if (used + n > sizeof(buffer)) {
			frame_write(lock, "kallsyms", buffer, used);
			used = 0;
		}
		memcpy(buffer + used, line, n);
		used += n;
		if (strstr(line, "[kvm_intel]")) {
			uint64_t address = strtoull(line, NULL, 16);

			if (!first || address < first)
				first = address;
			if (address > end)
				end = address;
		}
	}
	frame_write(lock, "kallsyms", buffer, used);
	fclose(file);
	module_mark(first, (end | 0xfff) + 1);
	return 0;
}

static char **read_argv(void)
{
	static char buffer[1 << 16];
	static char *argv[1024];
	int fd = open("/lab/argv", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer) - 1);
	int i = 0;

	for (char *p = buffer; n > 0 && p < buffer + n && i < 1023;
	     p += strlen(p) + 1)
		argv[i++] = p;
	if (fd >= 0)
		close(fd);
	return i ? argv : NULL;
}

static void child(char **argv, int out)
{
	int null = open("/dev/null", O_RDONLY);

	setsid();
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	closefrom(3);
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	setenv("HOME", "/", 1);
	setenv("OUT", "/out", 1);
	execvp(argv[0], argv);
	fprintf(stderr, "init: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* What the program did not live to see the end of comes home as well. */
static void send_growth(void)
{
	static char buffer[1 << 16];
	int fd = open(followed, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	while ((n = pread(fd, buffer, sizeof(buffer), followed_size)) > 0) {
		frame_write(lock, followed + 1, buffer, n);
		followed_size += n;
	}
	close(fd);
}

/*
 * Pass the program's output on until it has ended.  A process that it leaves
 * behind may hold the pipe open for ever, so its end is what counts.
 */
static void forward(int out, int pidfd)
{
	struct pollfd fds[2] = { { out, POLLIN, 0 }, { pidfd, POLLIN, 0 } };
	static char buffer[1 << 16];
	ssize_t n;

	fcntl(out, F_SETFL, O_NONBLOCK);
	for (;;) {
		if (!poll(fds, 2, followed ? FOLLOW_INTERVAL : -1))
			send_growth();
		while ((n = read(out, buffer, sizeof(buffer))) > 0)
			frame_write(lock, "stdout", buffer, n);
		if (n == 0)
			fds[0].fd = -1;
		if (fds[1].revents)
			return;
	}
}

static int run(void)
{
	char **argv = read_argv();
	int out[2], status, pidfd;
	pid_t pid;

	if (!argv || pipe2(out, O_CLOEXEC)) {
		report("meta", "error=no program in /lab/argv\n");
		return -1;
	}
	ticks("start");
	pid = fork();
	if (!pid)
		child(argv, out[1]);
	close(out[1]);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	forward(out[0], pidfd);
	waitpid(pid, &status, 0);
	close(pidfd);
	ticks("stop");
	report("meta", "exit=%d\n", WIFEXITED(status) ? WEXITSTATUS(status) :
						128 + WTERMSIG(status));
	return 0;
}

static void send_directory(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		char name[512];
		struct stat st;
		int fd;

		if (entry->d_name[0] == '.' ||
		    snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >=
			    (int)sizeof(name) - 8 || lstat(name, &st))
			continue;
		if (S_ISDIR(st.st_mode))
			send_directory(name);
		if (!S_ISREG(st.st_mode) || strpbrk(name, "\n "))
			continue;
		if (followed && !strcmp(name, followed)) {
			send_growth();
			continue;
		}
		fd = open(name, O_RDONLY | O_CLOEXEC);
		frame_write(lock, name + 1, "", 0);
		frame_write_file(lock, name + 1, fd);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

/* Each line begins with "<PRIORITY>", whose low three bits are the level. */
static size_t severe_lines(char *text, size_t size)
{
	size_t used = 0;

	for (char *line = text, *end = text + size, *next; line < end; line = next) {
		next = memchr(line, '\n', end - line);
		next = next ? next + 1 : end;
		if (*line == '<' && (atoi(line + 1) & 7) > log_level)
			continue;
		memmove(text + used, line, next - line);
		used += next - line;
	}
	return used;
}

static void send_log(void)
{
	int size = klogctl(SYSLOG_ACTION_SIZE_BUFFER, NULL, 0);
	char *text = size > 0 ? calloc(1, size + 1) : NULL;

	if (!text)
		return;
	size = klogctl(SYSLOG_ACTION_READ_ALL, text, size);
	if (size > 0)
		frame_write(lock, "dmesg", text, severe_lines(text, size));
	free(text);
}

static int step(char *line)
{
	char *verb;

	report("meta", "step=%s\n", line);
	verb = strsep(&line, " ");
	if (!strcmp(verb, "insmod"))
		return insmod(line);
	if (!strcmp(verb, "kvm"))
		return need_kvm();
	if (!strcmp(verb, "symbols"))
		return send_symbols();
	if (!strcmp(verb, "follow")) {
		followed = line;
		return 0;
	}
	if (!strcmp(verb, "log")) {
		log_level = atoi(line ? line : "7");
		return 0;
	}
	if (!strcmp(verb, "run"))
		return run();
	report("meta", "error=the plan has an unknown step '%s'\n", verb);
	return -1;
}

int main(void)
{
	static char plan[1 << 16];
	char *rest = plan, *line;
	int fd;

	mount_all();
	lock = frame_open();
	ticks("init");
	fd = open("/lab/plan", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, plan, sizeof(plan) - 1) < 0)
		report("meta", "error=/lab/plan: %s\n", strerror(errno));
	close(fd);
	while ((line = strsep(&rest, "\n")))
		if (*line && step(line))
			break;
	send_directory("/out");
	send_log();
	ticks("end");
	report("end", "\n");
	machine_poweroff();
	reboot(RB_AUTOBOOT);	/* an L1, whose machine lacks that port */
	for (;;)
		pause();
}
