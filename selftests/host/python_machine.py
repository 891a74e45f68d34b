# SPDX-License-Identifier: GPL-2.0
"""A machine with Python and the command kvm-intel-fast: for status_test and hardware_test."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

from scripts import TOP

PYTHON = os.path.realpath('/usr/bin/python3')       # of Debian, whose libraries the machine gets
FOLDERS = ('collections', 'concurrent', 'encodings', 'importlib', 'json', 'lib-dynload', 're',
           'asyncio', 'urllib', 'pathlib')
COMMAND = ('__init__.py', 'cache.py', 'command.py', 'host.py', 'kvm-intel-fast', 'load', 'hardware')


@contextlib.contextmanager
def files():
    """{path here: path in the machine}: Python, the command, and /tap.sh."""
    version = 'python%d.%d' % sys.version_info[:2]
    work = tempfile.mkdtemp()
    folder, scripts = os.path.join(work, version), os.path.join(work, 'scripts')
    library = os.path.join('/usr/lib', version)
    os.makedirs(folder)
    os.makedirs(scripts)
    try:
        for name in os.listdir(library):
            path = os.path.join(library, name)
            if name.endswith('.py') or name in FOLDERS:
                copy(path, folder)
        for name in COMMAND:
            copy(os.path.join(TOP, 'scripts', name), scripts)
        # The machine knows no time of a file.
        subprocess.run([PYTHON, '-m', 'compileall', '-qq', '--invalidation-mode', 'unchecked-hash',
                        folder, scripts], check=True)
        yield {PYTHON: '/python3', folder: os.path.join('/usr/lib', version),
               scripts: '/project/scripts',
               os.path.join(TOP, 'Documentation', 'kernels.md'): '/project/Documentation/kernels.md',
               os.path.join(TOP, 'selftests', 'tap.sh'): '/tap.sh'}
    finally:
        shutil.rmtree(work)


def copy(path, folder):
    """A file or a folder, without what another Python compiled."""
    if os.path.isdir(path):
        shutil.copytree(path, os.path.join(folder, os.path.basename(path)),
                        ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy(path, folder)
