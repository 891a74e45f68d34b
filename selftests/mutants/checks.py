# SPDX-License-Identifier: GPL-2.0
"""The checks that a mutant can be caught by.

A check is a function of a tree of the project, in which the mutant has been
applied, and answers with Outcome: whether it passed, and the lines that say
what it saw.  CHECKS names them all.  Invariant: a check never passes because it
could not run: a missing program or plan, or a skipped case that it is about, is
a failure.
"""

import dataclasses
import functools
import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading

from scripts import TOP, cache, kernel_lines
from selftests.host import mitigations
from selftests.lab import machine, project

SELFTESTS = os.path.join(TOP, 'selftests')

# What a module is built from.
BUILD_INPUTS = ('Kbuild', 'Makefile', 'scripts', 'vmx', 'nested', 'patches', 'Documentation',
                'selftests/setup')     # which scripts/in-suite calls
MAKE_LIMIT = 600        # seconds
MACHINE_LIMIT = 300
DIFFERENTIAL_SEEDS = '0-49'
DIFFERENTIAL_LIMIT = 900
FIELDS_LIMIT = 1300
SOAK_LIMIT = 1500
# Cases of page_hold_test that mutants of held pages and of the MSR bitmap need.
PAGES_CASES = (
    'steady_state', 'l1_stores_to_its_bitmap', 'l1_stores_under_x2apic',
    'user_space_filters_an_msr', 'as_many_vmcss_as_are_kept', 'fields_name_other_pages',
    'l1_stores_to_its_bitmap_of_speculation_controls',
    'user_space_filters_speculation_controls', 'slot_over_other_memory',
    'dirty_log_while_l1_runs', 'dirty_log_while_l2_runs', 'dirty_log_read_while_l2_runs',
    'mapping_replaced', 'mapping_replaced_while_l2_runs',
    'pages_of_another_vmcs12_migrate_while_l2_runs', 'held_whatever_was_under_way',
    'cleared_and_restarted', 'left_and_entered', 'entry_fails_in_hardware',
    'destroyed_in_l2', 'memory_is_freed')


@dataclasses.dataclass
class Outcome:
    passed: bool
    evidence: list      # lines that say what failed

    def shows(self, words):
        """The first line that contains words, or None."""
        return next((line for line in self.evidence if words in line), None)


class BuildRefused(Exception):
    """The module does not build; the message is what make said."""


def folder():
    """Of the cache: trees, and modules that were built."""
    return os.path.join(cache.directory(), 'mutants')


def build_inputs(tree):
    """Paths below tree of all files that the module is made from, in order."""
    found = []
    for name in BUILD_INPUTS:
        path = os.path.join(tree, name)
        found += [path] if os.path.isfile(path) else \
            [file for file in glob.glob(path + '/**', recursive=True) if os.path.isfile(file)]
    return sorted(os.path.relpath(file, tree) for file in found)


class LookedAt(threading.local):
    """What the check of a thread looks at."""
    line = ''       # '': the kernel line of the tests


looked_at = LookedAt()


def of_line(name):
    """A kernel of the line that the check looks at, as mini@7.3."""
    return name + '@' + looked_at.line if looked_at.line else name


def kernel(name):
    """Its directory."""
    return project.kernel(of_line(name)).directory


def key(tree, directory):
    digest = hashlib.sha256(directory.encode())
    for path in build_inputs(tree):
        digest.update(b'%s\0' % path.encode())
        digest.update(machine.read(os.path.join(tree, path)) + b'\0')
    return digest.hexdigest()[:32]


def build(tree, name):
    """The module of tree for a kernel; kept under a hash of all that goes in."""
    name = of_line(name)
    for_kernel = project.kernel(name)
    kept = os.path.join(folder(), 'modules', key(tree, for_kernel.directory) + '.ko')
    if not os.path.exists(kept):
        done = project.make(for_kernel, tree=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=MAKE_LIMIT)
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if not line.startswith('make')]
            raise BuildRefused('\n'.join(lines))
        with cache.new_file(kept) as new:
            shutil.copy(project.module_path(for_kernel, tree=tree), new)
    os.utime(kept)
    return kept


def code_of(tree, line):
    """What is in the module of tree, for a kernel line, but for its names."""
    looked_at.line = line
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-mutant.') as out:
        bare = os.path.join(out, 'bare.ko')
        subprocess.run(['objcopy', '--strip-unneeded', '-R', '.modinfo', '-R', '.note.gnu.build-id',
                        build(tree, 'mini'), bare], check=True)
        return re.sub(rb'/tree-\d', b'', machine.read(bare))


def not_ok(text):
    return [line for line in text.splitlines() if line.startswith('not ok')]


def of_command(limit, *argv):
    """A command of ours, with TAP: passed if it ends with 0; its bad results, or its last lines."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', timeout=limit, check=False)
    return Outcome(done.returncode == 0, not_ok(done.stdout) or done.stdout.splitlines()[-10:])


def in_machine(spec, demanded=''):
    """Run it; passed if every case of its plan is ok, the one demanded was not
    skipped, and the kernel's log is clean."""
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-mutant.') as out:
        result = machine.run(spec, out)
        stdout, dmesg = (machine.read(os.path.join(out, name)).decode(errors='replace')
                         for name in ('stdout.txt', 'dmesg.txt'))
    bad = not_ok(stdout)
    if result['status'] != 'ok':
        bad.append('machine: %s: %s' % (result['status'], result['reason']))
        bad += [line for line in dmesg.splitlines() if 'kvm-intel-fast:' in line]
    plan = re.search(r'^1\.\.(\d+)$', stdout, re.M)
    count = len(re.findall(r'^(?:not )?ok \d', stdout, re.M))
    if not plan or int(plan.group(1)) != count:
        bad.append('machine: %d results, plan of %s' % (count, plan and plan.group(1)))
    elif result['program_exit'] and not bad:
        bad.append('machine: exit status %s' % result['program_exit'])
    if demanded and not re.search(r'^(?:not )?ok \d+ %s$' % demanded, stdout, re.M):
        bad.append('machine: %s did not run' % demanded)
    return Outcome(not bad, bad)


def debugctl_spec(tree, on, options):
    return machine.Spec(kernel=kernel(on), kvm_intel=build(tree, on), kvm_intel_opts=options,
                        program=[os.path.join(project.programs(), 'debugctl_test')], modules=['msr'],
                        cpus=2, time_limit=MACHINE_LIMIT)


def debugctl(tree):
    """What guests read and which reads exit; verify off, so that it cannot help."""
    return in_machine(debugctl_spec(tree, 'mini', ''))


def debugctl_emulated(tree):
    """The same where KVM emulates instead of entering."""
    return in_machine(debugctl_spec(tree, 'mini', 'unrestricted_guest=0'),
                      'freeze_changed_while_kvm_emulates')


def verify(tree):
    """verify=1: no mismatch, no warning, and it did compare."""
    return in_machine(debugctl_spec(tree, 'mini', 'verify=1'))


def debug_kernel(tree):
    """Locks, sleeping in atomic context, memory: the kernel's own checkers."""
    return in_machine(debugctl_spec(tree, 'debug', 'verify=1'))


def switch_spec(tree, on, options):
    return machine.Spec(kernel=kernel(on), kvm_intel=build(tree, on), kvm_intel_opts=options,
                        program=[os.path.join(project.programs(), 'switch_test')],
                        cpus=2, time_limit=MACHINE_LIMIT)


def switch(tree):
    """What a switch between L1 and L2 leaves behind; verify off."""
    return in_machine(switch_spec(tree, 'mini', ''))


def switch_verify(tree):
    """The same with verify=1: no mismatch, no warning."""
    return in_machine(switch_spec(tree, 'mini', 'verify=1'))


def switch_rtm(tree):
    """The same on a CPU with RTM; verify off."""
    spec = switch_spec(tree, 'mini', '')
    return in_machine(dataclasses.replace(spec, cpu_features='rtm', modules=['msr']),
                      'tsx_ctrl_is_loaded')


def switch_debug(tree):
    """The same under the kernel's own checkers."""
    return in_machine(switch_spec(tree, 'debug', ''))


def mini_spec(tree, program, options, **more):
    """A program of ours on the small kernel; more are members of machine.Spec."""
    return machine.Spec(kernel=kernel('mini'), kvm_intel=build(tree, 'mini'),
                        kvm_intel_opts=options, time_limit=MACHINE_LIMIT,
                        program=[os.path.join(project.programs(), program)], **more)


def refused_entry_verify(tree):
    """L1 after an entry to L2 that the CPU refused, with verify=1."""
    return in_machine(mini_spec(tree, 'refused_entry_test', 'verify=1'))


def desc_exits(tree):
    """Accesses to descriptor-table registers; verify off."""
    return in_machine(mini_spec(tree, 'desc_exits_test', ''))


def desc_exits_verify(tree):
    """The same with verify=1: no mismatch, no warning."""
    return in_machine(mini_spec(tree, 'desc_exits_test', 'verify=1'))


def desc_exits_ept(tree):
    """The same without EPT, verify off."""
    return in_machine(mini_spec(tree, 'desc_exits_test', 'ept=0'))


def desc_exits_umip(tree):
    """A CPU with UMIP: accesses to descriptor-table registers do not exit."""
    case = 'cpu_has_umip'
    spec = mini_spec(tree, 'desc_exits_test', '', cpu_features='umip')
    spec.program.append(case)
    return in_machine(spec, case)


def kvm_tsc_scaling(tree):
    """KVM's test of an L1 that scales its own TSC and that of L2; verify off."""
    return of_command(MACHINE_LIMIT, os.path.join(SELFTESTS, 'kvm', 'compare'), '--fast-opts', '',
                      '--kernel', of_line('debian'), '--fast', build(tree, 'debian'),
                      'vmx_nested_tsc_scaling_test')


def shadow_with(tree, options, demanded='', **machine_options):
    return in_machine(mini_spec(tree, 'shadow_test', options, **machine_options), demanded)


def shadow(tree):
    """What L1 reads of what it wrote, and which accesses exit; verify off."""
    return shadow_with(tree, '')


def shadow_verify(tree):
    """The same with verify=1, which has to find and to mend it."""
    return shadow_with(tree, 'verify=1')


def shadow_preempted(tree):
    """Values while the vCPU's thread is preempted anywhere; Debian's kernel, made preemptible."""
    case = 'preempted_all_the_time'
    return in_machine(machine.Spec(kernel=kernel('debian'), kvm_intel=build(tree, 'debian'),
                                   append=machine.Spec.append + ' preempt=full',
                                   program=[os.path.join(project.programs(), 'shadow_test'), case],
                                   time_limit=MACHINE_LIMIT), case)


def segment_cache(tree):
    """L1's SS as user space sees it, preempted anywhere; Debian's kernel, made preemptible."""
    return in_machine(machine.Spec(kernel=kernel('debian'), kvm_intel=build(tree, 'debian'),
                                   append=machine.Spec.append + ' preempt=full',
                                   program=[os.path.join(project.programs(), 'segment_cache_test')],
                                   time_limit=MACHINE_LIMIT))


def apply_patch(path, directory, *options):
    """Without fuzz.  Return: why it does not apply, or ''."""
    with open(path, 'rb') as file:
        done = subprocess.run(['patch', '-p1', '--fuzz=0', '--force', '--no-backup-if-mismatch',
                               *options], cwd=directory, stdin=file, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    return ' '.join(done.stdout.split()) if done.returncode else ''


def known_fields_gaps(tree):
    """verify=1, scheduled out and in at each place where it could harm; Debian's kernel."""
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-mutant.') as copy:
        for name in build_inputs(tree):
            os.makedirs(os.path.join(copy, os.path.dirname(name)), exist_ok=True)
            shutil.copy(os.path.join(tree, name), os.path.join(copy, name))
        why = apply_patch(os.path.join(SELFTESTS, 'host', 'known_fields_gaps.patch'), copy)
        if why:
            raise BuildRefused('known_fields_gaps.patch does not apply; refresh it: ' + why)
        return in_machine(machine.Spec(
            kernel=kernel('debian'), kvm_intel=build(copy, 'debian'), kvm_intel_opts='verify=1',
            append=machine.Spec.append + ' preempt=full tsc=unstable', time_limit=MACHINE_LIMIT,
            program=[os.path.join(project.programs(), 'known_fields_test')]))


def entry(tree):
    """What a nested VM entry leaves out; verify off, so that it cannot help."""
    return in_machine(mini_spec(tree, 'entry_test', ''))


def entry_verify(tree):
    """The same, seen by verify=1."""
    return in_machine(mini_spec(tree, 'entry_test', 'verify=1'), 'verify_found_nothing')


def shadow_absent(tree):
    """The same on a CPU that lacks some of the fields."""
    return shadow_with(tree, '', cpu_model='broadwell_ult')


def shadow_two_cpus(tree):
    """The same with two CPUs, between which the vCPU's thread moves; verify off."""
    return shadow_with(tree, '', 'saved_on_each_cpu', cpus=2)


def shadow_packed_rights(tree):
    """The same, with verify=1, on a CPU that drops reserved bits of access rights."""
    return shadow_with(tree, 'verify=1', 'reserved_bits_of_access_rights',
                       cpu_features='packed_rights')


def bad_input(tree):
    """Hostile images and readers; no page and no object stays behind."""
    return in_machine(machine.Spec(kernel=kernel('mini'), kvm_intel=build(tree, 'mini'),
                                   program=[os.path.join(project.programs(), 'badinput_test')],
                                   cpus=2, time_limit=MACHINE_LIMIT))


def pages_spec(tree, options):
    return machine.Spec(kernel=kernel('mini'), kvm_intel=build(tree, 'mini'),
                        kvm_intel_opts=options, append=machine.Spec.append + ' numa=fake=2',
                        cpu_features='sca_mitigations', allowed=[machine.SIBLINGS_ON_TWO_NODES],
                        program=[os.path.join(project.programs(), 'page_hold_test'), *PAGES_CASES],
                        cpus=2, time_limit=MACHINE_LIMIT)


def pages(tree):
    """What L1 and L2 see of the pages that vmcs12 names; verify off, two NUMA nodes."""
    return in_machine(pages_spec(tree, ''), 'fields_name_other_pages')


def pages_verify(tree):
    """The same with verify=1: no mismatch, no warning."""
    return in_machine(pages_spec(tree, 'verify=1'), 'fields_name_other_pages')


def memory(tree):
    """What the host's memory management can do with these pages; verify off."""
    # Newer kernels reclaim them under stock, too.
    demanded = '' if looked_at.line else 'used_pages_are_not_cold'
    return in_machine(machine.Spec(
        kernel=kernel('debian'), kvm_intel=build(tree, 'debian'), time_limit=MACHINE_LIMIT,
        modules=[machine.SWAP_MODULE],
        program=[os.path.join(project.programs(), 'host_memory_test')]), demanded)


def fields_linux_l1(tree):
    """All VMCS fields, in a Linux L1: the same under stock and fast; verify off."""
    done = subprocess.run([os.path.join(SELFTESTS, 'host', 'field_walk'), '--linux-l1', '--no-verify',
                           '--kernel', of_line('mini'), '--fast', build(tree, 'mini'),
                           os.path.join(project.programs(), 'field_walk_l2')],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', timeout=FIELDS_LIMIT, check=False)
    lines = done.stdout.splitlines()
    return Outcome(done.returncode == 0, [line for line in lines if re.match('not ok|# ', line)] or
                   lines[-10:])


def hooks(tree):
    """The build refuses a hook in the wrong place."""
    try:
        build(tree, 'mini')
    except BuildRefused as error:
        return Outcome(False, str(error).splitlines())
    return Outcome(True, [])


def kunit(tree):
    """The suites of the pure-logic files."""
    kernel('mini')      # outside the time limit
    done = subprocess.run([os.path.join(SELFTESTS, 'kunit', 'run'), '--root', tree,
                           '--kernel', of_line('mini')],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', timeout=MACHINE_LIMIT, check=False)
    return Outcome(done.returncode == 0, not_ok(done.stdout) or done.stdout.splitlines()[:10])


def figures(module):
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-mutant.') as out:
        return mitigations.measure(module, os.path.join(project.programs(), 'exit_bench'), out,
                                   kernel('debian'))


@functools.lru_cache(maxsize=None)
def stock_figures(_line):
    return figures('stock')


stock_lock = threading.Lock()


def mitigation_counts(tree):
    """Flushes and barriers per L2 entry and reflection, stock against fast."""
    fast = figures(build(tree, 'debian'))
    with stock_lock:
        stock = stock_figures(looked_at.line)
    results = mitigations.compare(stock, fast)
    return Outcome(all(good for good, _, _ in results),
                   ['not ok - %s: %s' % (name, detail) for good, name, detail in results if not good])


def differential(tree, *choice):
    """Stock and fast show the same to a set of random programs, or to those chosen."""
    program = os.path.join(SELFTESTS, 'differential', 'run')
    if not os.path.exists(program):
        return Outcome(False, ['there is no selftests/differential/run'])
    with tempfile.TemporaryDirectory(prefix='kvm-intel-fast-mutant.') as out:
        return of_command(DIFFERENTIAL_LIMIT, program, '--examine', '0', '--out', out,
                          '--kernel', of_line('mini'), '--fast', build(tree, 'mini'),
                          *(choice or ('--seeds', DIFFERENTIAL_SEEDS)))


def differential_programs(tree, *options):
    """The programs that once differed, or were written for one case; with verify=1."""
    return differential(tree, *options, '--program', *glob.glob(
        os.path.join(SELFTESTS, 'differential', 'programs', '*.program')))


def differential_programs_fast(tree):
    """The same with verify off, so that it cannot help."""
    return differential_programs(tree, '--fast-opts', '')


def soak(tree):
    """What happens to a host while an L2 runs; verify off."""
    return of_command(SOAK_LIMIT, os.path.join(SELFTESTS, 'soak', 'run'), '--short',
                      '--kernel', of_line('debian'), '--fast', build(tree, 'debian'))


CHECKS = {
    'kunit': kunit,
    'debugctl': debugctl,
    'debugctl-emulated': debugctl_emulated,
    'verify': verify,
    'hooks': hooks,
    'debug-kernel': debug_kernel,
    'switch': switch,
    'switch-verify': switch_verify,
    'switch-rtm': switch_rtm,
    'switch-debug': switch_debug,
    'shadow': shadow,
    'shadow-verify': shadow_verify,
    'shadow-preempted': shadow_preempted,
    'segment-cache': segment_cache,
    'known-fields-gaps': known_fields_gaps,
    'entry': entry,
    'entry-verify': entry_verify,
    'shadow-absent': shadow_absent,
    'shadow-two-cpus': shadow_two_cpus,
    'shadow-packed-rights': shadow_packed_rights,
    'badinput': bad_input,
    'pages': pages,
    'pages-verify': pages_verify,
    'memory': memory,
    'mitigations': mitigation_counts,
    'fields-linux-l1': fields_linux_l1,
    'differential': differential,
    'differential-programs': differential_programs,
    'differential-programs-fast': differential_programs_fast,
    'refused-entry-verify': refused_entry_verify,
    'desc-exits': desc_exits,
    'desc-exits-verify': desc_exits_verify,
    'desc-exits-ept': desc_exits_ept,
    'desc-exits-umip': desc_exits_umip,
    'kvm-tsc-scaling': kvm_tsc_scaling,
    'soak': soak,
}


def known(check):
    """True if there is such a check: its name, or name@LINE for another kernel line."""
    name, mark, line = check.partition('@')
    return name in CHECKS and (not mark or line in kernel_lines())


def look_at(check):
    """The name of a check, whose kernel line is looked at from now on."""
    name, _, looked_at.line = check.partition('@')
    return name


def run(check, tree):
    """The outcome of a check, as known() takes it."""
    return CHECKS[look_at(check)](tree)


@functools.lru_cache(maxsize=None)
def tests_key():
    """A hash of all that a check is made from, but for the module."""
    digest = hashlib.sha256()
    for path in sorted(glob.glob(SELFTESTS + '/**', recursive=True)):
        a_mutant = os.path.dirname(path) == os.path.join(SELFTESTS, 'mutants') and \
            path.endswith('.patch')
        if os.path.isfile(path) and not a_mutant and not path.endswith('.pyc'):
            digest.update(b'%s\0%s\0' % (path.encode(), machine.read(path)))
    return digest.hexdigest()


def outcome_path(check, tree):
    """Where the outcome of a check is kept."""
    name = look_at(check)
    return os.path.join(folder(), 'outcomes', '%s-%s' % (name, hashlib.sha256(
        (tests_key() + key(tree, kernel('mini'))).encode()).hexdigest()[:32]))
