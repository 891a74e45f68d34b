# SPDX-License-Identifier: GPL-2.0
"""What commands print, on a page of Documentation/: a test compares it, and writes it there.

A block begins with the line "<!-- Written by selftests/host/TEST: NAME -->" and ends with
"<!-- end -->".
"""

import difflib
import os
import re

from scripts import TOP


def blocks(test):
    """The pattern of a block: what comes before its text, its name, the text, what comes after."""
    return re.compile(r'(<!-- Written by selftests/host/%s: (\S+) -->\n\n)(.*?)(\n\n<!-- end -->)' % test,
                      re.S)


def names(page, test):
    """Those of the blocks of a test."""
    with open(os.path.join(TOP, 'Documentation', page), encoding='utf-8') as file:
        return [found[1] for found in blocks(test).findall(file.read())]


def check(report, page, test, printed, shape, write):
    """The blocks that "printed" names, {name: text}, are in shape(text) what was printed.

    shape() leaves out what another run, or another day, changes; its answer is a list of lines.
    """
    path = os.path.join(TOP, 'Documentation', page)
    with open(path, encoding='utf-8') as file:
        text = file.read()

    def written(found):
        if found[2] not in printed:
            return found[0]
        lines = printed[found[2]].rstrip().splitlines()
        return found[1] + '\n'.join(('    ' + line).rstrip() for line in lines) + found[4]
    new = blocks(test).sub(written, text)
    if write:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(new)
    differ = difflib.unified_diff(shape(text), shape(new), 'the page', 'printed', lineterm='', n=0)
    differ = '\n'.join(differ)
    report.check(printed and (write or not differ),
                 '%s shows what they print; --write puts it there' % page, differ)
