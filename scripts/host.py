# SPDX-License-Identifier: GPL-2.0
"""What this host says of kvm_intel: read below a root, so that a copy of another host serves, too.

Only files are read, and nothing is changed.  The standard library is enough.
"""

import glob
import os
import re

FORMAT = 1      # of debugfs kvm/<pid>-<fd>/kvm_intel_fast, see Documentation/operating.md

# What can be turned off: (name, parameter, bit of fast_switch_parts or None)
OPTIMISATIONS = (
    ('IA32_DEBUGCTL', 'debugctl_passthrough', None),
    ('MSR bitmap', 'msr_bitmap_cache', None),
    ('pages of L1', 'page_cache', None),
    ('shadow VMCS', 'shadow_copy', None),
    ('choice of shadowed fields', 'adaptive_shadow', None),
    ('descriptor tables', 'desc_exits', None),
    ('CPUID', 'fast_switch_parts', 0),
    ('user-return MSRs', 'fast_switch_parts', 1),
    ("L1's state", 'fast_switch_parts', 2),
    ('requested interrupt', 'fast_switch_parts', 3),
    ('known fields', 'fast_switch_parts', 4),
    ("L2's preemption timer", 'fast_switch_parts', 5),
    ('consistency checks', 'fast_switch_parts', 6),
    ('MMU roles', 'fast_switch_parts', 7),
    ('vmcs02', 'fast_switch_parts', 8),
    ('read-back', 'fast_switch_parts', 9),
    ("L2's state", 'fast_switch_parts', 10),
    ('vmcs01 to vmcs02', 'fast_switch_parts', 11),
    ("the MMU's root", 'fast_switch_parts', 12),
)

# (subject, what was left out, what was not, first words of its counters of verify=1), by counter
SUBJECTS = (
    ('IA32_DEBUGCTL', ('debugctl_pass_through',),
     ('debugctl_intercept_freeze', 'debugctl_intercept_missed', 'debugctl_exit_l1_freeze',
      'debugctl_exit_l1_other', 'debugctl_exit_l2'), ('debugctl',)),
    ('pages of L1', ('page_hold_reused', 'page_hold_hits'),
     ('page_hold_miss_empty', 'page_hold_miss_gfn', 'page_hold_miss_memslots',
      'page_hold_invalidated', 'page_hold_referenced', 'nested_context_evictions'), ('page_hold',)),
    ('MSR bitmap', ('msr_bitmap_hits',),
     ('msr_bitmap_miss_new', 'msr_bitmap_miss_controls', 'msr_bitmap_miss_vmcs01',
      'msr_bitmap_miss_l1'), ('msr_bitmap',)),
    ('shadow VMCS', ('shadow_copies_in', 'shadow_copies_out'),
     ('shadow_changed_in', 'shadow_written_out', 'shadow_exit_vmread', 'shadow_exit_vmwrite',
      'shadow_joins', 'shadow_censuses', 'shadow_window_reloads'), ('shadow',)),
    ('descriptor tables', ('desc_exits_fast',),
     ('desc_exits_stock_mode', 'desc_exits_stock_l2', 'desc_exits_stock_debug',
      'desc_exits_stock_address', 'desc_exits_stock_operand', 'desc_exits_stock_memory',
      'desc_exits_stock_descriptor'), ('desc_exits',)),
    ('CPUID', ('cpuid_updates_direct',), ('cpuid_miss_entries', 'cpuid_miss_xcr0'), ('cpuid',)),
    ('user-return MSRs', ('user_return_kept',), ('user_return_reload',), ('user_return',)),
    ("L1's state", ('host_state_loaded',), ('host_state_stock',), ('host_state',)),
    ('requested interrupt', (), (), ('irr',)),
    ('known fields', ('vmwrites_unchanged',), (), ('known_fields',)),
    ("L2's preemption timer", ('preemption_timer_kept',), ('preemption_timer_started',),
     ('preemption_timer',)),
    ('consistency checks', ('checks_hits',), ('checks_miss_forgotten', 'checks_miss_changed'),
     ('checks',)),
    ('MMU roles', ('mmu_roles_hits',), ('mmu_roles_misses',), ('mmu_roles',)),
    ('controls of vmcs02', ('controls_reused',), ('controls_made',), ('controls',)),
    ('vmcs02', ('vmcs02_shadows_skipped', 'vmcs02_cr3_skipped'),
     ('vmcs02_shadows_done', 'vmcs02_cr3_done'), ('vmcs02', 'l1_cr3')),
    ('read-back', ('read_back_left_out',), ('read_back_done', 'read_back_late'), ('read_back',)),
    ("L2's state", ('guest_state_loaded',), ('guest_state_stock',), ('guest_state',)),
    ('vmcs01 to vmcs02', ('vmcs_switch_short',), ('vmcs_switch_stock',), ('vmcs_switch',)),
    ("the MMU's root", ('mmu_root_loaded',), ('mmu_root_stock',), ('mmu_root',)),
)


class Host:
    """A host, or what was copied of one to a folder."""

    def __init__(self, root='/'):
        self.root = root

    def path(self, *names):
        return os.path.join(self.root, *names)

    def read(self, *names):
        """The text of a file, or None."""
        try:
            with open(self.path(*names), encoding='utf-8', errors='replace') as file:
                return file.read().strip()
        except OSError:
            return None

    def glob(self, *names):
        return sorted(glob.glob(self.path(*names)))

    def release(self):
        return self.read('proc/sys/kernel/osrelease') or ''

    def loaded(self):
        """'fast', 'stock' or 'none'"""
        if not os.path.isdir(self.path('sys/module/kvm_intel')):
            return 'none'
        return 'fast' if (self.version() or '').startswith('fast-') else 'stock'

    def version(self):
        return self.read('sys/module/kvm_intel/version')

    def users(self):
        return int(self.read('sys/module/kvm_intel/refcnt') or 0)

    def parameter(self, name):
        return self.read('sys/module/kvm_intel/parameters', name)

    def installed(self):
        """The module that the package installed for this kernel, or ''."""
        found = self.glob('lib/modules', self.release(), 'updates/dkms/kvm-intel.ko*')
        return found[0] if found else ''

    def refused(self):
        """The package's sentence why there is none, or ''."""
        return self.read('var/lib/kvm-intel-fast/refused', self.release()) or ''

    def fallback(self):
        """The sentence of load-or-stock why stock is loaded, or ''."""
        return self.loaded() == 'stock' and self.read('run/kvm-intel-fast/fallback') or ''

    def optimisations(self):
        """{name: is it on?}; empty if fast is not loaded"""
        if self.loaded() != 'fast':
            return {}
        try:
            parts = int(self.parameter('fast_switch_parts') or '0', 0)
        except ValueError:
            parts = 0
        if self.parameter('fast_switch') == '0':
            parts = 0
        return {name: self.parameter(parameter) == 'Y' if bit is None else bool(parts >> bit & 1)
                for name, parameter, bit in OPTIMISATIONS}

    def vms(self):
        """[{vm, process, vcpus, nested_entries, format, counters, by_vcpu}], of VMs with counters"""
        vms = []
        for path in self.glob('sys/kernel/debug/kvm/*-*/kvm_intel_fast'):
            folder = os.path.dirname(path)
            name = os.path.basename(folder)
            lines = (self.read(path) or '').splitlines()
            counters = {words[0]: int(words[1]) for words in map(str.split, lines)
                        if len(words) == 2 and words[1].isdigit()}
            if not counters:
                continue        # the VM has ended
            entries = self.read(folder, 'nested_run')
            vms.append({
                'vm': name,
                'process': self.read('proc', name.split('-')[0], 'comm') or '?',
                'vcpus': len(glob.glob(os.path.join(folder, 'vcpu*'))),
                'nested_entries': int(entries) if entries and entries.isdigit() else None,
                'format': counters.pop('format', 0),
                'counters': counters,
                'by_vcpu': self.by_vcpu(folder),
            })
        return vms

    def by_vcpu(self, folder):
        """{number of a vCPU: its counters, and nested_run}"""
        lines = (self.read(folder, 'kvm_intel_fast_vcpus') or '').splitlines()
        if lines[:1] != ['format %d' % FORMAT]:
            return {}
        table = {words[0]: words[1:] for words in map(str.split, lines[1:])}
        numbers = table.pop('vcpu', [])
        # A vCPU that came meanwhile has not all of them.
        return {int(number): {name: int(values[i]) for name, values in table.items()
                              if i < len(values)} for i, number in enumerate(numbers)}

    def cpu(self):
        """(flags, VMX flags) of the first CPU"""
        text = self.read('proc/cpuinfo') or ''

        def words(name):
            found = re.search(r'^%s\s*:(.*)' % name, text, re.M)
            return set(found[1].split()) if found else set()
        return words('flags'), words('vmx flags')

    def secure_boot(self):
        path = self.glob('sys/firmware/efi/efivars/SecureBoot-*')
        try:
            with open(path[0], 'rb') as file:
                return file.read()[4:5] == b'\1'
        except (IndexError, OSError):
            return False


def mismatches(counters):
    """{subject: n}, of those that verify=1 found"""
    found = {}
    for subject, _, _, words in SUBJECTS:
        number = sum(counters.get(word + '_verify_mismatches', 0) for word in words)
        if number:
            found[subject] = number
    return found


def status(host):
    """All of it, as a dictionary for JSON."""
    return {
        'format': FORMAT,
        'kernel': host.release(),
        'loaded': host.loaded(),
        'version': host.version() or '',
        'users': host.users(),
        'verify': host.parameter('verify') == 'Y',
        'installed': host.installed(),
        'refused': host.refused(),
        'fallback': host.fallback(),
        'optimisations': host.optimisations(),
        'vms': host.vms(),
    }


def prometheus(state):
    """The same, as text for node_exporter's textfile collector."""
    def label(value):
        return '"%s"' % str(value).replace('\\', r'\\').replace('"', r'\"').replace('\n', r'\n')

    lines = ['# HELP kvm_intel_fast_info Which kvm_intel is loaded.',
             '# TYPE kvm_intel_fast_info gauge',
             'kvm_intel_fast_info{loaded=%s,version=%s,kernel=%s} 1' % tuple(
                 label(state[key]) for key in ('loaded', 'version', 'kernel')),
             '# HELP kvm_intel_fast_optimisation Is an optimisation on?',
             '# TYPE kvm_intel_fast_optimisation gauge']
    lines += ['kvm_intel_fast_optimisation{name=%s} %d' % (label(name), on)
              for name, on in state['optimisations'].items()]
    lines += ['# HELP kvm_intel_fast_nested_entries_total VM entries to L2, of a VM.',
              '# TYPE kvm_intel_fast_nested_entries_total counter']
    lines += ['kvm_intel_fast_nested_entries_total{vm=%s} %d'
              % (label(vm['vm']), vm['nested_entries'])
              for vm in state['vms'] if vm['nested_entries'] is not None]
    lines += ['# HELP kvm_intel_fast_vcpu_nested_entries_total VM entries to L2, of a vCPU.',
              '# TYPE kvm_intel_fast_vcpu_nested_entries_total counter']
    lines += ['kvm_intel_fast_vcpu_nested_entries_total{vm=%s,vcpu="%d"} %d'
              % (label(vm['vm']), number, counters.get('nested_run', 0))
              for vm in state['vms'] for number, counters in vm['by_vcpu'].items()]
    lines += ['# HELP kvm_intel_fast_count_total A counter of vmx/counters.h, of a VM.',
              '# TYPE kvm_intel_fast_count_total counter']
    lines += ['kvm_intel_fast_count_total{vm=%s,counter=%s} %d'
              % (label(vm['vm']), label(name), value)
              for vm in state['vms'] for name, value in vm['counters'].items()]
    return '\n'.join(lines) + '\n'


def findings(host):
    """[(what speaks against fast on this host, what to do)]"""
    flags, vmx = host.cpu()
    release = host.release()
    if 'vmx' not in flags:
        yield ('the CPU does not offer VMX',
               'enable it in the firmware, or in the hypervisor above')
        return
    if host.fallback():
        yield tuple(host.fallback().partition('; to do: ')[::2])
    elif host.refused():
        yield tuple(host.refused().partition('; to do: ')[::2])
    elif not host.installed() and host.loaded() != 'fast':
        if not os.path.exists(host.path('lib/modules', release, 'build')):
            yield ('there are no headers of the running kernel, %s' % release,
                   'apt-get install linux-headers-%s' % release)
        else:
            yield ('no kvm-intel-fast is installed for kernel %s' % release,
                   'apt-get install kvm-intel-fast-dkms; or make, in its tree')
    if host.secure_boot():
        yield ('Secure Boot is on: the kernel takes only a signed module',
               'enroll the key of DKMS, see Documentation/operating.md')
    if host.loaded() != 'fast' and host.users():
        yield ('kvm_intel is in use (%d references)' % host.users(),
               'shut the virtual machines down or migrate them, before kvm-intel-fast load')
    if host.parameter('nested') in ('N', '0'):
        yield ('nested virtualisation is off: no guest gets VMX',
               'kvm-intel-fast load nested=1; it is then the same for stock')
    if vmx and 'shadow_vmcs' not in vmx or host.parameter('enable_shadow_vmcs') == 'N':
        yield ('no VMCS shadowing: each VMREAD and VMWRITE of L1 exits, and that stays so',
               'nothing, if the CPU lacks it; else load kvm_intel with enable_shadow_vmcs=1')
    if vmx and 'apicv' not in vmx or host.parameter('enable_apicv') == 'N':
        yield ('no APICv: interrupts of L1 and L2 exit, and that stays so',
               'nothing, if the CPU lacks it; else load kvm_intel with enable_apicv=1')
    machine = tuple(host.read('sys/class/dmi/id', name) for name in ('sys_vendor', 'product_name'))
    if machine == ('Microsoft Corporation', 'Virtual Machine'):
        yield ('this host runs on Hyper-V: with its enlightened VMCS some steps are not left out',
               'nothing; measure whether it helps')
    elif 'hypervisor' in flags:
        yield ('this host is itself a guest: the hypervisor above does most of the work at an exit',
               'load kvm-intel-fast in that one, if it is KVM')
    if 'umip' not in flags:
        yield ('the CPU lacks UMIP: KVM emulates it when L1 uses it, and then L1 exits at each '
               'access to its descriptor tables',
               'hide it from L1, as with QEMU: -cpu host,-umip')
    if os.path.exists(host.path('var/lib/kvm-intel-fast/unfinished')):
        yield ('a check or measure runs, or did not come to its end',
               'wait for it; else kvm-intel-fast check says what it was doing')
    for vm in host.vms():
        for subject, number in mismatches(vm['counters']).items():
            yield ('verify=1 found %d mismatches of "%s" in the VM %s'
                   % (number, subject, vm['vm']),
                   'see "Warnings" in Documentation/operating.md, and report it')
        if vm['format'] != FORMAT:
            yield ('the counters of VM %s have format %d, this command knows %d'
                   % (vm['vm'], vm['format'], FORMAT),
                   "kvm-intel-fast-tools of the module's version")
