# SPDX-License-Identifier: GPL-2.0
"""What check or measure did so far, on disk, and the archive that it becomes.

Each event is a line of JSON, written to the disk before what it announces begins.  So a machine
that goes down in the middle leaves what it was doing, and the next call tells it.
Invariant: an archive appears whole, and holds no name, network address or serial number of the host.
"""

import contextlib
import glob
import io
import json
import os
import platform
import re
import shutil
import tarfile
import tempfile
import time

from scripts.command import SetupError

FORMAT = 1
PLACE = '/var/lib/kvm-intel-fast/unfinished'
BOOT = '/proc/sys/kernel/random/boot_id'
# Words of the kernel's command line that matter to KVM; others may name disks and hosts.
CMDLINE = re.compile(r'(mitigations|spectre\w*|spec_\w+|l1tf|mds|tsx\w*|retbleed|kvm\S*|preempt|nosmt|'
                     r'isolcpus|nohz_full|rcu_nocbs|nopti|pti|numa|idle|intel_idle\S*|nmi_watchdog|'
                     r'transparent_hugepage|hugepages\w*|intel_pstate)(=.*)?$')
SECRETS = (
    (re.compile(r'Hardware name: .*'), 'Hardware name: (left out)'),
    (re.compile(r'\b[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}\b'), '(address)'),
    (re.compile(r'\b(?:\d{1,3}\.){3}\d{1,3}\b(?![.\d-])'), '(address)'),
    (re.compile(r'\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b'), '(number)'),
)


def scrub(text):
    """Without what names the host.  A kernel's version has three numbers, an address four."""
    name = platform.node().partition('.')[0]
    if len(name) > 2 and name != 'localhost':
        text = re.sub(r'\b%s\b' % re.escape(name), '(host)', text)
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def describe(host):
    """The CPU, the kernel and its mitigations, for the report."""
    text = host.read('proc/cpuinfo') or ''

    def field(name):
        found = re.search(r'^%s\s*: (.*)' % name, text, re.M)
        return found[1].strip() if found else ''
    vulnerable = '/sys/devices/system/cpu/vulnerabilities'
    return {
        'kernel': host.release(),
        'kernel_build': host.read('proc/sys/kernel/version') or '',
        'cmdline': ' '.join(filter(CMDLINE.match, (host.read('proc/cmdline') or '').split())),
        'cpu_model': field('model name'),
        'cpu': [int(field(name) or -1) for name in ('cpu family', 'model', 'stepping')],
        'microcode': field('microcode'),
        'cpus': len(re.findall(r'^processor\s*:', text, re.M)),
        'smt': host.read('sys/devices/system/cpu/smt/active') or '',
        'governor': host.read('sys/devices/system/cpu/cpu0/cpufreq/scaling_governor') or '',
        'hypervisor': 'hypervisor' in field('flags').split(),
        'flags': field('flags'), 'vmx_flags': field('vmx flags'), 'bugs': field('bugs'),
        'vulnerabilities': {os.path.basename(path): host.read(path) or ''
                            for path in sorted(glob.glob(vulnerable + '/*'))},
    }


def boot():
    with contextlib.suppress(OSError), open(BOOT, encoding='ascii') as file:
        return file.read().strip()
    return ''


def sync(path):
    """The names in a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


class Record:
    """The folder PLACE, of the command that runs, or of one that did not come to its end."""

    def __init__(self, out, start):
        self.out, self.start = out, start

    @classmethod
    def begin(cls, out, **what):
        os.makedirs(os.path.dirname(PLACE), exist_ok=True)
        try:
            os.mkdir(PLACE, 0o700)
        except FileExistsError:
            raise SetupError('another check or measure runs, process %s' % cls.owner()['pid'],
                             'one at a time', 'wait for its end') from None
        record = cls(out, time.monotonic())
        record.note('begin', out=out, pid=os.getpid(), boot=boot(), format=FORMAT, **what)
        sync(os.path.dirname(PLACE))
        return record

    @classmethod
    def owner(cls):
        """The first event of an unfinished record, or None."""
        events = cls(None, 0).events()
        return events[0] if events else None

    @classmethod
    def left_behind(cls):
        """The record of a command that did not come to its end, or None."""
        if not os.path.isdir(PLACE):
            return None
        events = cls(None, 0).events()
        if events and events[0]['boot'] == boot() and any(
                os.path.exists('/proc/%d' % event['pid']) for event in events if 'pid' in event):
            return None
        return cls(events[0]['out'] if events else 'kvm-intel-fast-unfinished.tar.gz', 0)

    @staticmethod
    def path(name):
        return os.path.join(PLACE, name)

    def note(self, event, **what):
        line = json.dumps({'event': event, 'second': round(time.monotonic() - self.start, 1),
                           **what})
        with open(self.path('events'), 'a', encoding='utf-8') as file:
            file.write(line + '\n')
            file.flush()
            os.fsync(file.fileno())

    def events(self):
        found = []
        with contextlib.suppress(OSError), open(self.path('events'), encoding='utf-8') as file:
            for line in file:
                with contextlib.suppress(ValueError):       # the last one, cut by a reset
                    found.append(json.loads(line))
        return found

    def save(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(text)

    def finish(self, verdict, good, **more):
        """Make the archive of all files, and forget the record."""
        self.note('verdict', text=verdict, good=good)
        events = self.events()
        first = events[0] if events else {}
        self.save('report.json', json.dumps({
            'format': FORMAT, 'command': first.get('command', '?'), 'verdict': verdict, 'good': good,
            'host': first.get('host', {}), 'module': first.get('module', ''), **more,
            'events': [{key: value for key, value in event.items()
                        if key not in ('host', 'out', 'pid', 'boot')} for event in events],
        }, indent=1))
        handle, new = tempfile.mkstemp(prefix='.', dir=os.path.dirname(os.path.abspath(self.out)))
        try:
            with os.fdopen(handle, 'wb') as file:
                self.pack(file)
                os.fsync(file.fileno())
            os.chmod(new, 0o644)
            os.rename(new, self.out)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise
        shutil.rmtree(PLACE)
        with contextlib.suppress(OSError):      # the package keeps more there
            os.rmdir(os.path.dirname(PLACE))

    def pack(self, file):
        folder = os.path.basename(self.out).partition('.tar')[0]
        with tarfile.open(fileobj=file, mode='w:gz') as archive:
            for path in sorted(glob.glob(os.path.join(PLACE, '*'))):
                name = os.path.basename(path)
                if name == 'events':
                    continue            # in the report
                with open(path, encoding='utf-8', errors='replace') as source:
                    data = scrub(source.read()).encode()
                member = tarfile.TarInfo(os.path.join(folder, name))
                member.size, member.mode = len(data), 0o644
                archive.addfile(member, io.BytesIO(data))
