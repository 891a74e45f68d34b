# SPDX-License-Identifier: GPL-2.0
"""What machines with stock kvm_intel did, kept for the next "make test".

The emulator computes: the same inputs give the same output, bit for bit.  So what
a machine left behind is kept in the cache as runs/KEY.tar.gz, and KEY is a hash of
every file that the emulator reads: its program and libraries, its configuration
(CPU, memory, clock), and the memory image, which holds the kernel, its command
line and the root file system with modules, options and test programs.  Verdicts
are not kept: they are made anew from that output.

STOCK_RUNS= in the environment: nothing is kept or used; "keep": a machine that
ran before does not run again; "check": it does, and another output is an error.
Invariant: a machine with a module under test is never kept, nor one that failed.
"""

import functools
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import time
import zlib

from scripts import cache
from scripts.command import SetupError

VARIABLE = 'STOCK_RUNS'
KEEP_DAYS = 14          # of a result that was not used
FORMAT = b'1'           # raise it when the files of a result mean something else
ABOUT = 'about.json'
# The emulator's log is for people.
NOT_COMPARED = ('emulator.txt', ABOUT)


def wanted():
    value = os.environ.get(VARIABLE, '')
    return value if value in ('keep', 'check') else ''


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


@functools.lru_cache(maxsize=None)
def emulator_digest(directory):
    """Of the program, of what lies beside it, and of the libraries that it loads."""
    program = os.path.join(directory, 'bochs')
    listed = subprocess.run(['ldd', program], stdout=subprocess.PIPE, text=True, check=True).stdout
    files = [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
    files = [path for path in files if os.path.isfile(path)]
    digest = hashlib.sha256()
    for path in files + sorted(re.findall(r'(/\S+) \(0x', listed)):
        digest.update(digest_of(path))
    return digest.digest()


def key(emulator, work):
    """The name for the machine that is about to start in work."""
    digest = hashlib.sha256(FORMAT + emulator_digest(emulator))
    for name in sorted(os.listdir(work)):
        digest.update(name.encode() + b'\0' + digest_of(os.path.join(work, name)))
    return digest.hexdigest()[:32]


def path_of(name):
    return os.path.join(cache.directory(), 'runs', name + '.tar.gz')


def load(name):
    """{file: content} of a kept result, or None."""
    try:
        with tarfile.open(path_of(name)) as archive:
            found = {member.name: archive.extractfile(member).read() for member in archive}
        os.utime(path_of(name))
        return found
    except (FileNotFoundError, tarfile.TarError, EOFError, OSError, zlib.error):
        return None


def restore(name, work):
    """Put a kept result into work; what it used then, or None."""
    found = load(name)
    if found is None:
        return None
    about = json.loads(found.pop(ABOUT))
    for file, content in found.items():
        with open(os.path.join(work, file), 'wb') as output:
            output.write(content)
    return about


def forget_old(directory):
    for entry in os.scandir(directory):
        if time.time() - entry.stat().st_mtime > KEEP_DAYS * 86400:
            os.unlink(entry.path)


def store(name, work, inputs, about):
    """Keep what the emulator left in work beside the inputs.

    Raises SetupError when the same inputs gave another output earlier: nothing may be kept then.
    """
    files = {ABOUT: json.dumps(about).encode()}
    for file in sorted(set(os.listdir(work)) - set(inputs)):
        with open(os.path.join(work, file), 'rb') as content:
            files[file] = content.read()
    before = load(name)
    if before is not None:
        other = sorted(file for file in {*before, *files} - set(NOT_COMPARED)
                       if before.get(file) != files.get(file))
        if other:
            raise SetupError('the same machine gave another output than earlier (%s in %s)'
                             % (', '.join(other), path_of(name)))
        return
    directory = os.path.dirname(path_of(name))
    os.makedirs(directory, exist_ok=True)
    forget_old(directory)
    with cache.new_file(path_of(name)) as new, \
            tarfile.open(new, mode='w:gz', compresslevel=1) as archive:
        for file, content in files.items():
            member = tarfile.TarInfo(file)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def forget(name):
    """What was kept proved to be of a machine that failed."""
    if name and os.path.exists(path_of(name)):
        os.unlink(path_of(name))
