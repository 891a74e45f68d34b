# SPDX-License-Identifier: GPL-2.0
"""A git repository made from the kernel's source package, for the tests of bisect and of ab.

Its stock part, one commit, and the builds of it stay in the cache; so does its lock: one
test at a time works on it.
"""

import contextlib
import fcntl
import os
import re
import subprocess

from scripts import cache
from selftests.lab import machine

IDENTITY = {'GIT_AUTHOR_NAME': 'Lab', 'GIT_AUTHOR_EMAIL': 'lab@localhost',
            'GIT_COMMITTER_NAME': 'Lab', 'GIT_COMMITTER_EMAIL': 'lab@localhost'}
# Of these the small kernel compiles nothing; most of the source's size.
LEFT_OUT = re.compile(r'(Documentation|tools/testing|drivers/(gpu|net|media|staging|infiniband|scsi'
                      r'|usb)|sound|arch/(?!x86)[^/]*)/.*\.(c|h|rst|yaml|txt|S|dts|dtsi|json)$')


class Repository:
    """A bare one; commits are made in an index of their own, nothing is checked out."""

    def __init__(self, directory, source):
        self.directory, self.source = directory, source
        self.environment = dict(os.environ, **IDENTITY, GIT_DIR=directory,
                                GIT_INDEX_FILE=os.path.join(directory, 'index'))

    def git(self, *argv, stdin=None, date=0):
        stamp = '%d +0000' % (1700000000 + 86400 * date)
        done = subprocess.run(['git', *argv], input=stdin, cwd=self.source, check=True,
                              stdout=subprocess.PIPE, env=dict(
                                  self.environment, GIT_WORK_TREE=self.source,
                                  GIT_AUTHOR_DATE=stamp, GIT_COMMITTER_DATE=stamp))
        return done.stdout.decode().strip()

    def commit(self, message, parent, date):
        tree = self.git('write-tree')
        parents = ['-p', parent] if parent else []
        return self.git('commit-tree', tree, *parents, '-m', message, date=date)

    def make_base(self):
        """The stock source as one commit; kept."""
        if os.path.exists(os.path.join(self.directory, 'base')):
            return machine.read(os.path.join(self.directory, 'base')).decode()
        subprocess.run(['git', 'init', '-q', '--bare', '-b', 'main', self.directory], check=True)
        for name, value in (('gc.auto', '0'), ('core.compression', '1')):
            self.git('config', name, value)
        names = [os.path.relpath(os.path.join(folder, name), self.source)
                 for folder, _, files in os.walk(self.source) for name in files]
        names = [name for name in names if not LEFT_OUT.match(name)]
        self.git('update-index', '--add', '-z', '--stdin', stdin='\0'.join(names).encode())
        base = self.commit('The stock source', None, 0)
        self.git('update-ref', 'refs/heads/base', base)
        machine.save(self.directory, 'base', base.encode())
        return base

    def change(self, name, content):
        blob = self.git('hash-object', '-w', '--stdin', stdin=content)
        self.git('update-index', '--cacheinfo', '100644,%s,%s' % (blob, name))


def patched(source, patch, folder):
    """{name: content} of the files that patch changes in source."""
    names = re.findall(r'^--- a/(\S+)', machine.read(patch).decode(), re.M)
    for name in names:
        os.makedirs(os.path.join(folder, os.path.dirname(name)), exist_ok=True)
        machine.save(folder, name, machine.read(os.path.join(source, 'arch/x86', name)))
    with open(patch, 'rb') as file:
        subprocess.run(['patch', '-s', '-p1', '--fuzz=0', '-d', folder], stdin=file, check=True)
    return {'arch/x86/' + name: machine.read(os.path.join(folder, name)) for name in names}


def harmless(name, number):
    """C that changes nothing but where code lies."""
    if name.endswith('.h'):
        return b'/* Comment %d */\n' % number
    return (b'\nint lab_nobody_calls_%d(int x);\nint __maybe_unused lab_nobody_calls_%d(int x)\n'
            b'{\n\treturn x * %d;\n}\n' % (number, number, number + 2))


def costly(nested):
    """nested.c with a loop in nested_vmx_run(), which each VM entry of L1 calls."""
    at = nested.index(b'static int nested_vmx_run(')
    place = b'\tif (!nested_vmx_check_permission(vcpu))\n'
    loop = b'\tfor (volatile int lab = 0; lab < 50; lab++);\n'
    return nested[:at] + nested[at:].replace(place, loop + place, 1)


@contextlib.contextmanager
def opened():
    """(Repository, its first commit), for one test alone."""
    source = os.path.realpath(os.path.join(machine.kernel_directory('mini'), 'source'))
    directory = os.path.join(cache.directory(), 'bisect-test', os.path.basename(source))
    os.makedirs(directory, exist_ok=True)
    with open(directory + '.lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        repository = Repository(directory, source)
        yield repository, repository.make_base()
