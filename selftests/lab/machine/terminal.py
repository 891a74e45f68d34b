# SPDX-License-Identifier: GPL-2.0
"""The machine's serial line as a terminal: what is typed goes in, what comes out is shown.

    terminal = Terminal(sys.stdin.fileno(), sys.stdout.fileno())
    runner.run(Spec(program=SHELL, terminal=terminal), directory)

The emulator has one end of a pseudo terminal, relay() the other.  What is typed before the
shell is there waits for READY, because the kernel drops what comes before a program has opened
the line.
"""

import os
import select
import shutil
import termios
import threading
import tty

READY = b'to leave the machine'
ESCAPE = b'\x1d'                        # Ctrl-], as of telnet and virsh
END_OF_INPUT = b'\x04'
# On the serial line of L0 or of L1; faster than the 9600 of the kernel's console.
SHELL = """stty -F /dev/ttyS0 115200 cols %d rows %d
exec cttyhack sh -c 'echo; echo "exit or Ctrl-] %s"; PS1="%s:\\w# " exec sh' \
	</dev/ttyS0 >/dev/ttyS0 2>&1"""


def shell(name):
    """The program that is a shell on the line; name stands in its prompt."""
    columns, lines = shutil.get_terminal_size()
    return ['sh', '-c', SHELL % (columns, lines, READY.decode(), name)]


class Terminal:
    """One of a machine; .left is set when the user asked for its end."""

    def __init__(self, typed, shown):
        self.typed, self.shown = typed, shown
        self.here, there = os.openpty()
        self.there = there              # stays open, so that the emulator may open and close it
        tty.setraw(there)
        self.path = os.ttyname(there)
        self.left = False
        self.ready = False
        self.before = None              # the state of the user's terminal

    def start(self, log):
        """Relay until stop(); what the machine says is also appended to the file log."""
        if os.isatty(self.typed):
            self.before = termios.tcgetattr(self.typed)
            tty.setraw(self.typed)
        self.quit_here, self.quit_there = os.pipe()
        self.thread = threading.Thread(target=self.relay, args=(log,), daemon=True)
        self.thread.start()

    def stop(self):
        os.write(self.quit_there, b'.')
        self.thread.join()
        if self.before:
            termios.tcsetattr(self.typed, termios.TCSADRAIN, self.before)

    def type(self):
        """Pass on what was typed; False at its end."""
        data = os.read(self.typed, 4096)
        if os.isatty(self.typed) and ESCAPE in data:
            self.left = True
        os.write(self.here, data or END_OF_INPUT)
        return bool(data)

    def relay(self, log):
        open_input, ending, seen = True, False, b''
        with open(log, 'ab', buffering=0) as file:
            while True:
                sources = [self.here] if ending else [self.here, self.quit_here]
                sources += [self.typed] * (open_input and self.ready and not ending)
                found, _, _ = select.select(sources, [], [], 0.2 if ending else None)
                if self.here in found:
                    data = os.read(self.here, 4096)
                    file.write(data)
                    os.write(self.shown, data)
                    seen = (seen + data)[-4096:]
                    self.ready = self.ready or READY in seen
                elif self.typed in found:
                    open_input = self.type()
                elif ending:            # and what it said last was shown
                    return
                else:
                    ending = self.quit_here in found
