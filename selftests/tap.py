# SPDX-License-Identifier: GPL-2.0
"""TAP on standard output.  The bash and busybox tests have tap.sh."""

import re


class Tap:
    """Numbers the results, and says why a bad one is bad; with a plan, it comes first."""

    def __init__(self, version=False, plan=0):
        self.count = self.failed = 0
        self.plan = plan
        if version:
            print('TAP version 13')
        if plan:
            print('1..%d' % plan, flush=True)

    def check(self, good, name, why='', most=60):
        """One result; why, lines or text, stands below when it is not good: its last lines."""
        self.count += 1
        self.failed += not good
        print('%sok %d - %s' % ('' if good else 'not ', self.count, name), flush=True)
        if not good:
            lines = why if isinstance(why, (list, tuple, set)) else str(why).splitlines()
            self.note(list(lines)[-most:])

    @staticmethod
    def note(lines):
        for line in lines:
            print('# ' + str(line), flush=True)

    def include(self, text, prefix=''):
        """What a machine said; True if it had results, and came to its plan."""
        found = re.findall(r'^(not )?ok \d+ - (.*)((?:\n# .*)*)', text, re.M)
        for bad, name, why in found:
            self.check(not bad, prefix + name)
            self.note(line[2:] for line in why.splitlines() if line)
        return bool(found and re.search(r'^1\.\.%d$' % len(found), text, re.M))

    def end(self):
        """The plan, if it did not come first; the exit status."""
        if not self.plan:
            print('1..%d' % self.count, flush=True)
        return 1 if self.failed else 0
