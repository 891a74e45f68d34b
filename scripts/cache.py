# SPDX-License-Identifier: GPL-2.0
"""The cache, in which what is made appears whole or not at all.

    with cache.new_folder(final) as new:
        ...                             # fill it
    with cache.new_file(final) as new:
        ...                             # write it

Invariant: final is made by a rename, at the end of a block that raised nothing.  The
bash commands have begin_folder() and publish() of lib.sh.
"""

import contextlib
import os
import shutil
import tempfile

from . import TOP


def directory():
    return os.environ.get('KVM_INTEL_FAST_CACHE') or os.path.join(
        os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'kvm-intel-fast')


def build_folder(*names):
    """A path in the folder for what is no cache: build/ of a tree, one of the user's of a package.

    KVM_INTEL_FAST_BUILD names another, as for make.
    """
    folder = os.environ.get('KVM_INTEL_FAST_BUILD') or (
        os.path.join(directory(), 'output') if TOP.startswith('/usr/share/') else
        os.path.join(TOP, 'build'))
    return os.path.join(folder, *names)


def shown(path):
    """A path of build_folder(), for a help."""
    for folder, name in ((TOP, ''), (os.path.expanduser('~'), '~/')):
        if path.startswith(folder + '/'):
            return name + path[len(folder) + 1:]
    return path


@contextlib.contextmanager
def new_folder(final):
    """An empty folder that becomes final, unless another run made that in the meantime."""
    os.makedirs(os.path.dirname(final), exist_ok=True)
    new = tempfile.mkdtemp(prefix='.new.', dir=os.path.dirname(final))
    try:
        yield new
        os.chmod(new, 0o755)
        try:
            os.rename(new, final)
        except OSError:
            if not os.path.isdir(final):
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def new_file(final):
    """The path of an empty file that becomes final, and replaces one that is there."""
    os.makedirs(os.path.dirname(final), exist_ok=True)
    handle, new = tempfile.mkstemp(prefix='.new.', dir=os.path.dirname(final))
    os.close(handle)
    try:
        yield new
        os.chmod(new, 0o644)
        os.rename(new, final)
    finally:
        if os.path.exists(new):
            os.unlink(new)
