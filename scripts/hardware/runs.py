# SPDX-License-Identifier: GPL-2.0
"""The conditions of check and measure, the swap of modules, programs with a limit, the kernel's log.

Invariant: leave() is called however a command ends; after it stock is loaded, or the verdict says
that it is not.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

from scripts import TOP, cache, command, host as hosts
from scripts.command import SetupError
from scripts.hardware import guard as guards, record as records
from scripts.hardware.record import Record, describe

KITS = (cache.build_folder('kit'), '/usr/local/lib/kvm-intel-fast/kit')
LOAD_LIMIT = 60                 # seconds
UNUSED_LIMIT = 10
# What programs of the kit change of the host
KEPT = ('/sys/kernel/mm/transparent_hugepage/enabled',
        '/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs')
VARIANTS = {'stock': 'stock', 'verify': 'fast with verify=1', 'fast': 'fast',
            'again': 'stock again'}
SEVERE = re.compile(r'\bBUG: |\bOops: |general protection fault|kernel BUG at|Unable to handle|'
                    r'soft lockup|hard LOCKUP|rcu.*stall|blocked for more than|double fault')
WARNING = re.compile(r'WARNING: |unchecked MSR access|suspicious RCU|locking dependency')
BEGIN_OF_SPLAT, END_OF_SPLAT, LINES_OF_SPLAT = 'cut here', 'end trace', 60


class Interrupted(Exception):
    """By a signal."""


class NoModule(Exception):
    """It did not load."""


class Severe(Exception):
    """Nothing more can be tried: the kernel is damaged, or a program cannot be ended."""


def kit_folder(wanted, names):
    """Where the programs are; raises SetupError."""
    folders = [wanted] if wanted else KITS
    for folder in folders:
        if os.path.exists(os.path.join(folder, 'list')):
            missing = [name for name in names if not os.path.exists(os.path.join(folder, name))]
            if missing:
                raise SetupError('%s lacks %s' % (folder, ' '.join(missing)),
                                 'a whole kit', 'make it anew: kvm-lab kit')
            return folder
    raise SetupError('the test programs are not here: no list in %s' % ' or '.join(folders),
                     'the kit, which is built from the kernel source',
                     'kvm-lab kit; or kvm-lab kit --out FOLDER on another computer, and here --kit '
                     'with a copy of it')


def conditions(host):
    """Refuse what cannot be tried."""
    if os.geteuid():
        raise SetupError('not root', 'root, to exchange kernel modules', 'use sudo')
    if 'vmx' not in host.cpu()[0]:
        raise SetupError('this CPU does not offer VMX', 'the flag vmx in /proc/cpuinfo',
                         'enable it in the firmware, or in the hypervisor above')
    if host.users():
        raise SetupError('virtual machines are running (%d references to kvm_intel)' % host.users(),
                         'none', 'shut them down or migrate them, then try again')
    if host.parameter('nested') in ('N', '0'):
        raise SetupError('nested virtualisation is off', 'kvm_intel with nested=1',
                         'modprobe -r kvm_intel && modprobe kvm_intel nested=1')
    if host.read('proc/sys/kernel/panic_on_warn') == '1':
        raise SetupError('this kernel panics at a warning, and a mismatch is one',
                         'kernel.panic_on_warn=0', 'sysctl kernel.panic_on_warn=0, for the time of it')


class Log:
    """The kernel's, from now on."""

    def __init__(self):
        self.file = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.file, 0, os.SEEK_END)

    def lines(self):
        """[(level, text)] since the last call"""
        found = []
        while True:
            try:
                entry = os.read(self.file, 8192).decode(errors='replace')
            except BlockingIOError:
                return found
            except BrokenPipeError:     # overwritten before we read it
                found.append((4, '(lines of the kernel log are lost)'))
                continue
            head, _, text = entry.partition(';')
            found.append((int(head.split(',')[0]) & 7, text.splitlines()[0] if text else ''))

    def close(self):
        os.close(self.file)


def of_interest(lines):
    """(what is wrong, the lines to keep) of the kernel's log: splats whole, and ours."""
    wrong, kept, left = [], [], 0
    for level, text in lines:
        ours = text.startswith('kvm-intel-fast: ')
        bad = SEVERE.search(text) or WARNING.search(text)
        if bad or ours and level <= 4 and 'nobody reviewed' not in text:
            wrong.append(text)
        if BEGIN_OF_SPLAT in text or bad:
            left = LINES_OF_SPLAT
        if left or ours or 'kvm' in text:
            kept.append(text)
        left = 0 if END_OF_SPLAT in text else max(left - 1, 0)
    return wrong, kept


def place_of(text):
    """A complaint of the kernel without what differs from run to run."""
    found = re.search(r'(WARNING: ).* at (\S+)', text)
    return ' at '.join(found.groups()) if found else re.sub(r'\b(0x)?[0-9a-f]{4,}\b|\d+', 'N', text)


def run_load(*words, limit=LOAD_LIMIT):
    """scripts/load: (did it work, what it said)"""
    try:
        done = subprocess.run([os.path.join(TOP, 'scripts', 'load'), *words], check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return False, 'no end after %d s' % limit
    return done.returncode == 0, done.stdout.strip()


def first_words(said):
    """Of a complaint, what was wrong."""
    return ' '.join(' '.join(line.replace('kvm-intel-fast: error: ', '') for line in said.splitlines()
                             if not line.startswith('  ')).split())


def version_of(module):
    """What the file says of itself."""
    done = subprocess.run(['modinfo', '-F', 'version', module], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip()


def put_back(host, files, patience):
    """Stock, and the host's settings: '' or a sentence why it is not there."""
    for path, text in files.items():
        with contextlib.suppress(OSError), open(path, 'w', encoding='ascii') as file:
            file.write(text)
    end, said = time.monotonic() + patience, ''
    while host.loaded() != 'stock':
        good, said = run_load('stock')
        if not good and time.monotonic() > end:
            return first_words(said)
        if not good:
            time.sleep(1)
    return ''


class Runs:
    """One check or measure: swaps modules, runs programs, and notes it all."""

    def __init__(self, host, module, kit, out, name, **what):
        self.host, self.module, self.kit, self.name = host, module, kit, name
        self.variant, self.wrong, self.loads = 'stock', [], 0
        self.files = {}
        for path in KEPT:
            text = host.read(path) or ''
            chosen = re.search(r'\[(\w+)\]', text)
            if text:
                self.files[path] = chosen[1] if chosen else text
        self.log = Log()
        self.record = Record.begin(out, command=name, host=describe(host),
                                   module=version_of(module), **what)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self.interrupted)
        self.guard = guards.Guard(self.take_over)
        self.record.note('watchdog begins', pid=self.guard.process)

    @staticmethod
    def interrupted(_number, _frame):
        raise Interrupted()

    def take_over(self, why):
        """In the guard's process: the command is gone."""
        last = next((event for event in reversed(self.record.events())
                     if event['event'] == 'step'), {})
        told = put_back(self.host, self.files, guards.PATIENCE)
        _, kept = of_interest(self.log.lines())
        self.record.save('kernel-watchdog.txt', '\n'.join(kept) + '\n')
        where = '%s, during %s' % (VARIANTS.get(last.get('variant'), '?'), last.get('name', '?'))
        verdict = '%s: NOT FINISHED: %s, under %s; %s' % (self.name, why, where, ended(told))
        self.record.note('watchdog', why=why, where=where)
        self.record.finish(verdict, False)
        print('\n%s\nall of it: %s' % (verdict, self.record.out), file=sys.stderr, flush=True)

    def load(self, variant):
        """Exchange the module; raises NoModule, and stock is loaded then."""
        fast = variant in ('verify', 'fast')
        words = [self.module, 'verify=%d' % (variant == 'verify')] if fast else ['stock']
        self.variant = variant
        self.loads += 1
        self.record.note('step', name='load', variant=variant, limit=LOAD_LIMIT)
        self.guard.step(LOAD_LIMIT)
        end = time.monotonic() + UNUSED_LIMIT       # the last VM may take a moment to go
        while self.host.users() and time.monotonic() < end:
            time.sleep(0.1)
        good, said = run_load(*words)
        self.look_at_log('load-%d' % self.loads)
        self.record.note('loaded', variant=variant, good=good, said=said,
                         version=self.host.version() or 'stock')
        if not good:
            if self.host.users():
                raise Severe('%d references to kvm_intel stay' % self.host.users())
            raise NoModule(first_words(said))

    def look_at_log(self, name):
        """Keep what the kernel said meanwhile; what is wrong of it."""
        wrong, kept = of_interest(self.log.lines())
        if kept:
            self.record.save('kernel-%s-%s.txt' % (self.variant, name), '\n'.join(kept) + '\n')
        if wrong:
            self.record.note('kernel log', variant=self.variant, during=name, lines=wrong)
            self.wrong.append((self.variant, name, wrong))
        if any(SEVERE.search(text) for text in wrong):
            raise Severe('the kernel is damaged: ' + next(filter(SEVERE.search, wrong)))
        return wrong

    def program(self, name, words, limit, title=''):
        """(pass, skip, fail or timeout; what it printed) of a program of the kit."""
        title = title or name
        self.record.note('step', name=title, variant=self.variant, limit=limit)
        self.guard.step(limit)
        begin = time.monotonic()
        file = 'output-%s-%s.txt' % (self.variant, re.sub(r'\W+', '-', title))
        with open(self.record.path(file), 'w', encoding='utf-8') as output:
            process = subprocess.Popen([os.path.join(self.kit, name), *words], cwd='/',
                                       stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        self.guard.program(process.pid)
        try:
            status = process.wait(limit)
            verdict = {0: 'pass', 4: 'skip'}.get(status, 'fail')
        except subprocess.TimeoutExpired:
            verdict = 'timeout'
        finally:
            guards.kill_group(process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            self.guard.program(0)
        with open(self.record.path(file), encoding='utf-8', errors='replace') as output:
            text = output.read()
        self.record.note('program', name=title, variant=self.variant, verdict=verdict,
                         seconds=round(time.monotonic() - begin, 2), output=file)
        self.look_at_log(re.sub(r'\W+', '-', title))
        if process.poll() is None:
            raise Severe('%s cannot be ended' % title)
        return verdict, text

    def leave(self):
        """Stock, whatever was before: '' or why it is not there."""
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self.record.note('step', name='stock again', variant=self.variant, limit=guards.PATIENCE)
        self.guard.step(guards.PATIENCE + LOAD_LIMIT)
        told = put_back(self.host, self.files, 30)
        return told

    def finish(self, verdict, good, **more):
        """The report, and the guard's end."""
        print(verdict)
        self.record.finish(verdict, good, **more)
        print('all of it: %s' % self.record.out)
        self.guard.done()
        self.log.close()


def ended(told):
    """The end of a verdict."""
    return 'stock is loaded' if not told else \
        'STOCK IS NOT LOADED (%s): a reboot loads what this host boots' % told


def report_left_behind(name):
    """Tell of a command that the machine took down with it; True if there was one."""
    record = Record.left_behind()
    if not record:
        return False
    events = record.events()
    first = events[0] if events else {}
    last = next((event for event in reversed(events) if event['event'] == 'step'), {})
    same = first.get('boot') == records.boot()
    verdict = '%s: NOT FINISHED: %s under %s, during %s; loaded is now: %s' % (
        first.get('command', name),
        'it ended' if same else 'the machine went down',
        VARIANTS.get(last.get('variant'), '?'), last.get('name', '?'), hosts.Host().loaded())
    record.finish(verdict, False)
    print('of the last time, in %s:\n%s' % (record.out, verdict))
    return True


def progress(text):
    command.progress(text, sys.stderr)
