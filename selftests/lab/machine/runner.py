# SPDX-License-Identifier: GPL-2.0
"""Run one program as L0 user space in an emulated machine with VMX.

    result = machine.run(machine.Spec(kernel='mini', program=['/path/to/test']), 'out')

Every run has a private work directory, so several may run at once; nothing
outside that, the cache and the output directory is written.  Invariant: the
same Spec on the same inputs executes the same instructions in the machine:
no wall-clock time, no host state gets in.
"""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from scripts.command import SetupError
from . import directboot, initramfs, kept, reach, verdict
from .files import read, save
from .tools import kernel_directory, tool

MIB = 1 << 20
EMULATOR_LOG_MOST = MIB                 # of a machine that goes wrong it can have hundreds
EPOCH = 1700000000                      # the real-time clock at power-on
POLL = 0.02
DRAIN = 5                               # seconds from a panic to power-off
# IA32_TSX_CTRL, of CPUs with RTM: a line of msrs.def.
TSX_CTRL = b'0x122 0 00000000 00000000 ffffffff fffffffc 00000000 00000000\n'


def kernel_parameters(spec):
    return ' '.join(filter(None, [
        # At the default of 9600 baud a line of the log takes 100 ms, for which a test may
        # take a guest to loop.
        'console=ttyS0,115200 loglevel=4 nokaslr acpi=off reboot=k panic=-1',
        'oops=panic' if spec.stop_on_oops else '',
        # Without these: seconds of self tests, a kernel clock 70 times slow,
        # and now and then a processor that does not wake from MWAIT.
        'cryptomgr.notests=1 tsc_early_khz=%d idle=halt' % (spec.ips // 1000),
        # Else, on 7.3, the host marks pages of random choice old, and L2 faults there:
        # L1 sees that in the guest linear address of later exits, under stock as well.
        'damon_stat.enabled=0',
        # Else the kernel of a machine with one CPU takes its LOCK prefixes out, and none is counted.
        'noreplace-smp',
        spec.append]))


def registers(spec, emulator):
    """What the emulator reads about MSRs that it lacks."""
    known = read(os.path.join(emulator, 'msrs.def'))
    return known + (TSX_CTRL if 'rtm' in spec.cpu_features.split() else b'')


def configuration(spec, images):
    cpu = 'cpu: model=%s, count=%d, ips=%d, reset_on_triple_fault=0, ignore_bad_msrs=0, ' \
        'msrs=msrs.def' % (spec.cpu_model, spec.cpus, spec.ips)
    if spec.cpu_features:
        cpu += ', add_features="%s"' % spec.cpu_features
    return '\n'.join([
        cpu,
        'memory: guest=%d, host=%d' % (spec.memory, min(spec.memory, 2048)),
        *images,
        'com1: enabled=1, ' + ('mode=term, dev=' + spec.terminal.path if spec.terminal
                               else 'mode=file, dev=serial.txt'),
        'ata0: enabled=0',
        'display_library: nogui',
        # At a prompt the machine shall not burn a CPU, and a second last one.
        'clock: sync=%s, time0=%d' % ('slowdown' if spec.terminal else 'none', EPOCH),
        'log: emulator.txt',
        'panic: action=fatal',
        'error: action=ignore',
        # Its report of the speed comes from a signal handler and can deadlock.
        'info: action=report, nogui=ignore',
        'port_e9_hack: enabled=1', ''])


class Emulator:
    """One emulator process; knows when it ended and what it used."""

    def __init__(self, directory, work):
        self.usage = None
        with open(os.path.join(work, 'frames'), 'wb') as output:
            self.process = subprocess.Popen(
                [os.path.join(directory, 'bochs'), '-q', '-f', 'bochsrc'], cwd=work,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env={'LC_ALL': 'C', 'TZ': 'UTC'})

    def ended(self):
        if self.usage is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.usage = usage
                self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.usage is not None

    def wait(self, seconds):
        deadline = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < deadline:
            time.sleep(POLL)
        return self.ended()

    def stop(self):
        """End it; the interrupt makes it log its registers first."""
        for number, patience in ((signal.SIGINT, 3), (signal.SIGKILL, 60)):
            if not self.ended():
                self.process.send_signal(number)
                self.wait(patience)


def supervise(spec, directory, work):
    """Run the emulator to its end; (timed out, what it used)."""
    start = time.monotonic()
    if spec.terminal:
        spec.terminal.start(os.path.join(work, 'serial.txt'))
    emulator = Emulator(directory, work)
    timed_out = False
    try:
        dying = None
        while not emulator.wait(5 * POLL):
            now = time.monotonic()
            if spec.watch:
                spec.watch(work)
            if dying is None and b'Kernel panic' in read(os.path.join(work, 'serial.txt')):
                dying = now             # it resets, which switches it off
            timed_out = now - start > spec.time_limit
            if timed_out or (dying and now - dying > DRAIN) or \
                    (spec.terminal and spec.terminal.left):
                break
    finally:
        emulator.stop()
        if spec.terminal:
            spec.terminal.stop()
    return timed_out, {
        'wall_seconds': round(time.monotonic() - start, 3),
        'cpu_seconds': round(emulator.usage.ru_utime + emulator.usage.ru_stime, 3),
        'max_rss_kib': emulator.usage.ru_maxrss}


def out_path(directory, name):
    """Where a frame out/... goes; never outside directory."""
    path = os.path.normpath(os.path.join(directory, name))
    if not path.startswith(os.path.join(directory, 'out') + os.sep):
        raise SetupError('the guest sent a file with the name %r' % name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def counted_files(directory):
    """What the emulator counted: in windows, by function and by call stack; in the whole run."""
    return [path for name in ('counters.*.json', 'stacks.*.json', reach.FILE)
            for path in glob.glob(os.path.join(directory, name))]


def keep_output(work, frames, directory):
    os.makedirs(os.path.join(directory, 'out'), exist_ok=True)
    save(directory, 'serial.txt', read(os.path.join(work, 'serial.txt')))
    save(directory, 'emulator.txt', read(os.path.join(work, 'emulator.txt')))
    save(directory, 'stdout.txt', frames.get('stdout', b''))
    save(directory, 'dmesg.txt', verdict.clean_log(frames.get('dmesg', b'')).encode())
    if 'kallsyms' in frames:
        save(directory, 'kallsyms.txt', frames['kallsyms'])
    for name, data in frames.items():
        if name.startswith('out/'):
            save(os.path.dirname(out_path(directory, name)), os.path.basename(name), data)
    for path in counted_files(work):
        shutil.move(path, os.path.join(directory, os.path.basename(path)))


def clear(directory):
    """Nothing of an earlier run may look like a result of this one."""
    for name in ('serial.txt', 'emulator.txt', 'stdout.txt', 'dmesg.txt', 'kallsyms.txt',
                 'result.json'):
        if os.path.exists(os.path.join(directory, name)):
            os.unlink(os.path.join(directory, name))
    for path in counted_files(directory):
        os.unlink(path)
    shutil.rmtree(os.path.join(directory, 'out'), ignore_errors=True)


def telling_lines(frames, work, allowed, count=20):
    """Of the kernel's log the lines around the first splat; without one, the end of the console,
    of the log when the console is empty, or of the emulator's."""
    log, console = (verdict.clean_log(raw).strip() for raw in (
        frames.get('dmesg', b''), read(os.path.join(work, 'serial.txt'))))
    return verdict.around(log, allowed) or verdict.around(console, allowed) or \
        (console or log or read(os.path.join(work, 'emulator.txt')).decode(
            errors='replace')).splitlines()[-count:]


def cap(path, most=EMULATOR_LOG_MOST):
    """Leave the beginning and the end of a file that is longer than most."""
    if not os.path.exists(path) or os.path.getsize(path) <= most:
        return
    with open(path, 'rb+') as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - most // 2)
        end = file.read()
        file.seek(most // 2)
        file.write(b'\n... %d bytes are left out ...\n' % (size - most))
        file.write(end)
        file.truncate()


def number(meta, name):
    return int(meta[name]) if re.fullmatch(r'-?\d+', meta.get(name, '')) else None


class Output:
    """What the emulator left in work: it runs, or what it did earlier is put there.

    .keep() is for a machine that ended well; see kept.py.
    """

    def __init__(self, spec, emulator, work):
        self.work, self.inputs = work, os.listdir(work)
        self.key, self.kept, self.timed_out = '', False, False
        mode = kept.wanted()
        if mode and not spec.terminal and (spec.kvm_intel == 'stock' or spec.reference):
            self.key = kept.key(emulator, work)
            self.used = kept.restore(self.key, work) if mode == 'keep' else None
            self.kept = self.used is not None
        if self.kept:
            print('run: kept from an earlier run: runs/%s, %.1f s of CPU'
                  % (self.key, self.used['cpu_seconds']), file=sys.stderr, flush=True)
        else:
            self.timed_out, self.used = supervise(spec, emulator, work)
            cap(os.path.join(work, 'emulator.txt'))

    def keep(self):
        if self.key and not self.kept:
            kept.store(self.key, self.work, self.inputs, self.used)


def check_cpu_model(emulator, model):
    """Refuse a model that the emulator lacks, which it would say in its log alone."""
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-lab.') as scratch:
        said = subprocess.run([os.path.join(emulator, 'bochs'), '--help', 'cpu'], text=True,
                              cwd=scratch, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False).stdout.split()
    known = [word for word in said if '_' in word or word in ('i386', 'pentium')]
    if known and model not in known:
        raise SetupError("there is no CPU model '%s'; there are: %s" % (model, ' '.join(known)))


def run(spec, directory):
    """Run spec; leave its output in directory; return the content of result.json."""
    kernel = kernel_directory(spec.kernel)
    emulator = os.path.abspath(spec.emulator) if spec.emulator else tool('bochs/build')
    check_cpu_model(emulator, spec.cpu_model)
    directory = os.path.abspath(directory)
    os.makedirs(directory, exist_ok=True)
    clear(directory)
    work = tempfile.mkdtemp(prefix='kvm-intel-fast-lab.')
    try:
        command_line = kernel_parameters(spec)
        images = directboot.prepare(os.path.join(kernel, 'vmlinux'),
                                    initramfs.root_file_system(spec, kernel), command_line,
                                    spec.memory * MIB, spec.cpus, work)
        save(work, 'msrs.def', registers(spec, emulator))
        save(work, 'bochsrc', configuration(spec, images).encode())
        output = Output(spec, emulator, work)
        frames = verdict.collect(read(os.path.join(work, 'frames')))
        meta = verdict.metadata(frames)
        serial = read(os.path.join(work, 'serial.txt'))
        status, reason = verdict.judge(frames, serial, output.timed_out,
                                       spec.kvm_intel != 'none', spec.allowed,
                                       read(os.path.join(work, 'emulator.txt')))
        if status == 'ok' and number(meta, 'exit') == 0:
            output.keep()
        keep_output(work, frames, directory)
        if status == 'ok':
            reach.bring(directory)
        if 'start_ticks' not in meta and 'end' not in frames:
            save(directory, 'frames.txt', read(os.path.join(work, 'frames')))
        result = {
            'status': status, 'reason': reason, 'program_exit': number(meta, 'exit'),
            **output.used, 'kept': output.kept, 'kept_as': output.key,
            'ticks': {when: number(meta, when + '_ticks')
                      for when in ('init', 'start', 'stop', 'end')},
            'kernel': read(os.path.join(kernel, 'release')).decode().strip(),
            'kernel_directory': kernel, 'kvm_intel': spec.kvm_intel,
            'kvm_opts': spec.kvm_opts, 'kvm_intel_opts': spec.kvm_intel_opts,
            'cpu_model': spec.cpu_model, 'cpu_features': spec.cpu_features,
            'cpus': spec.cpus, 'ips': spec.ips, 'memory_mib': spec.memory, 'cmdline': command_line,
            'program': spec.program, 'emulator': os.path.basename(emulator),
            'stage': verdict.stage(frames),
            'last_lines': telling_lines(frames, work, spec.allowed),
        }
        save(directory, 'result.json', (json.dumps(result, indent=1) + '\n').encode())
        return result
    finally:
        shutil.rmtree(work, ignore_errors=True)


def exit_status(result):
    """The program's; 124 for a time-out, 125 when the machine failed."""
    if result['status'] == 'timeout':
        return 124
    if result['status'] != 'ok':
        return 125
    return result['program_exit']


def explain(result, directory):
    """Say on stderr why a machine failed."""
    print('run: %s: %s' % (result['status'], result['reason']), file=sys.stderr)
    print('run: the machine ended %s%s' % (
        result['stage'], '; L1 ended ' + result['l1_stage'] if 'l1_stage' in result else ''),
          file=sys.stderr)
    for line in result['last_lines']:
        print('run: | ' + line, file=sys.stderr)
    print('run: everything is in ' + directory, file=sys.stderr)


def run_and_show(run_in, out):
    """For a command: call run_in(directory), print the program's output; the exit status.

    out is where the files of the machine go; without, nothing is kept.
    """
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-run.') as temporary:
        result = run_in(out or temporary)
        sys.stdout.buffer.write(read(os.path.join(out or temporary, 'stdout.txt')))
        sys.stdout.buffer.flush()
    if result['status'] != 'ok':
        explain(result, out or 'no directory; give --out DIR to keep it')
    return exit_status(result)
