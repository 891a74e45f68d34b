# SPDX-License-Identifier: GPL-2.0
"""Run one program with Xen as L1: in its dom0, which is L2, a Debian kernel as a PVH guest.

    result = xen_l1.run(machine.Spec(memory=1400), xen_l1.Guest(program=['/path']), 'out')

Invariant: Xen is Debian's, with parameters that leave out what an L2 exit does not cost.
"""

import dataclasses
import functools
import gzip
import hashlib
import os
import subprocess
import tempfile

from scripts import TOP, cache
from scripts.command import SetupError
from . import initramfs, linux_l1
from .files import read
from .tools import kernel_directory, tool

START = os.path.join(initramfs.HERE, 'guest', 'start-xen-l1')
FIRMWARE = ('bios-256k.bin', 'multiboot.bin', 'multiboot_dma.bin', 'linuxboot_dma.bin',
            'kvmvapic.bin')
FETCH = os.path.join(TOP, 'scripts', 'fetch')
PACKAGE = '^xen-hypervisor-4[.][0-9]*-amd64$'
LIBRARIES = 'libxen-dev'
DOMU = os.path.join(TOP, 'selftests', 'workloads', 'domu.c')
LINKED = ('xenctrl', 'xencall', 'xenevtchn', 'xenforeignmemory', 'xendevicemodel', 'xengnttab',
          'xentoollog', 'xentoolcore')
FRAME_PORT = 0x1e9      # 0xe9 is Xen's own
L0_MEMORY = 1400        # MiB


def listed(which, package):
    """[(package, version)] that scripts/fetch knows, oldest first; which is "kept" or "list"."""
    done = subprocess.run([FETCH, '-', which, package], stdout=subprocess.PIPE, text=True,
                          check=False)
    return [tuple(line.split()[:2]) for line in done.stdout.splitlines()]


@functools.lru_cache(maxsize=None)
def newest():
    """(package, version) of the newest Xen that is in the cache or that this computer's suites
    offer, with its libraries: they speak to that version alone."""
    for which in ('kept', 'list'):
        versions = {version for _, version in listed(which, '^%s$' % LIBRARIES)}
        known = [row for row in listed(which, PACKAGE) if row[1] in versions]
        if known:
            return known[-1]
    raise SetupError('there is no package %s with a %s in the archive' % (PACKAGE, LIBRARIES))


@functools.lru_cache(maxsize=None)
def xen():
    """The path of Xen: ELF."""
    package, version = newest()
    final = os.path.join(cache.directory(), 'xen', '%s-%s' % (package, version))
    if not os.path.exists(final):
        archive = tool(FETCH, '-', 'bin', package, version)
        name = './boot/%s.gz' % package.replace('-hypervisor', '')
        files = subprocess.run(['dpkg-deb', '--fsys-tarfile', archive], stdout=subprocess.PIPE,
                               check=True).stdout
        packed = subprocess.run(['tar', '-xO', name], input=files, stdout=subprocess.PIPE,
                                check=True).stdout
        with cache.new_file(final) as new, open(new, 'wb') as file:
            file.write(gzip.decompress(packed))
    return final


@functools.lru_cache(maxsize=None)
def domu():
    """The path of the program that makes a domU, for that Xen."""
    _, version = newest()
    digest = hashlib.sha256(version.encode() + read(DOMU)).hexdigest()[:16]
    final = os.path.join(cache.directory(), 'xen', 'domu-' + digest)
    if not os.path.exists(final):
        archive = tool(FETCH, '-', 'bin', LIBRARIES, version)
        with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-xen.') as scratch, \
                cache.new_folder(final) as new:
            subprocess.run(['dpkg-deb', '-x', archive, scratch], check=True)
            subprocess.run(['gcc', '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-s', '-o',
                            os.path.join(new, 'domu'), DOMU,
                            '-I', os.path.join(scratch, 'usr/include'),
                            '-L', os.path.join(scratch, 'usr/lib/x86_64-linux-gnu'),
                            *('-l' + name for name in LINKED)], check=True)
    return os.path.join(final, 'domu')


@dataclasses.dataclass
class Guest(linux_l1.Guest):
    """Xen and its dom0; l1_append and program are dom0's."""
    l1_kvm_intel: str = 'none'
    l1_memory: int = 512                # MiB, half of it dom0's

    def parameters(self):
        return ' '.join(filter(None, [
            'console=hvc0 earlyprintk=xen loglevel=4 nokaslr reboot=t panic=-1 oops=panic',
            # Goes with dom0-iommu=none.
            'cryptomgr.notests=1 acpi=off lab.frames=%#x' % FRAME_PORT, self.l1_append]))

    def contents(self):
        kernel = kernel_directory(self.l1_kernel)
        return {
            'start': START, 'qemu-system-x86_64': linux_l1.qemu('qemu-system-x86_64'),
            'xen': xen(), 'vmlinux': os.path.join(kernel, 'vmlinux'),
            'initrd': initramfs.root_file_system(linux_l1.user_space(self), kernel),
            'parameters': self.parameters().encode(), 'memory': b'%d' % self.l1_memory,
            'seconds': b'%d' % self.l1_seconds, 'port': b'%#x' % FRAME_PORT,
            **{name: linux_l1.firmware(name) for name in FIRMWARE}}


def run(spec, guest, directory):
    """Run guest.program in dom0; return the content of result.json, as machine.run() does."""
    spec = dataclasses.replace(spec, memory=max(spec.memory, L0_MEMORY))
    return linux_l1.run(spec, guest, directory)
