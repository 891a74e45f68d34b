# SPDX-License-Identifier: GPL-2.0
"""What a command needs of this project, made or installed when it is not there.

    project.setup()                     # Debian packages
    module = project.module('mini')     # our module for that kernel of the lab
    program = os.path.join(project.programs(), 'exit_bench')

A command asks for what no option of its names, once it knows that it was well called.
Each raises SetupError.
"""

import collections
import functools
import glob
import os
import re
import subprocess
import sys

from scripts import TOP, cache, kernel_lines
from scripts.command import SetupError
from . import machine

# arguments: what make is told to build for it
Kernel = collections.namedtuple('Kernel', 'directory release headers arguments')


def use_first_line():
    """On any release of Debian the tests are of one kernel line, unless one is named.

    It is the oldest, whose KVM selftests, and so exit_bench, run on all kernels.
    """
    if not os.environ.get('KVM_INTEL_FAST_KERNEL'):
        os.environ['KVM_INTEL_FAST_KERNEL'] = kernel_lines()[0]


@functools.lru_cache(maxsize=None)
def setup(kind=''):
    """Install what is missing; kind is one of selftests/setup."""
    done = subprocess.run([os.path.join(TOP, 'selftests', 'setup'), *filter(None, [kind])],
                          check=False)
    if done.returncode:
        raise SetupError('packages are missing; see above')


def version():
    """What /sys/module/kvm_intel/version says of our module."""
    with open(os.path.join(TOP, 'vmx', 'module.c'), encoding='ascii') as file:
        return re.search(r'FAST_VERSION\s+"(.*?)"', file.read()).group(1)


@functools.lru_cache(maxsize=None)
def programs():
    """The directory of the test programs, built when a source changed."""
    return machine.tool('../kvm/build')


def own_sources():
    """The C files of our test programs."""
    return glob.glob(os.path.join(TOP, 'selftests', '**', '*.c'), recursive=True)


@functools.lru_cache(maxsize=None)
def kernel(name):
    """A kernel of the lab that modules can be built for."""
    directory = machine.kernel_directory(name)
    release = machine.read(os.path.join(directory, 'release')).decode().strip()
    headers, source = (os.path.join(directory, part) for part in ('build', 'source'))
    if not release or not os.path.isdir(headers) or not os.path.isdir(source):
        raise SetupError('%s holds no release, build and source: nothing can be built for '
                         'that kernel; name another, or a module' % directory)
    return Kernel(directory, release, headers,
                  ('KDIR=' + headers, 'KSRC=' + source, 'ALLOW_UNREVIEWED=1'))


def build_folder(tree):
    return cache.build_folder() if tree == TOP else os.path.join(tree, 'build')


def make(on, *words, tree=TOP, **options):
    """Run make in a tree of this project, for a kernel; another make's flags mean nothing to it."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL')}
    environment['KVM_INTEL_FAST_BUILD'] = build_folder(tree)
    return subprocess.run(['make', '-C', tree, *on.arguments, *words], env=environment, text=True,
                          errors='replace', check=False, **options)


def kbuild(headers, *words):
    """Run make in a kernel's headers, with a compiler that is new enough; its output to stderr."""
    return subprocess.run(['bash', '-c', '. "$0"; compiler_for "$1"; "${in_suite[@]}" make -s -C "$@"',
                           os.path.join(TOP, 'scripts', 'lib.sh'), headers, *words],
                          stdout=sys.stderr, check=False).returncode == 0


def module_path(on, series='', tree=TOP):
    """Where make leaves the module."""
    return os.path.join(build_folder(tree), '-'.join(filter(None, [on.release, series])),
                        'kvm-intel-%s.ko' % (series or 'fast'))


@functools.lru_cache(maxsize=None)
def module(name, series=''):
    """The path of our module for a kernel; with series, of stock with that variant's patches."""
    on = kernel(name)
    if make(on, '-s', 'SERIES=' + series, stdout=sys.stderr).returncode:
        raise SetupError('the module for the kernel %s does not build; see above' % name)
    return module_path(on, series)
