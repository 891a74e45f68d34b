# SPDX-License-Identifier: GPL-2.0
"""The walk over all VMCS fields in a Linux L1: the machine, and what it saw.

    result, text = linux_walk.run(machine.Spec(kvm_intel=PATH), '/path/to/field_walk_l2', 'out')

L1's kernel has ../guest/field_walk_l1.c loaded, which walks while field_walk_l2 is the
L2; text is what that module's file says.  It is built for L1's kernel and loaded there,
nowhere else.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

from scripts import TOP, cache
from scripts.command import SetupError
from selftests.lab import machine
from selftests.lab.machine import linux_l1

GUEST = os.path.join(TOP, 'selftests', 'guest')
SOURCE = os.path.join(GUEST, 'field_walk_l1.c')
L1_KERNEL = 'debian'
# What makes most addresses of L1 the same in every run.
L1_APPEND = linux_l1.Guest.l1_append + ' norandmaps randomize_kstack_offset=off'
L1_SECONDS = 120        # of the emulated machine; the walk needs a sixth
KBUILD = b'obj-m := field_walk_l1.o\nccflags-y := -Wall -Werror\n'
# Fields that are not the same in every run: where L1's allocators put a page or an
# object, and when the VM was made.
CHANCE = {
    '2000': 'io_bitmap_a', '2002': 'io_bitmap_b', '2004': 'msr_bitmap',
    '2006': 'vm_exit_msr_store_addr', '2008': 'vm_exit_msr_load_addr',
    '200a': 'vm_entry_msr_load_addr', '200e': 'pml_address', '2010': 'tsc_offset',
    '2012': 'virtual_apic_page_addr', '2014': 'apic_access_addr',
    '2016': 'posted_intr_desc_addr', '201a': 'ept_pointer', '2026': 'vmread_bitmap',
    '2028': 'vmwrite_bitmap', '6c02': 'host_cr3', '6c06': 'host_fs_base', '6c14': 'host_rsp'}


def build(headers, work):
    """Make the module in the directory work; its path."""
    shutil.copy(SOURCE, work)
    machine.save(work, 'Kbuild', KBUILD)
    done = subprocess.run(['make', '-s', '-C', headers, 'M=' + work, 'modules'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SetupError('field_walk_l1.c does not build:\n' + done.stdout)
    return os.path.join(work, 'field_walk_l1.ko')


def module():
    """The module for L1's kernel, built when something that goes in changed."""
    kernel = machine.kernel_directory(L1_KERNEL)
    headers = os.path.join(kernel, 'build')
    key = hashlib.sha256(kernel.encode() + KBUILD + machine.read(SOURCE)).hexdigest()[:16]
    final = os.path.join(cache.directory(), 'field-walk', key, 'field_walk_l1.ko')
    if not os.path.exists(final):
        with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-walk.') as work, \
                cache.new_file(final) as new:
            shutil.copy(build(headers, work), new)
    return final


def run(spec, program, directory):
    """(content of result.json, what the module saw)"""
    guest = linux_l1.Guest(program=[os.path.join(GUEST, 'field_walk_l1.sh')],
                           l1_kernel=L1_KERNEL, l1_append=L1_APPEND, l1_seconds=L1_SECONDS,
                           l1_files=[(module(), '/field_walk_l1.ko'), (program, '/field_walk_l2')])
    result = linux_l1.run(spec, guest, directory)
    if result['status'] == 'ok' and result['program_exit']:
        output = machine.read(os.path.join(directory, 'stdout.txt')).decode(errors='replace')
        result.update(status='L2', reason=' '.join(output.split()))
    packed = machine.read(os.path.join(directory, 'out', 'field_walk.gz'))
    return result, gzip.decompress(packed).decode() if packed else ''


def without_chance(lines):
    """In lines "... field NUMBER VALUE ..." the values of CHANCE's fields become numbers, in
    the order of their first appearance: a wrong or an old one shows, another address does not."""
    seen = {}

    def number(match):
        field, value = match.group(2), match.group(3)
        name = CHANCE.get('%04x' % (int(field, 16) & ~1))
        if not name or value == '0':
            return match.group(0)
        if name == 'host_cr3':
            value = value[:-3]          # without the number that the kernel gave the process
        values = seen.setdefault(field, {})
        return '%s%s value %d' % (match.group(1), field, values.setdefault(value, len(values)))

    return [re.sub(r'^(# \w+ \d+ field )([0-9a-f]{4}) ([0-9a-f]+)', number, line) for line in lines]


def transcript(text):
    """The lines that have to be the same in every run."""
    return without_chance([line for line in text.splitlines()
                           if re.match(r'# (sweep|has|entry|exit) ', line)])


def costs(text):
    """TSC ticks of reading all fields, walk by walk."""
    return [int(ticks) for ticks in re.findall(r'^# cost of \w+ \d+: (\d+) ticks', text, re.M)]
