# SPDX-License-Identifier: GPL-2.0
"""Whole workloads, in a Linux guest that is L1, or L2 of a Linux L1: the same guest.

selftests/workloads/rows.sh runs them there, host.sh beside QEMU in the guest's host.

Invariant: of L1 alone and of L2 everything is the same but the level: kernel, memory,
devices, programs.
"""

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess

from scripts import TOP, cache
from scripts.command import SetupError
from ..machine import linux_l1, read
from .rows import WORKLOADS

SOURCES = os.path.join(TOP, 'selftests', 'workloads')
PROGRAMS = ('exits', 'mark', 'wakeups')
MEMORY, L1_MEMORY, GUEST_MEMORY = 2048, 1100, 256       # MiB
GUEST_MODULES = ('failover', 'net_failover', 'virtio_ring', 'virtio', 'virtio_mmio', 'virtio_net')
BRIDGE_MODULES = ('llc', 'stp', 'bridge', 'tap', 'vhost_iotlb', 'vhost', 'vhost_net')
DEVICES = ('-netdev tap,id=network,ifname=%s,script=no,downscript=no%s '
           '-device virtio-net-device,netdev=network,mac=52:54:00:12:34:%s')
LATENCY = re.compile(r'^latency (\S+) p50 (\d+) p99 (\d+) max (\d+)', re.M)
PACKETS = re.compile(r'^packets (\S+) sent (\d+) units (\d+)', re.M)
BANDWIDTH = re.compile(r'^bandwidth (\S+) (\d+)$', re.M)


def found(name, package):
    path = shutil.which(name)
    if not path:
        raise SetupError('there is no %s here; apt-get install %s' % (name, package))
    return os.path.realpath(path)


def output(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


def programs():
    """The directory of the programs, and of what the compilers compile: made once."""
    tcc, gcc = found('tcc', 'tcc'), found('gcc', 'gcc')
    digest = hashlib.sha256(output(tcc, '-v').encode() + output(gcc, '--version').encode())
    for name in sorted(os.listdir(SOURCES)):
        digest.update(name.encode() + read(os.path.join(SOURCES, name)))
    final = os.path.join(cache.directory(), 'workloads', digest.hexdigest()[:16])
    if not os.path.isdir(final):
        with cache.new_folder(final) as new:
            for name in PROGRAMS:
                subprocess.run([gcc, '-O2', '-Wall', '-Wextra', '-Werror', '-static', '-s', '-o',
                                os.path.join(new, name), os.path.join(SOURCES, name + '.c')],
                               check=True)
            # Of programs that each compiler can read.
            for compiler, source, to in ((tcc, 'mark.c', 'source.c'), (gcc, 'wakeups.c', 'source.i')):
                subprocess.run([compiler, '-E', source, '-o', os.path.join(new, to)], cwd=SOURCES,
                               check=True)
    return final


def carried(names):
    """(path here, path in the guest) of what the rows need."""
    made = programs()
    paths = [os.path.join(SOURCES, 'rows.sh'), os.path.join(made, 'mark'),
             os.path.join(made, 'wakeups'), os.path.join(made, 'source.c'), found('tcc', 'tcc'), found('iperf', 'iperf'),
             '/bin/true']
    if 'compile_gcc' in names:
        paths += [os.path.realpath(output('gcc', '-print-prog-name=cc1')),
                  os.path.join(made, 'source.i')]
    return [(path, '/workloads/' + os.path.basename(path)) for path in paths]


def guest_of(names, cpus, append):
    """The guest that does the work; beside it, in its host or a sibling, iperf serves."""
    guest = linux_l1.Guest(
        program=['sh', '/workloads/rows.sh', *names], l1_append=append, l1_cpus=cpus,
        l1_memory=GUEST_MEMORY, l1_files=carried(names), l1_modules=list(GUEST_MODULES),
        l1_kvm_intel='none', l1_devices=DEVICES % ('tap0', '', '56'),
        l1_beside={'before': os.path.join(SOURCES, 'host.sh'), 'iperf': found('iperf', 'iperf')})
    if WORKLOADS[names[0]].sibling:
        sibling = dataclasses.replace(
            guest, program=['sh', '/workloads/sibling.sh'], l1_beside={},
            l1_files=[(path, '/workloads/' + os.path.basename(path)) for path in (
                os.path.join(SOURCES, 'sibling.sh'), found('iperf', 'iperf'))],
            l1_devices=DEVICES % ('tap1', ',vhost=on', '57'))
        contents = sibling.contents()
        guest.l1_devices = DEVICES % ('tap0', ',vhost=on', '56')
        guest.l1_beside = {'before': os.path.join(SOURCES, 'siblings.sh'), **{
            'sibling-' + name: contents[name] for name in ('initrd', 'parameters', 'devices')}}
    return guest


def run(spec, l1, names, append, directory):
    """Boot the machine and run rows; the content of result.json.  l1 is one of WORKLOAD_L1S."""
    guest = guest_of(names, spec.cpus, append)
    modules = ['tun', *(BRIDGE_MODULES if WORKLOADS[names[0]].sibling else ())]
    spec.memory = MEMORY
    if l1 == 'workload_l1':
        spec.modules = modules
    else:
        guest = linux_l1.Guest(guest=guest, l1_append=append, l1_cpus=spec.cpus,
                               l1_memory=L1_MEMORY, l1_modules=modules)
    return linux_l1.run(spec, guest, directory)


def add_said(runs, directory):
    """Add what the programs said about rows; times are of the emulated clock."""
    text = read(os.path.join(directory, 'stdout.txt')).decode(errors='replace')
    for name, *values in LATENCY.findall(text):
        runs[name]['latency_ns'] = dict(zip(('p50', 'p99', 'max'), map(int, values)))
    for name, bandwidth in BANDWIDTH.findall(text):
        runs[name]['bits_per_second'] = int(bandwidth)
    for name, packets, units in PACKETS.findall(text):
        runs[name]['per_iteration']['packets'] = round(int(packets) / int(units), 2)
    for name, row in runs.items():
        row['unit'] = WORKLOADS[name].unit
