# SPDX-License-Identifier: GPL-2.0
"""What each VMX instruction costs, by a kernel module of the kit: part of measure.

A guest cannot tell: its VMREADs and VMWRITEs exit or go to a shadow VMCS.  So vmx_costs.c executes
them in the kernel, on CPU 0, with no VM running and interrupts off, and says cycles of the TSC.
"""

import glob
import os
import shutil
import subprocess
import tempfile

LIMIT = 60              # seconds
LEAST_EXIT = 100        # cycles: a VM exit of any CPU takes several times as many
TITLES = {
    'vmread': 'VMREAD, natural width', 'vmread_exit_reason': 'VMREAD of the exit reason',
    'vmwrite_same': 'VMWRITE, the same value', 'vmwrite_changing': 'VMWRITE, another value',
    'vmwrite_control': 'VMWRITE of the exception bitmap',
    'vmptrld_current': 'VMPTRLD of the current VMCS',
    'vmptrld_two_in_turn': 'VMPTRLD, two VMCSs in turn', 'vmclear_and_vmptrld': 'VMCLEAR and VMPTRLD',
    'entry': 'VM entry, with three VMWRITEs', 'exit': 'VM exit, with a VMREAD',
}


class LeftOut(Exception):
    """Why there are no costs."""


def call(words):
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LeftOut('%s: %s' % (words[0], error)) from None
    if done.returncode:
        raise LeftOut('%s: %s' % (words[0], ' '.join(done.stdout.split())[-300:]))


def module_for(release, kit, work):
    """The path of vmx_costs.ko: of the kit, or built."""
    ready = os.path.join(kit, 'vmx_costs-%s.ko' % release)
    if os.path.exists(ready):
        return ready
    headers = '/lib/modules/%s/build' % release
    sources = glob.glob(os.path.join(kit, 'vmx_costs', '*'))
    if not sources:
        raise LeftOut('the kit has no vmx_costs')
    if not os.path.exists(headers):
        raise LeftOut('there are no headers to build its module with: apt-get install '
                      'linux-headers-' + release)
    for path in sources:
        shutil.copy(path, work)
    # BTF would need pahole, which the headers of 6.12 on Debian 12 do not bring.
    call(['make', '-s', '-C', headers, 'M=' + work, 'CONFIG_DEBUG_INFO_BTF_MODULES=', 'modules'])
    return os.path.join(work, 'vmx_costs.ko')


def cycles_of(text):
    """{name: [median, spread]} in cycles, without the empty loop's."""
    tenths = {name: (int(median), int(spread)) for name, median, spread in
              map(str.split, filter(None, text.splitlines()))}
    empty = tenths.pop('empty')[0]
    return {name: [(median - empty) / 10, spread / 10] for name, (median, spread) in tenths.items()}


def emulated(told):
    """True if what measure() told is not a CPU's."""
    return told.get('cycles', {}).get('exit', [LEAST_EXIT])[0] < LEAST_EXIT


def measure(run, kit):
    """{'cycles': {name: [median, spread]}} or {'left_out': why}; stock is loaded, no VM runs."""
    run.record.note('step', name='VMX instructions', variant=run.variant, limit=2 * LIMIT)
    run.guard.step(2 * LIMIT)
    work = tempfile.mkdtemp()
    try:
        call(['insmod', module_for(run.host.release(), kit, work)])
        text = run.host.read('sys/module/vmx_costs/parameters/result') or ''
        call(['rmmod', 'vmx_costs'])
        return {'cycles': cycles_of(text)}
    except LeftOut as error:
        return {'left_out': str(error)}
    finally:
        shutil.rmtree(work)
        run.look_at_log('vmx-costs')


def table(found):
    """Lines."""
    if 'left_out' in found:
        return ['VMX instructions: left out: ' + found['left_out']]
    return ['%-32s %18s' % ('cycles per VMX instruction', '')] + [
        '%-32s %18s' % (TITLES[name], '{:,.0f} ± {:,.0f}'.format(*pair))
        for name, pair in found['cycles'].items()]
