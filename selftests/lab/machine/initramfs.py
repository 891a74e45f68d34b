# SPDX-License-Identifier: GPL-2.0
"""The emulated machine's root file system, as an uncompressed cpio archive.

Written directly in the "newc" format: no root, no cpio tool, the same bytes
for the same files.  Holds our init (guest/), busybox, the kernel modules, the
files that the caller carries in, and the shared libraries that they need.
"""

import hashlib
import os
import re
import shutil
import stat
import subprocess

from scripts import cache
from scripts.command import SetupError
from .spec import Spec

HERE = os.path.dirname(os.path.abspath(__file__))
GUEST_PROGRAMS = ('init', 'e9', 'poweroff')
MODULES_BEFORE_KVM = ('irqbypass',)
SIGNATURE_MAGIC = b'~Module signature appended~\n'
SIGNATURE_HEAD = 12


def guest_programs():
    """Directory of the static guest programs, compiled when a source changed."""
    source = os.path.join(HERE, 'guest')
    digest = hashlib.sha256()
    for name in sorted(os.listdir(source)):
        if name.endswith(('.c', '.h')):
            with open(os.path.join(source, name), 'rb') as file:
                digest.update(name.encode() + file.read())
    final = os.path.join(cache.directory(), 'guest', digest.hexdigest()[:16])
    if not os.path.isdir(final):
        with cache.new_folder(final) as new:
            for name in GUEST_PROGRAMS:
                subprocess.run(['gcc', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-s',
                                '-o', os.path.join(new, name),
                                os.path.join(source, name + '.c')], check=True)
    return final


class Archive:
    """A newc archive in memory; parent directories come by themselves."""

    def __init__(self):
        self.parts = []
        self.names = set()
        self.inode = 0

    def _add(self, name, mode, data=b'', device=(0, 0)):
        name = name.strip('/')
        if name in self.names:
            return
        parent = os.path.dirname(name)
        if parent:
            self._add(parent, stat.S_IFDIR | 0o755)
        self.names.add(name)
        self.inode += 1
        encoded = name.encode() + b'\0'
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0,
                  device[0], device[1], len(encoded), 0)
        head = b'070701' + b''.join(b'%08x' % f for f in fields) + encoded
        self.parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]

    def file(self, name, data, mode=0o755):
        self._add(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self._add(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def copy(self, host, name):
        """A file or a whole directory of the host."""
        if os.path.isdir(host):
            self._add(name, stat.S_IFDIR | 0o755)
            for entry in sorted(os.listdir(host)):
                self.copy(os.path.join(host, entry), name.rstrip('/') + '/' + entry)
        elif os.path.islink(host) and not os.path.exists(host):
            self.link(name, os.readlink(host))
        elif os.path.isfile(host):
            with open(host, 'rb') as file:
                data = file.read()
            self.file(name, data, 0o755 if os.access(host, os.X_OK) else 0o644)
            if data[:4] == b'\x7fELF':
                self._libraries(host, data)
        else:
            raise SetupError('%s does not exist or is no file or directory' % host)

    def _libraries(self, host, data):
        """What a dynamically linked program needs, at the same paths."""
        interpreter = re.search(rb'/lib[0-9a-z/_.-]*/ld-[0-9a-zA-Z_.-]+\0', data[:4096])
        if not interpreter:
            return
        listed = subprocess.run(['ldd', host], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True, check=False).stdout
        for path in re.findall(r'(/\S+) \(0x', listed):
            self.copy(os.path.realpath(path), path)

    def bytes(self):
        tail = Archive()
        tail._add('TRAILER!!!', 0)
        return b''.join(self.parts + tail.parts)


def base_archive():
    archive = Archive()
    programs = guest_programs()
    archive.device('dev/console', 5, 1)
    for name in GUEST_PROGRAMS:
        archive.copy(os.path.join(programs, name), 'init' if name == 'init' else 'bin/' + name)
    busybox = shutil.which('busybox')
    if not busybox:
        raise SetupError('busybox is missing; apt-get install busybox-static')
    archive.copy(busybox, 'bin/busybox')
    applets = subprocess.run([busybox, '--list'], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.split()
    for applet in applets:
        if applet not in ('busybox', 'init', 'poweroff'):
            archive.link('bin/' + applet, 'busybox')
    return archive


def unsigned(module):
    """A module without its signature, whose check takes longer than the boot."""
    if not module.endswith(SIGNATURE_MAGIC):
        return module
    end = len(module) - len(SIGNATURE_MAGIC)
    length = int.from_bytes(module[end - 4:end], 'big')
    return module[:end - SIGNATURE_HEAD - length]


def add_module(archive, plan, kernel, name, path=None, options=''):
    if path is None:
        path = os.path.join(kernel, 'modules', name + '.ko')
    if not os.path.exists(path):
        if path.startswith(kernel):     # built in, or the kernel script refused
            return
        raise SetupError('%s does not exist; build the module first' % path)
    guest = '/lab/modules/%s.ko' % name
    with open(path, 'rb') as file:
        archive.file(guest, unsigned(file.read()), 0o644)
    plan.append(('insmod %s %s' % (guest, options)).strip())


def add_program(archive, words):
    """The program's argv in the machine; carried in when it is a host path."""
    words = list(words)
    if '/' in words[0] and os.path.isfile(words[0]):
        guest = '/test/' + os.path.basename(words[0])
        archive.copy(words[0], guest)
        words[0] = guest
    archive.file('lab/argv', b''.join(w.encode() + b'\0' for w in words), 0o644)


def root_file_system(spec, kernel):
    archive, plan = base_archive(), []
    for host, guest in spec.files:
        archive.copy(host, guest)
    for module in spec.modules:
        name, _, options = module.partition(' ')
        if name.endswith('.ko'):
            add_module(archive, plan, kernel, os.path.basename(name)[:-3], name, options)
        else:
            add_module(archive, plan, kernel, name, options=options)
    if spec.kvm_intel != 'none':
        for name in MODULES_BEFORE_KVM:
            add_module(archive, plan, kernel, name)
        add_module(archive, plan, kernel, 'kvm', options=spec.kvm_opts)
        add_module(archive, plan, kernel, 'kvm-intel', options=spec.kvm_intel_opts,
                   path=None if spec.kvm_intel == 'stock' else spec.kvm_intel)
        plan.append('kvm')
    plan += ['log %d' % spec.log_level] if spec.log_level != Spec.log_level else []
    plan += ['follow ' + spec.follow] if spec.follow else []
    plan += ['symbols'] if spec.symbols else []
    plan += ['run']
    add_program(archive, spec.program)
    archive.file('lab/plan', '\n'.join(plan).encode(), 0o644)
    return archive.bytes()
