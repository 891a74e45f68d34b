# SPDX-License-Identifier: GPL-2.0
"""The process that puts stock back when check or measure dies or hangs.

It holds the other end of a pipe.  It acts when the pipe closes without "done", or when a step
takes longer than the command said, plus GRACE.  Then it ends the command and its programs, puts
stock back and writes the report.  A reboot, if even that fails, leaves what the host boots.
"""

import contextlib
import os
import select
import signal
import time

GRACE = 30              # seconds beyond a step's limit
FIRST = 120             # until the first step
PATIENCE = 120          # for programs that were killed to let go of kvm_intel


class Guard:
    """Of the command's side: step() and program() before what they announce, done() at the end."""

    def __init__(self, take_over):
        """take_over(why) puts stock back and writes the report; it is called in the new process."""
        read, self.pipe = os.pipe()
        command = os.getpid()
        self.process = os.fork()
        if self.process:
            os.close(read)
            return
        os.close(self.pipe)
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_IGN)
            with contextlib.suppress(OSError), open('/proc/self/oom_score_adj', 'w',
                                                    encoding='ascii') as file:
                file.write('-1000')
            watch(read, command, take_over)
        finally:
            os._exit(0)

    def tell(self, text):
        with contextlib.suppress(BrokenPipeError):
            os.write(self.pipe, text.encode() + b'\n')

    def step(self, limit):
        self.tell('step %d' % limit)

    def program(self, group):
        self.tell('program %d' % group)

    def done(self):
        self.tell('done')
        os.close(self.pipe)
        os.waitpid(self.process, 0)


def kill_group(group):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def watch(read, command, take_over):
    """Until "done", or until something is wrong."""
    deadline, group, text = time.monotonic() + FIRST, 0, b''
    while True:
        ready, _, _ = select.select([read], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            os.kill(command, signal.SIGKILL)
            why = 'it hung'
            break
        more = os.read(read, 4096)
        *lines, text = (text + more).split(b'\n')
        for line in lines:
            word, _, number = line.partition(b' ')
            if word == b'done':
                return
            if word == b'step':
                deadline = time.monotonic() + int(number) + GRACE
            elif word == b'program':
                group = int(number)
        if not more:
            why = 'it was killed or failed'
            break
    if group:
        kill_group(group)
    take_over(why)
