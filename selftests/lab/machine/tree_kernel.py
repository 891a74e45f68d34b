# SPDX-License-Identifier: GPL-2.0
"""The small kernel of a git work tree, built again with as little work as possible.

    tree = tree_kernel.TreeKernel('/path/of/worktree', '/path/of/work')
    directory = tree.build()            # fit for machine.run()

Two ways.  A whole build is "make vmlinux modules" with mini.config, which make
keeps short.  When nothing but arch/x86/kvm and virt/kvm differs from the last
whole build, KVM's modules alone are built against it as external modules, from
a folder of links to their sources: make then has no other folder to look at,
which is most of what a small change costs.  Compiler options, and with them the
code, are the same both ways.

Invariant: the directory holds the modules of the revision that is checked out,
and the vmlinux of one that differs from it in KVM's folders only.
"""

import os
import resource
import shutil
import subprocess
import time

from .files import read, save

HERE = os.path.dirname(os.path.abspath(__file__))
KVM = ('arch/x86/kvm', 'virt/kvm')
# A change of these may change what a whole build would make.
BUILD_FILES = ('Kconfig', 'Makefile', 'Kbuild', 'Makefile.kvm')
MODULES = ('kvm', 'kvm-intel')
OTHER_MODULES = ('irqbypass', 'msr', 'cpuid')
# Without these lines of mini.config a kernel is of no use here; of others a
# version may know nothing.
NEEDED = ('CONFIG_SMP=y', 'CONFIG_BLK_DEV_INITRD=y', 'CONFIG_SERIAL_8250_CONSOLE=y',
          'CONFIG_KALLSYMS=y', 'CONFIG_DEVTMPFS=y', 'CONFIG_KVM=m', 'CONFIG_KVM_INTEL=m')


class BuildError(Exception):
    """The revision does not build; the message ends with the compiler's."""


def only_kvm(names):
    """Do these changed files leave everything but KVM's modules as it was?"""
    return all(name.startswith(tuple(folder + '/' for folder in KVM)) and
               os.path.basename(name) not in BUILD_FILES for name in names)


def cpu_seconds():
    """User and system time of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def last_lines(path, count=15):
    """Of make's output those that say why; make's own only say where."""
    text = read(path).decode(errors='replace').splitlines()
    text = [line for line in text if not line.startswith('make')] or text
    errors = [line for line in text if 'error' in line.lower() or 'undefined' in line]
    return '\n'.join((errors or text)[-count:])


class TreeKernel:
    """One work tree and its build folder; one user at a time."""

    def __init__(self, tree, work, jobs=os.cpu_count()):
        self.tree = tree
        self.out = os.path.join(work, 'out')
        self.links = os.path.join(work, 'kvm')
        self.kernel = os.path.join(work, 'kernel')
        self.whole = os.path.join(work, 'whole')        # the revision last built as a whole
        self.proven = os.path.join(work, 'kvm-works')   # there when KVM alone was built since
        self.log = os.path.join(work, 'make.log')
        self.jobs = jobs
        self.seconds = self.cpu = 0.0
        self.kind = ''
        for directory in (self.out, self.links, os.path.join(self.kernel, 'modules')):
            os.makedirs(directory, exist_ok=True)

    def git(self, *argv):
        return subprocess.run(['git', '-C', self.tree, *argv], stdout=subprocess.PIPE,
                              text=True, check=True).stdout

    def dirty(self):
        """Is there anything that no commit holds?"""
        return bool(self.git('diff', '--name-only', 'HEAD'))

    def make(self, *argv):
        # An empty LOCALVERSION keeps "+" and the revision out of the release,
        # which would make every object new.
        command = ['make', '-s', '-C', self.tree, 'O=' + self.out, 'ARCH=x86_64', 'LOCALVERSION=',
                   'KBUILD_BUILD_TIMESTAMP=@0', 'KBUILD_BUILD_USER=lab',
                   'KBUILD_BUILD_HOST=lab', '-j%d' % self.jobs, *argv]
        environment = {name: value for name, value in os.environ.items()
                       if name not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'KBUILD_OUTPUT')}
        with open(self.log, 'wb') as log:
            done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise BuildError(last_lines(self.log))

    def configure(self):
        self.make('KCONFIG_ALLCONFIG=' + os.path.join(HERE, 'mini.config'), 'allnoconfig')
        with open(os.path.join(self.out, '.config'), encoding='utf-8') as file:
            lines = set(file.read().splitlines())
        lost = [line for line in NEEDED if line not in lines]
        if lost:
            raise BuildError('Kconfig did not take ' + ' '.join(lost))

    def take(self, source, names):
        for name in names:
            shutil.copy(source(name), os.path.join(self.kernel, 'modules', name + '.ko'))

    def build_whole(self):
        for path in (self.whole, self.proven):
            if os.path.exists(path):
                os.unlink(path)
        self.configure()
        self.make('vmlinux', 'modules')
        shutil.copy(os.path.join(self.out, 'vmlinux'), self.kernel)
        shutil.copy(os.path.join(self.out, 'include/config/kernel.release'),
                    os.path.join(self.kernel, 'release'))
        folder = {'irqbypass': 'virt/lib', 'kvm': KVM[0], 'kvm-intel': KVM[0]}
        self.take(lambda name: os.path.join(self.out, folder.get(name, 'arch/x86/kernel'),
                                            name + '.ko'), MODULES + OTHER_MODULES)
        if not self.dirty():
            save('/', self.whole, self.git('rev-parse', 'HEAD').encode())

    def link_sources(self):
        """Links for the files of KVM's folders, no more and no less."""
        wanted = set(self.git('ls-files', '-z', '--', *KVM).split('\0')) - {''}
        for folder in KVM:
            for directory, _, names in os.walk(os.path.join(self.links, folder)):
                for path in (os.path.join(directory, name) for name in names):
                    if os.path.islink(path) and os.path.relpath(path, self.links) not in wanted:
                        os.unlink(path)
        for name in wanted:
            path = os.path.join(self.links, name)
            if not os.path.lexists(path):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.symlink(os.path.join(self.tree, name), path)

    def build_kvm(self):
        self.link_sources()
        self.make('M=' + os.path.join(self.links, KVM[0]), 'modules')
        self.take(lambda name: os.path.join(self.links, KVM[0], name + '.ko'), MODULES)
        save('/', self.proven, b'')

    def kvm_is_enough(self):
        whole = read(self.whole).decode().strip()
        if not whole:
            return False
        try:
            names = self.git('diff', '--name-only', '--no-renames', '-z', whole).split('\0')
        except subprocess.CalledProcessError:
            return False
        return only_kvm(name for name in names if name)

    def build(self):
        """Build what is checked out; the directory for machine.Spec.kernel.  Raises BuildError.

        .kind says how it was built, .seconds how long it took, .cpu how much of the CPUs."""
        start, cpu = time.monotonic(), cpu_seconds()
        try:
            self.kind = 'kvm' if self.kvm_is_enough() else 'whole'
            if self.kind == 'kvm':
                try:
                    self.build_kvm()
                    return self.kernel
                except BuildError:
                    # Doubt the short way before the revision, if it never worked.
                    if os.path.exists(self.proven):
                        raise
                    self.kind = 'whole'
            self.build_whole()
            return self.kernel
        finally:
            self.seconds, self.cpu = time.monotonic() - start, cpu_seconds() - cpu
