# SPDX-License-Identifier: GPL-2.0
"""Where in some functions of L0 its instructions were, by line of their source.

    run['listing'] = listing.of_window(objects, counters, kallsyms, iterations)

The lab's kernels have no debug information.  Our modules have it until they are stripped; the
files of stock that have these functions are compiled again.

Invariant: no listing of a function whose machine code is not the one that ran.
"""

import collections
import functools
import json
import os
import re
import shutil
import subprocess

from scripts import TOP, cache, command
from scripts.command import SetupError
from .. import project
from . import figures

# Those of the talk.  What it shows of nested_vmx_run is in the two that it calls today.
FUNCTIONS = ('nested_vmx_run', 'nested_vmx_enter_non_root_mode', 'nested_get_vmcs12_pages',
             'vmx_vcpu_run', 'kvm_arch_vcpu_ioctl_run')
SOURCES = {'x86.o': 'kvm', 'vmx/vmx.o': 'kvm-intel', 'vmx/nested.o': 'kvm-intel'}
KBUILD = 'ccflags-y := -I$(src) -I$(src)/..\nobj-m := %s\n' % ' '.join(SOURCES)
# Of some kernel lines a module is linked into fewer sections, which its code then names.
MERGED = ('text.unlikely=text', r'rodata\.str1\.\d+=rodata')
OTHER_CODE = 'other-code'
SYMBOL = re.compile(r'([0-9a-f]+) .{7} (\S+)\t[0-9a-f]+ (?:\.hidden )?(\S+)')
FRAME = re.compile(r'(.+)\n(.+):(\d+|\?).*')

# path: of a file with debug information; source: the folder that was arch/x86/kvm
Object = collections.namedtuple('Object', 'path source')


def output(*argv, **options):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True, **options).stdout


def other_code(path, module, renames):
    """{name of a function of this object whose machine code the module has not}"""
    told = subprocess.run([os.path.join(TOP, 'scripts', 'same-code'), path, module, *renames],
                          stdout=subprocess.PIPE, text=True, check=False)
    if told.returncode > 1:
        raise SetupError('scripts/same-code cannot compare %s with %s; see above' % (path, module))
    return set(re.findall(r'^(?:other code|gone): (\S+)', told.stdout, re.M))


def compile_stock(on, new):
    """Compile the files of stock into a folder, and list there what became other code."""
    kvm = os.path.join(new, 'arch', 'x86', 'kvm')
    shutil.copytree(os.path.join(on.directory, 'source'), new, dirs_exist_ok=True)
    with open(os.path.join(kvm, 'Kbuild'), 'w', encoding='ascii') as file:
        file.write(KBUILD)
    command.progress('compiling %s of %s for the listings' % (', '.join(SOURCES), on.release))
    compiled = project.kbuild(on.headers, '-j2', 'M=' + kvm, *SOURCES)
    others = set() if compiled else set(FUNCTIONS)
    for name, module in SOURCES.items() if compiled else ():
        found = [other_code(os.path.join(kvm, name), os.path.join(
            on.directory, 'modules', module + '.ko'), renames) for renames in ((), MERGED)]
        others |= set.intersection(*found)
    with open(os.path.join(new, OTHER_CODE), 'w', encoding='ascii') as file:
        file.write('\n'.join(sorted(others)))


@functools.lru_cache(maxsize=None)
def stock(on):
    """{symbol: Object} of a kernel of the lab, made once."""
    final = os.path.join(cache.directory(), 'listing', os.path.basename(on.directory))
    if not os.path.isdir(final):
        with cache.new_folder(final) as new:
            compile_stock(on, new)
    with open(os.path.join(final, OTHER_CODE), encoding='ascii') as file:
        others = set(file.read().split())
    kvm = os.path.join(final, 'arch', 'x86', 'kvm')
    found = {}
    for name in SOURCES:
        at = Object(os.path.join(kvm, name), kvm)
        if os.path.exists(at.path):
            found.update(dict.fromkeys(set(symbols(at.path)) - others, at))
    for name in sorted(set(FUNCTIONS) - set(found)):
        command.progress('no listing of %s: this compiler makes other code of it than that of %s' % (
            name, on.release))
    return found


def built(module):
    """{symbol: Object} of a module that make left there."""
    folder = os.path.dirname(module)
    at = Object(os.path.join(folder, 'kvm-intel.ko'), os.path.join(folder, 'kvm'))
    return dict.fromkeys(symbols(at.path), at)


def symbols(path):
    """{name: (section, address in it)} of an object file."""
    return {name: (section, int(value, 16)) for value, section, name
            in SYMBOL.findall(output('objdump', '-t', path))}


def place(frames):
    """(function, file, line) of addr2line's frames: the innermost in the function's own file."""
    own = frames[-1][1]
    return next((function, file, int(line)) for function, file, line
                in [*frames, (frames[-1][0], own, 0)] if file == own and line != '?')


def places(at, name, offsets):
    """{offset: (function, file, line)} of a symbol's code."""
    section, start = symbols(at.path)[name]
    told = output('addr2line', '-a', '-i', '-f', '-e', at.path, '-j', section,
                  input=''.join('%#x\n' % (start + offset) for offset in offsets))
    found = [FRAME.findall(part) for part in re.split(r'^0x[0-9a-f]+\n', told, flags=re.M)[1:]]
    return dict(zip(offsets, map(place, found)))


def text_of(at, path, line):
    relative = path.rpartition('/kvm/')[2]
    with open(os.path.join(at.source, relative), encoding='utf-8', errors='replace') as file:
        lines = file.read().splitlines()
    return lines[line - 1].strip() if 0 < line <= len(lines) else '(no line)'


def with_callees(stacks):
    """{address of a call: instructions until it returned}"""
    totals = collections.Counter()
    for call, _, count in stacks['host_ip']:
        totals[call] += count
    found = collections.Counter()
    for call in range(len(stacks['calls']) - 1, 0, -1):     # a parent is before its children
        parent, site = stacks['calls'][call]
        totals[parent] += totals[call]
        found[site] += totals[call]
    return found


def of_window(objects, path, kallsyms, iterations):
    """{function: [[function inlined there, line, text, own instructions, and with callees]]}"""
    with open(path, encoding='ascii') as file:
        own = collections.Counter(dict(json.load(file)['host_ip']))
    with open(path.replace('counters', 'stacks'), encoding='ascii') as file:
        called = with_callees(json.load(file))
    known = figures.Symbols(kallsyms)
    codes = collections.defaultdict(dict)       # {symbol: {offset: address}}
    for address in sorted({*own, *called}):
        symbol, start = known.symbol(address)
        if symbol.split('.')[0] in FUNCTIONS and symbol in objects:
            codes[symbol][address - start] = address
    found = {name: {} for name in FUNCTIONS}
    for symbol, code in codes.items():
        lines = found[symbol.split('.')[0]]
        for offset, where in places(objects[symbol], symbol, list(code)).items():
            counts = lines.setdefault(where, [0, 0])
            counts[0] += own[code[offset]]
            counts[1] += own[code[offset]] + called[code[offset]]
            counts[2:] = [text_of(objects[symbol], *where[1:])]
    return {name: [[where[0], where[2], text, *(round(n / iterations, 2) for n in counts)]
                   for where, (*counts, text) in sorted(lines.items(), key=lambda item: item[0][1:])]
            for name, lines in found.items() if lines}
