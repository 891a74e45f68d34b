# SPDX-License-Identifier: GPL-2.0
"""From the emulator's raw counters of one window to figures per iteration.

Every figure is a count divided by the number of iterations.  Symbols are
resolved with the /proc/kallsyms of the same run: L0 boots with nokaslr.
"""

import bisect
import collections
import functools
import glob
import json
import os
import statistics

EXIT_REASONS = {
    0: 'EXCEPTION_NMI', 1: 'EXTERNAL_INTERRUPT', 2: 'TRIPLE_FAULT', 7: 'INTERRUPT_WINDOW',
    8: 'NMI_WINDOW', 10: 'CPUID', 12: 'HLT', 14: 'INVLPG', 15: 'RDPMC', 16: 'RDTSC',
    18: 'VMCALL', 19: 'VMCLEAR', 20: 'VMLAUNCH', 21: 'VMPTRLD', 22: 'VMPTRST', 23: 'VMREAD',
    24: 'VMRESUME', 25: 'VMWRITE', 26: 'VMXOFF', 27: 'VMXON', 28: 'CR_ACCESS', 29: 'DR_ACCESS',
    30: 'IO_INSTRUCTION', 31: 'RDMSR', 32: 'WRMSR', 33: 'ENTRY_FAILURE_GUEST_STATE',
    34: 'ENTRY_FAILURE_MSR_LOADING', 36: 'MWAIT', 37: 'MONITOR_TRAP_FLAG', 39: 'MONITOR',
    40: 'PAUSE', 43: 'TPR_BELOW_THRESHOLD', 44: 'APIC_ACCESS', 45: 'VIRTUALIZED_EOI',
    46: 'GDTR_IDTR_ACCESS', 47: 'LDTR_TR_ACCESS', 48: 'EPT_VIOLATION', 49: 'EPT_MISCONFIGURATION',
    50: 'INVEPT', 51: 'RDTSCP', 52: 'PREEMPTION_TIMER', 53: 'INVVPID', 54: 'WBINVD', 55: 'XSETBV',
    56: 'APIC_WRITE', 58: 'INVPCID', 59: 'VMFUNC', 62: 'PML_FULL', 63: 'XSAVES', 64: 'XRSTORS',
}

# SDM, "VMCS Layout": pin, primary, secondary and tertiary processor-based,
# exit and entry controls.  A write to one of them makes the next entry dearer.
CONTROL_FIELDS = {'0x4000', '0x4002', '0x401e', '0x2034', '0x400c', '0x4012'}

MSR_PRED_CMD = '0x49'
MSR_FLUSH_CMD = '0x10b'
# The software L1D flush reads a buffer of 16 pages, a cache line at a time.
L1D_FLUSH_LINES = 16 * 4096 // 64
OTHER = '(user mode, and less than one instruction)'
PAGE_MAP_FUNCTIONS = ('kvm_vcpu_map', '__kvm_vcpu_map')


def read_runs(directory):
    """The figure sets of a bench that wrote into directory; [] if it wrote none."""
    runs = []
    for path in sorted(glob.glob(os.path.join(directory, '*.json'))):
        with open(path, encoding='utf-8') as file:
            runs.append(json.load(file))
    return runs


class Symbols:
    """The functions of L0's kernel and modules, by address."""

    def __init__(self, path):
        entries = []
        with open(path, encoding='ascii', errors='replace') as file:
            for line in file:
                words = line.split()
                if len(words) >= 3 and words[1] in 'tTwW':
                    entries.append((int(words[0], 16), words[2]))
        entries.sort()
        self.addresses = [address for address, _ in entries]
        self.names = [name for _, name in entries]
        self.start = {}
        for address, name in entries:
            self.start.setdefault(name, address)

    def symbol(self, address):
        """(name of the symbol around address, where it starts)"""
        i = bisect.bisect(self.addresses, address) - 1
        return (self.names[i], self.addresses[i]) if i >= 0 else ('unknown', 0)

    def name(self, address):
        """Of the function around address; parts that the compiler split off count as one."""
        return self.symbol(address)[0].split('.')[0]


@functools.lru_cache(maxsize=4)
def symbols_of(path, changed):          # changed: the file's time, so another file is read
    return Symbols(path)


def profile(counters, symbols):
    """Instructions of L0 by function, user mode as one."""
    total = collections.Counter()
    for address, count in counters['host_ip']:
        total[symbols.name(address)] += count
    if counters['host_user_instructions']:
        total['user'] = counters['host_user_instructions']
    return total


def calls(counters, symbols, names):
    """How often functions were entered: their first instruction's count."""
    starts = {symbols.start[name] for name in names if name in symbols.start}
    return sum(count for address, count in counters['host_ip'] if address in starts)


def l1d_flushes(counters, symbols):
    """By the software loop and by IA32_FLUSH_CMD."""
    loop = [count for address, count in counters['host_ip']
            if symbols.name(address) == 'vmx_l1d_flush']
    # The loop's body runs once per line; nothing else there runs so often.
    hottest = max(loop, default=0)
    by_loop = hottest / L1D_FLUSH_LINES if hottest >= L1D_FLUSH_LINES else 0
    return by_loop + counters['host']['wrmsr'].get(MSR_FLUSH_CMD, 0)


def vmcss_of_l1(counters):
    """Those in which VMRESUME or VMLAUNCH exits."""
    return {entry['vmcs'] for entry in counters['exits']
            if EXIT_REASONS.get(entry['reason'] & 0xffff) in ('VMRESUME', 'VMLAUNCH')}


def barriers(counters):
    """{MSR: {(exited, current, entered): n}}, VMCSs being "L1", "L2" or "other"."""
    of_l1 = vmcss_of_l1(counters)
    entered = {number for number, count in enumerate(counters['vm_entries']) if count}

    def level(vmcs):
        return 'L1' if vmcs in of_l1 else 'L2' if vmcs in entered else 'other'
    found = collections.defaultdict(collections.Counter)
    for msr, *vmcss, count in counters['barriers']:
        found[msr][tuple(map(level, vmcss))] += count
    return found


def exits_by_level(counters):
    """({reason: n} of L1, the same of L2)"""
    of_vmcs = collections.defaultdict(collections.Counter)
    for entry in counters['exits']:
        reason = entry['reason'] & 0xffff
        of_vmcs[entry['vmcs']][EXIT_REASONS.get(reason, str(reason))] += entry['count']
    levels = collections.Counter(), collections.Counter()
    vmcs01 = vmcss_of_l1(counters)
    for vmcs, exits in of_vmcs.items():
        levels[0 if vmcs in vmcs01 or not vmcs01 else 1].update(exits)
    return levels


def jumped_from(counted, symbols):
    """{(entry of calls, function): the function that jumped to it instead of calling it}

    Only of functions that were entered in no other way during that call."""
    begun = {(call, address): count for call, address, count in counted['host_ip']}
    jumps = collections.defaultdict(collections.Counter)
    for call, before, after, count in counted['jumps']:
        source, target = symbols.name(before), symbols.name(after)
        if source != target and symbols.start.get(target) == after:
            jumps[call, target][source] += count
    return {(call, target): next(iter(sources)) for (call, target), sources in jumps.items()
            if len(sources) == 1 and sources.total() == begun.get((call, symbols.start[target]))}


def call_tree(counted, symbols, user, iterations):
    """[function, own instructions, [callees, likewise]] per iteration, of stacks.N.json.

    Stacks below one instruction per iteration are one callee of the root, OTHER."""
    def node(name):
        return [name, 0, {}]

    by_jump = jumped_from(counted, symbols)

    def functions(call, address):
        """During this call: the function of address, below those that jumped to it."""
        found = [symbols.name(address)]
        while (call, found[0]) in by_jump and by_jump[call, found[0]] not in found:
            found.insert(0, by_jump[call, found[0]])
        return tuple(found)

    root, paths, others = node('L0'), [], user / iterations
    for parent, site in counted['calls']:
        paths.append(paths[parent] + functions(parent, site) if paths else ())
    by_path = collections.Counter()
    for call, address, count in counted['host_ip']:
        by_path[paths[call] + functions(call, address)] += count
    for path, count in sorted(by_path.items()):
        if count < iterations:
            others += count / iterations
            continue
        at = root
        for name in path:
            at = at[2].setdefault(name, node(name))
        at[1] += round(count / iterations, 2)
    root[2][OTHER] = [OTHER, round(others, 2), {}]

    def plain(item):
        return [item[0], item[1], [plain(child) for child in item[2].values()]]
    return plain(root)


def caches(counters, symbols, iterations):
    """What L0 and the guests asked of caches and predictors (bochs/instrument/caches.cc)."""
    found, host = counters['caches'], counters['host']
    figures = {}
    for mode, prefix in enumerate(('', 'guest_')):
        for name in ('code_lines', 'data_lines'):       # of a round, not of an iteration
            figures[prefix + name] = found[name][mode]
        for name in ('l1i_misses', 'l1d_misses'):
            misses = [round(counts[mode] / iterations, 2) for counts in found[name]]
            figures[prefix + name] = round(statistics.median(misses), 2)
            figures[prefix + name + '_range'] = [min(misses), max(misses)]
        for name in ('mispredictions', 'locked'):
            figures[prefix + name] = round(found[name][mode] / iterations, 2)
    longest, first, last = found['interrupts_off']
    by_name = collections.Counter()
    for address, count in found['shared_ip']:
        by_name[symbols.name(address)] += count
    return {
        **figures,
        'div64': round((host['div64'] + host['idiv64']) / iterations, 4),
        'rdtsc': round((host['rdtsc'] + host['rdtscp']) / iterations, 4),
        'shared_lines': round(found['shared'] / iterations, 2),
        'shared_symbols': [[name, round(n / iterations, 2)] for name, n in by_name.most_common()],
        'interrupts_off': longest,
        'interrupts_off_symbols': [symbols.name(first), symbols.name(last)],
    }


def per_iteration(counters, symbols, iterations):
    """The bench's figures; see Documentation/measuring.md for each."""
    def each(value):
        if isinstance(value, dict):
            return {key: each(n) for key, n in sorted(value.items()) if n}
        return round(value / iterations, 4)

    host, guest = counters['host'], counters['guest']
    l1_exits, l2_exits = exits_by_level(counters)
    figures = {
        'l0_instructions': counters['host_instructions'],
        'guest_instructions': counters['guest_instructions'],
        'ticks': counters['ticks'],
        'exits': l1_exits + l2_exits,
        'exits_l1': l1_exits, 'exits_l2': l2_exits,
        'exit_vmread_fields': counters['exit_vmread_fields'],
        'exit_vmwrite_fields': counters['exit_vmwrite_fields'],
        'exit_rdmsr': counters['exit_rdmsr'], 'exit_wrmsr': counters['exit_wrmsr'],
        'vm_entries': sum(counters['vm_entries']),
        'vmread': sum(host['vmread'].values()),
        'vmwrite': sum(host['vmwrite'].values()),
        'vmwrite_control': sum(n for field, n in host['vmwrite'].items()
                               if field in CONTROL_FIELDS),
        'rdmsr': host['rdmsr'], 'wrmsr': host['wrmsr'],
        'guest_rdmsr': guest['rdmsr'], 'guest_wrmsr': guest['wrmsr'],
        'guest_vmread': sum(guest['vmread'].values()),
        'guest_vmwrite': sum(guest['vmwrite'].values()),
        'l1d_flush': l1d_flushes(counters, symbols),
        'ibpb': host['wrmsr'].get(MSR_PRED_CMD, 0),
        'page_maps': calls(counters, symbols, PAGE_MAP_FUNCTIONS),
        'barriers': {msr: {' '.join(place): n for place, n in places.items()}
                     for msr, places in barriers(counters).items()},
    }
    for name in ('vmptrld', 'vmclear', 'invept', 'invvpid', 'verw', 'xsetbv'):
        figures[name] = host[name]
    figures = {name: each(value) for name, value in figures.items()}
    figures.update(caches(counters, symbols, iterations))
    figures['symbols'] = [[name, each(n)]
                          for name, n in profile(counters, symbols).most_common()]
    return figures


def names():
    """(plain figures, figures that are tables), as per_iteration() makes them."""
    plain = ('vmptrld', 'vmclear', 'invept', 'invvpid', 'verw', 'xsetbv',
             'div64', 'idiv64', 'rdtsc', 'rdtscp')
    by_mode = ('code_lines', 'data_lines', 'mispredictions', 'locked')
    tables = ('vmread', 'vmwrite', 'rdmsr', 'wrmsr')
    mode = {**dict.fromkeys(plain, 0), **dict.fromkeys(tables, {})}
    found = per_iteration({
        **dict.fromkeys(('host_instructions', 'guest_instructions', 'ticks',
                         'host_user_instructions'), 0),
        **dict.fromkeys(('exit_vmread_fields', 'exit_vmwrite_fields', 'exit_rdmsr',
                         'exit_wrmsr'), {}),
        'host_ip': [], 'exits': [], 'vm_entries': [], 'barriers': [], 'host': mode, 'guest': mode,
        'caches': {**dict.fromkeys(by_mode, [0, 0]),
                   **dict.fromkeys(('l1i_misses', 'l1d_misses'), [[0, 0]]),
                   'shared': 0, 'shared_ip': [], 'interrupts_off': [0, 0, 0]},
    }, Symbols(os.devnull), 1)
    return tuple([name for name, value in found.items() if isinstance(value, kind)]
                 for kind in ((int, float), dict))


def load(counters_path, kallsyms_path, iterations):
    """Figures of the window in counters_path."""
    with open(counters_path, encoding='ascii') as file:
        counters = json.load(file)
    symbols = symbols_of(kallsyms_path, os.stat(kallsyms_path).st_mtime_ns)
    figures = per_iteration(counters, symbols, iterations)
    directory, name = os.path.split(counters_path)
    path = os.path.join(directory, name.replace('counters', 'stacks'))
    if os.path.exists(path):
        with open(path, encoding='ascii') as file:
            figures['call_tree'] = call_tree(json.load(file), symbols,
                                             counters['host_user_instructions'], iterations)
    return figures
