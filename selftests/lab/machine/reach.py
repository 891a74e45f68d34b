# SPDX-License-Identifier: GPL-2.0
"""What a machine reached (exit reasons, MSRs, controls), brought home.

The emulator says it of each machine (bochs/instrument/reach.cc has the format).  With
KVM_INTEL_FAST_REACH=DIR in the environment it goes into DIR, one file for each machine
that ended well.
"""

import os
import shutil
import tempfile

from scripts.command import SetupError

VARIABLE = 'KVM_INTEL_FAST_REACH'
FILE = 'reach.json'


def bring(directory):
    """Copy what the machine of this directory reached, if that is asked for."""
    target = os.environ.get(VARIABLE)
    if not target:
        return
    source = os.path.join(directory, FILE)
    if not os.path.exists(source):
        raise SetupError('%s is set, and the emulator left no %s; let selftests/lab/bochs/build make '
                         'the emulator' % (VARIABLE, FILE))
    os.makedirs(target, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=target, prefix='reach.', suffix='.json')
    os.close(handle)
    shutil.copy(source, path)
