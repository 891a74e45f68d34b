# SPDX-License-Identifier: GPL-2.0
"""Commands of ours that make what a machine needs: the emulator, kernels."""

import functools
import hashlib
import os
import subprocess

from scripts import TOP, cache
from scripts.command import SetupError


def tool(*argv, **variables):
    """Run one of our helpers that prints a path; its progress goes to stderr."""
    done = subprocess.run([os.path.join(TOP, 'selftests', 'lab', argv[0]), *argv[1:]],
                          stdout=subprocess.PIPE, text=True, check=False,
                          env={**os.environ, **variables})
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


# Without these a kernel is of no use here, whatever else its configuration says.
NEEDED = ('CONFIG_BLK_DEV_INITRD=y', 'CONFIG_SERIAL_8250_CONSOLE=y', 'CONFIG_DEVTMPFS=y')
MODULES = {'kvm': 'arch/x86/kvm', 'kvm-intel': 'arch/x86/kvm', 'irqbypass': 'virt/lib',
           'msr': 'arch/x86/kernel', 'cpuid': 'arch/x86/kernel', 'brd': 'drivers/block'}


def of_build_folder(folder):
    """A directory like one of selftests/lab/kernel, of a folder in which a kernel was built."""
    with open(os.path.join(folder, '.config'), encoding='utf-8') as file:
        lines = set(file.read().splitlines())
    lost = [line for line in NEEDED if line not in lines]
    if not {'CONFIG_KVM_INTEL=y', 'CONFIG_KVM_INTEL=m'} & lines:
        lost.append('CONFIG_KVM_INTEL=m')
    if lost:
        raise SetupError('%s/.config lacks %s' % (folder, ' '.join(lost)), 'a kernel with these',
                         'set them, and build it again')
    links = {'vmlinux': 'vmlinux', 'config': '.config', 'release': 'include/config/kernel.release'}
    links.update({'modules/%s.ko' % name: '%s/%s.ko' % (where, name)
                  for name, where in MODULES.items()})
    paths = {name: os.path.join(folder, path) for name, path in links.items()}
    paths = {name: path for name, path in paths.items() if os.path.exists(path)}
    state = repr([(path, os.stat(path).st_mtime_ns) for path in paths.values()])
    final = os.path.join(cache.directory(), 'build-folders',
                         hashlib.sha256(state.encode()).hexdigest()[:16])
    if not os.path.isdir(final):
        with cache.new_folder(final) as new:
            os.mkdir(os.path.join(new, 'modules'))
            for name, path in paths.items():
                os.symlink(path, os.path.join(new, name))
    return final


@functools.lru_cache(maxsize=None)
def of_lab(name):
    """A kernel of selftests/lab/kernel, the same for all that this process starts."""
    return tool('kernel', name)


def kernel_directory(name):
    """Of a kernel of the lab, of one that a directory holds, or of one built in a folder."""
    if name in ('debian', 'mini', 'debug'):     # also where the folder debian/ is
        choose_kernel()
    elif os.path.isdir(name):
        if not os.path.exists(os.path.join(name, 'vmlinux')):
            raise SetupError('%s holds no vmlinux' % os.path.abspath(name),
                             'a folder in which a kernel was built, or one of selftests/lab/kernel',
                             'make vmlinux modules there')
        folder = os.path.abspath(name)
        built = os.path.exists(os.path.join(folder, '.config'))
        return of_build_folder(folder) if built else folder
    return of_lab(name)
