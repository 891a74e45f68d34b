# SPDX-License-Identifier: GPL-2.0
"""Run one program in a Linux L1: a whole kernel in QEMU, in the emulated machine.

    result = linux_l1.run(machine.Spec(), linux_l1.Guest(program=['/path/to/test']), 'out')

L1 is made by the same parts as L0: initramfs.py's root file system with the same
init, whose frames verdict.py reads; linux-l1/start runs QEMU between the two.
Invariant: L1's kernel is the unmodified one and its kvm_intel has its default
options; its machine may be small, because that is not in what an L2 exit costs.
"""

import dataclasses
import hashlib
import json
import os
import shutil

from scripts import cache, command
from scripts.command import SetupError
from . import initramfs, kept, runner, verdict
from .files import read, save
from .spec import Spec, carried
from .tools import kernel_directory

START = os.path.join(initramfs.HERE, 'guest', 'start-linux-l1')
QEMU = ('qemu-system-x86_64-microvm', 'qemu-system-x86_64')
FIRMWARE_DIRECTORY = '/usr/share/qemu'
FIRMWARE = ('qboot.rom', 'pvh.bin')
TIME_LIMIT = 600
TIMED_OUT = 124                         # of linux-l1/start
GUEST_OPTIONS = ('l1_kernel', 'l1_append', 'l1_cpus', 'l1_memory', 'l1_seconds',
                 'l1_log_level', 'l1_files')


@dataclasses.dataclass
class Guest:
    """What to run in L1, and in what L1."""
    program: list = dataclasses.field(default_factory=lambda: ['true'])
    l1_kernel: str = 'debian'
    l1_append: str = 'mitigations=off'
    l1_cpus: int = 1
    l1_memory: int = 320                # MiB
    l1_seconds: int = 600               # of the emulated machine
    l1_log_level: int = 4               # warnings: a byte costs L0 16,000 instructions
    l1_files: list = dataclasses.field(default_factory=list)    # (path here, path in L1)
    terminal: bool = False              # L1's console is L0's serial line


def add_guest_options(parser):
    default = Guest()
    add = parser.add_argument
    add('--l1-kernel', default=default.l1_kernel, metavar='debian|debian=...|DIR')
    add('--l1-append', default=default.l1_append, metavar='PARAMETERS',
        help="L1's kernel parameters (default: %(default)s)")
    add('--l1-cpus', type=command.positive, default=default.l1_cpus, metavar='N',
        help='not more than L0 has')
    add('--l1-memory', type=command.positive, default=default.l1_memory, metavar='MIB')
    add('--l1-seconds', type=command.positive, default=default.l1_seconds, metavar='SECONDS',
        help="time-out of L1 in the emulated machine's time (default: %(default)s)")
    add('--l1-log-level', type=int, default=default.l1_log_level, metavar='LEVEL',
        help="of L1's kernel log, bring home lines as severe as that "
        '(default: %(default)s; 7: all of it, which takes a quarter longer)')
    add('--l1-file', dest='l1_files', action='append', type=carried, default=[],
        metavar='HOST[:GUEST]', help='carry a file or directory into L1')


def parameters(guest):
    return ' '.join(filter(None, [
        'console=ttyS0 earlyprintk=ttyS0 loglevel=4 nokaslr pci=off',
        # L1 dies of an asynchronous page fault; QEMU ends on a triple fault.
        'no-kvmapf reboot=t panic=-1 oops=panic cryptomgr.notests=1',
        guest.l1_append]))


def qemu(*names):
    """The path of the first that is here."""
    for name in names or QEMU:
        path = shutil.which(name)
        if path:
            return path
    raise SetupError('no %s here; apt-get install qemu-system-x86' % (names or QEMU)[0])


def firmware(name):
    path = os.path.join(FIRMWARE_DIRECTORY, name)
    if not os.path.exists(path):
        raise SetupError('%s is missing; apt-get install qemu-system-data' % path)
    return path


def digest(contents):
    total = hashlib.sha256()
    for name, content in sorted(contents.items()):
        if isinstance(content, str):
            content = read(content)
        total.update(b'%s %s\n' % (name.encode(), hashlib.sha256(content).digest()))
    return total.hexdigest()[:16]


def place(content, path):
    """Write bytes; copy a file, or link it when it is one of the cache."""
    if isinstance(content, bytes):
        save('/', path, content)
    elif content.startswith(cache.directory() + os.sep):
        os.link(content, path)
    else:
        shutil.copy(content, path)


def contents_of(guest):
    """{name: bytes, or the path of a file} of the directory that L0 gets as /l1."""
    kernel = kernel_directory(guest.l1_kernel)
    emulator = qemu()
    contents = {
        'start': START, os.path.basename(emulator): emulator,
        'vmlinux': os.path.join(kernel, 'vmlinux'),
        'initrd': initramfs.root_file_system(
            Spec(program=guest.program, files=guest.l1_files,
                         log_level=guest.l1_log_level), kernel),
        'parameters': parameters(guest).encode(),
        'cpus': b'%d' % guest.l1_cpus, 'memory': b'%d' % guest.l1_memory, 'seconds': b'%d' % guest.l1_seconds}
    if guest.terminal:
        contents['terminal'] = b''
    contents.update((name, firmware(name)) for name in FIRMWARE)
    return contents


def payload(guest):
    """Make the directory that L0 gets as /l1, unless it is there; its path."""
    contents = contents_of(guest)
    final = os.path.join(cache.directory(), 'linux-l1', digest(contents))
    if not os.path.isdir(final):
        with cache.new_folder(final) as new:
            for name, content in contents.items():
                place(content, os.path.join(new, name))
    return final


def judge(l0, frames, console, allowed):
    """(status, reason) of L1; l0 is machine.run()'s result, which was "ok"."""
    status, reason = verdict.judge(frames, console, False, True, allowed)
    if status == 'hang' and l0['program_exit'] == TIMED_OUT:
        return 'timeout', 'L1 did not end in time'
    if status == 'hang' and l0['program_exit']:
        return 'hang', 'QEMU ended with status %d' % l0['program_exit']
    return status, 'L1: ' + reason if reason else ''


def keep_output(frames, console, directory):
    """Turn what L0 left of L1 into files like those that L0's own program has."""
    save(directory, 'stdout.txt', frames.get('stdout', b''))
    save(directory, 'out/l1-console.txt', console)
    save(directory, 'out/l1-dmesg.txt',
                 verdict.clean_log(frames.get('dmesg', b'')).encode())
    for name, data in frames.items():
        if name.startswith('out/'):
            save('/', runner.out_path(directory, name), data)


def run(spec, guest, directory):
    """Run guest.program in L1; return the content of result.json, as machine.run() does."""
    directory = os.path.abspath(directory)
    spec = dataclasses.replace(spec, program=['/l1/start'], follow='/out/l1-frames',
                               files=spec.files + [(payload(guest), '/l1')])
    result = runner.run(spec, directory)
    console = read(os.path.join(directory, 'stdout.txt'))
    raw = os.path.join(directory, 'out', 'l1-frames')
    frames = verdict.collect(read(raw))
    meta = verdict.metadata(frames)
    keep_output(frames, console, directory)
    if os.path.exists(raw):
        os.unlink(raw)
    if result['status'] == 'ok':
        result['status'], result['reason'] = judge(result, frames, console, spec.allowed)
        result['last_lines'] = verdict.around(
            verdict.clean_log(frames.get('dmesg', b'')), spec.allowed)
        if result['status'] != 'ok':
            kept.forget(result['kept_as'])
    if not result['last_lines'] or result['status'] == 'timeout':
        result['last_lines'] += ['L1: ' + line for line
                                 in verdict.clean_log(console).splitlines()[-20:]]
    result.update({
        'l1_stage': verdict.stage(frames),
        'qemu_exit': result['program_exit'], 'program_exit': runner.number(meta, 'exit'),
        'program': guest.program, 'l1_kernel': guest.l1_kernel,
        'l1_cmdline': parameters(guest), 'l1_cpus': guest.l1_cpus,
        'l1_memory_mib': guest.l1_memory,
        'l1_ticks': {when: runner.number(meta, when + '_ticks')
                     for when in ('init', 'start', 'stop', 'end')}})
    save(directory, 'result.json', (json.dumps(result, indent=1) + '\n').encode())
    return result
