# SPDX-License-Identifier: GPL-2.0
"""Commands of ours that make what a machine needs: the emulator, kernels."""

import functools
import os
import subprocess

from scripts import TOP
from scripts.command import SetupError


def tool(*argv):
    """Run one of our helpers that prints a path; its progress goes to stderr."""
    done = subprocess.run([os.path.join(TOP, 'selftests', 'lab', argv[0]), *argv[1:]],
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SetupError('%s failed; see above' % ' '.join(argv))
    return done.stdout.strip().splitlines()[-1]


@functools.lru_cache(maxsize=None)
def choose_kernel():
    """Let all that this process starts use one version, said once."""
    if not os.environ.get('KVM_INTEL_FAST_KERNEL'):
        done = subprocess.run([os.path.join(TOP, 'scripts', 'resolve')],
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SetupError('there is no kernel to run; see above')
        os.environ['KVM_INTEL_FAST_KERNEL'] = done.stdout.splitlines()[0]


def kernel_directory(name):
    if name in ('debian', 'mini', 'debug'):     # also where the folder debian/ is
        choose_kernel()
    elif os.path.isdir(name):
        if not os.path.exists(os.path.join(name, 'vmlinux')):
            raise SetupError('%s holds no vmlinux; expected a directory as made by '
                             'selftests/lab/kernel' % name)
        return os.path.abspath(name)
    return tool('kernel', name)
