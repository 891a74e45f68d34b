# SPDX-License-Identifier: GPL-2.0
"""What happened in an emulated machine, read from what it left behind.

Input: the frames of the debug port (guest/frame.h), the serial console and the log
of the emulator.
Invariant: a run is "ok" only when the guest's end marker arrived and neither
the kernel's log nor the console shows a splat outside the allow list.
"""

import re

# What the emulator says when it stops since L0 broke a rule: bochs/instrument/strict.cc.
BROKEN_RULE = re.compile(r'VMX rule broken: (.*)')
HEADER = re.compile(rb'\n#lab (\S+) (\d+)\n')

# Most severe first; the first that matches names the run.
SPLATS = [
    ('panic', re.compile(r'Kernel panic - not syncing')),
    ('oops', re.compile(r'\bBUG: |\bOops: |general protection fault|kernel BUG at'
                        r'|Unable to handle kernel|\bUBSAN: |\bKASAN: |KFENCE: '
                        r'|soft lockup|hard LOCKUP|rcu.*detected (expedited )?stalls'
                        r'|blocked for more than \d+ seconds|double fault|triple fault')),
    ('warn', re.compile(r'^(\[[^]]*\] ?)+WARNING: |unchecked MSR access error|possible recursive locking'
                        r'|inconsistent lock state|possible circular locking'
                        r'|suspicious RCU usage|INFO: lockdep is turned off'
                        r'|ODEBUG: |bad unlock balance|held lock freed|kvm_bug'
                        r'|sleeping function called from invalid context'
                        r'|kmemleak: [1-9]\d* new suspected')),
]


def parse_frames(stream):
    """{name: bytes}; parts of one name are joined, a cut last one is kept."""
    frames = {}
    position = 0
    while True:
        match = HEADER.search(stream, position)
        if not match:
            return frames
        begin, size = match.end(), int(match.group(2))
        name = match.group(1).decode(errors='replace')
        frames.setdefault(name, []).append(stream[begin:begin + size])
        position = begin + size


def collect(stream):
    return {name: b''.join(parts) for name, parts in parse_frames(stream).items()}


def metadata(frames):
    lines = frames.get('meta', b'').decode(errors='replace').splitlines()
    return dict(line.split('=', 1) for line in lines if '=' in line)


def clean_log(raw):
    """Kernel log lines without their <level> prefix."""
    return re.sub(r'^<\d+>', '', raw.decode(errors='replace').replace('\r', ''), flags=re.M)


def splats(text, allowed=()):
    """[(kind, line)] of every suspicious line that no allowed pattern matches."""
    found = []
    for line in text.splitlines():
        if any(re.search(pattern, line) for pattern in allowed):
            continue
        for kind, pattern in SPLATS:
            if pattern.search(line):
                found.append((kind, line))
                break
    return found


def around(text, allowed=(), before=3, after=30):
    """Lines of the log from shortly before its first splat on; [] if there is none."""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if splats(line, allowed):
            return lines[max(0, i - before):i + after]
    return []


def stage(frames):
    """How far the machine came: a phrase that says when it ended."""
    meta = metadata(frames)
    if 'exit' in meta:
        return 'after the program ended'
    if 'start_ticks' in meta:
        return 'while the program ran'
    if 'init_ticks' in meta:
        return 'before the program started' + (
            ', in the step "%s"' % meta['step'] if 'step' in meta else '')
    return 'before init started'


def judge(frames, serial, timed_out, need_kvm, allowed=(), emulator_log=b''):
    """(status, reason): status as in result.json."""
    broken = BROKEN_RULE.search(emulator_log.decode(errors='replace'))
    meta = metadata(frames)
    log = clean_log(frames.get('dmesg', b''))
    console = serial.decode(errors='replace').replace('\r', '')
    found = splats(log + '\n' + console, allowed)
    for kind, _ in SPLATS:
        # After a panic or an oops the kernel leaves VMX operation as it can.
        if kind == 'warn' and broken:
            return 'vmx-rule', broken.group(1)
        for candidate, line in found:
            if candidate == kind:
                return kind, line
    if 'end' in frames:
        if 'error' in meta:
            return ('no-kvm' if need_kvm else 'hang'), meta['error']
        return 'ok', ''
    if timed_out and 'start_ticks' in meta and 'exit' not in meta:
        return 'timeout', 'the program did not end in time'
    if timed_out:
        return 'hang', 'nothing more came ' + stage(frames)
    return 'hang', 'the emulator stopped ' + stage(frames)
