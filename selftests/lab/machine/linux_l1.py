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
import typing

from scripts import cache, command
from scripts.command import SetupError
from . import initramfs, kept, runner, verdict
from .files import read, save
from .spec import Spec, carried
from .tools import kernel_directory

START = os.path.join(initramfs.HERE, 'guest', 'start-linux-l1')
QEMU = ('qemu-system-x86_64-microvm', 'qemu-system-x86_64')
FIRMWARE_DIRECTORIES = ('/usr/share/qemu', '/usr/share/seabios')
FIRMWARE = ('qboot.rom', 'pvh.bin')
# Models of QEMU.  The second is what Hyper-V's guests get: Linux takes the enlightened VMCS, and
# has no clock of KVM's.
CPU = 'host,kvm-asyncpf=off,kvm-asyncpf-int=off'
CPU_EVMCS = ('host,kvm=off,hv-relaxed,hv-vapic,hv-vpindex,hv-time,hv-runtime,hv-frequencies,'
             'hv-evmcs')
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
    l1_modules: list = dataclasses.field(default_factory=list)  # as of Spec
    l1_kvm_intel: str = 'stock'         # stock or none
    l1_devices: str = ''                # options of QEMU
    l1_cpu: str = CPU
    # {name: path here}: files beside QEMU; "before" is run before QEMU starts
    l1_beside: dict = dataclasses.field(default_factory=dict)
    terminal: bool = False              # its console is L0's serial line
    # What L1 runs is a Linux L2, started as L1 is; program is not used then.
    guest: typing.Optional['Guest'] = None

    def parameters(self):
        """L1's kernel parameters."""
        return ' '.join(filter(None, [
            'console=ttyS0 earlyprintk=ttyS0 loglevel=4 nokaslr pci=off',
            # L1 dies of an asynchronous page fault; QEMU ends on a triple fault.
            'no-kvmapf reboot=t panic=-1 oops=panic cryptomgr.notests=1',
            self.l1_append]))

    def contents(self):
        """{name: bytes, or the path of a file} of the directory that L0 gets as /l1."""
        kernel, emulator = kernel_directory(self.l1_kernel), qemu()
        return {
            'start': START, os.path.basename(emulator): emulator,
            'vmlinux': os.path.join(kernel, 'vmlinux'),
            'initrd': initramfs.root_file_system(user_space(self), kernel),
            'parameters': self.parameters().encode(), 'devices': self.l1_devices.encode(),
            'cpu': self.l1_cpu.encode(),
            'cpus': b'%d' % self.l1_cpus, 'memory': b'%d' % self.l1_memory,
            'seconds': b'%d' % self.l1_seconds, **self.l1_beside,
            **({'terminal': b''} if self.terminal else {}),
            **{name: firmware(name) for name in FIRMWARE}}


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


def qemu(*names):
    """The path of the first of these that is installed; default: those that run a Linux L1."""
    for name in names or QEMU:
        path = shutil.which(name)
        if path:
            return path
    raise SetupError('no %s here; apt-get install qemu-system-x86' % (names or QEMU)[0])


def firmware(name):
    for directory in FIRMWARE_DIRECTORIES:
        path = os.path.join(directory, name)
        if os.path.exists(path):
            return path
    raise SetupError('there is no %s in %s; apt-get install qemu-system-data seabios' % (
        name, ' or '.join(FIRMWARE_DIRECTORIES)))


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


def user_space(guest):
    """What runs in L1, as a Spec."""
    spec = Spec(program=guest.program, files=guest.l1_files, modules=guest.l1_modules,
                kvm_intel=guest.l1_kvm_intel, log_level=guest.l1_log_level)
    if guest.guest:
        spec.program = ['/l1/start']
        spec.files = spec.files + [(payload(guest.guest), '/l1')]
    return spec


def payload(guest):
    """Make the directory that L0 gets as /l1, unless it is there; its path."""
    contents = guest.contents()
    final = os.path.join(cache.directory(), 'linux-l1', digest(contents))
    if not os.path.isdir(final):
        with cache.new_folder(final) as new:
            for name, content in contents.items():
                place(content, os.path.join(new, name))
    return final


def judge(host, frames, console, need_kvm, allowed):
    """(status, reason) of a guest; host is the result of its host, which was "ok"."""
    status, reason = verdict.judge(frames, console, False, need_kvm, allowed)
    if status == 'hang' and host['program_exit'] == TIMED_OUT:
        return 'timeout', 'it did not end in time'
    if status == 'hang' and host['program_exit']:
        return 'hang', 'QEMU ended with status %d' % host['program_exit']
    return status, reason


def take_output(directory, name):
    """(frames, console) of a guest; what its host left of it becomes files like the host's own."""
    console = read(os.path.join(directory, 'stdout.txt'))
    raw = os.path.join(directory, 'out', 'l1-frames')
    frames = verdict.collect(read(raw))
    if os.path.exists(raw):
        os.unlink(raw)
    save(directory, 'stdout.txt', frames.get('stdout', b''))
    save(directory, 'out/%s-console.txt' % name, console)
    save(directory, 'out/%s-dmesg.txt' % name,
         verdict.clean_log(frames.get('dmesg', b'')).encode())
    for path, data in frames.items():
        if path.startswith('out/'):
            save('/', runner.out_path(directory, path), data)
    return frames, console


def add_guest(result, guest, level, directory, allowed):
    """Make the result of a host that of its guest, the L<level>."""
    frames, console = take_output(directory, 'l%d' % level)
    meta = verdict.metadata(frames)
    if result['status'] == 'ok':
        status, reason = judge(result, frames, console, guest.l1_kvm_intel != 'none', allowed)
        result.update(status=status, last_lines=verdict.around(
                          verdict.clean_log(frames.get('dmesg', b'')), allowed),
                      reason='L%d: %s' % (level, reason) if reason else '')
        if status != 'ok':
            kept.forget(result['kept_as'])
    if not result['last_lines'] or result['status'] == 'timeout':
        result['last_lines'] += ['L%d: %s' % (level, line) for line
                                 in verdict.clean_log(console).splitlines()[-20:]]
    result.update({
        'l%d_stage' % level: verdict.stage(frames),
        'qemu_exit': result['program_exit'], 'program_exit': runner.number(meta, 'exit'),
        'program': guest.program, 'l%d_kernel' % level: guest.l1_kernel,
        'l%d_cmdline' % level: guest.parameters(), 'l%d_cpus' % level: guest.l1_cpus,
        'l%d_memory_mib' % level: guest.l1_memory,
        'l%d_ticks' % level: {when: runner.number(meta, when + '_ticks')
                              for when in ('init', 'start', 'stop', 'end')}})


def run(spec, guest, directory):
    """Run guest.program in L1, or that of guest.guest in L2.

    Returns the content of result.json, as machine.run() does."""
    directory = os.path.abspath(directory)
    spec = dataclasses.replace(spec, program=['/l1/start'], follow='/out/l1-frames',
                               files=spec.files + [(payload(guest), '/l1')])
    result = runner.run(spec, directory)
    level = 1
    while guest:
        add_guest(result, guest, level, directory, spec.allowed)
        guest, level = guest.guest, level + 1
    save(directory, 'result.json', (json.dumps(result, indent=1) + '\n').encode())
    return result
