# SPDX-License-Identifier: GPL-2.0
"""How our files look in a kernel tree: where each is placed, and what changes in its text.

    Module().places['vmx/hooks.h']      'arch/x86/kvm/vmx/fast/hooks.h'
    Module().text(text, place)          what names vmx/hooks.h names vmx/fast/hooks.h
    Module().closure(['vmx/hooks.h'])   with it come all files that it includes, and they do
"""

import os
import re

from . import TOP
from .command import SetupError

KVM = 'arch/x86/kvm'
FAST = KVM + '/vmx/fast'
TESTS = 'tools/testing/selftests/kvm'
INCLUDE = re.compile(r'^#include "(.*)"$', re.M)


def read(*names):
    with open(os.path.join(TOP, *names), encoding='utf-8') as file:
        return file.read()


def files(folder, suffixes=('.c', '.h')):
    """Our files in a folder and those below it, as paths from the top."""
    return sorted(os.path.relpath(os.path.join(at, name), TOP)
                  for at, _, names in os.walk(os.path.join(TOP, folder))
                  for name in names if name.endswith(suffixes))


class Placed:
    """A set of our files, and where each goes: {path here: path in the kernel}."""

    def __init__(self, places, roots):
        self.places = places
        self.roots = roots      # where an #include of ours may begin, as paths from the top

    def included(self, name):
        """Our file that an #include names, or None."""
        paths = (os.path.normpath(os.path.join(root, name)) for root in self.roots)
        return next((path for path in paths if path in self.places), None)

    def closure(self, paths):
        """These files and all that they include."""
        found = set()
        todo = list(paths)
        while todo:
            path = todo.pop()
            if path not in found:
                found.add(path)
                names = INCLUDE.findall(read(path))
                todo += filter(None, map(self.included, names))
        return found


class Module(Placed):
    def __init__(self):
        super().__init__({**{path: path.replace('vmx/', FAST + '/', 1) for path in files('vmx')},
                          **{path: FAST + '/' + path for path in files('nested')}}, [''])

    def text(self, text, place):
        """A text of ours as it reads at a place in the kernel; -I is arch/x86/kvm."""
        def stock(match):
            return '#include "%s"' % os.path.relpath(os.path.join(KVM, match[1]),
                                                     os.path.dirname(place))

        def own(match):
            known = self.places.get(match[0])
            return os.path.relpath(known, KVM) if known else match[0]
        text = re.sub(r'#include "kvm/(.*)"', stock, text)
        return re.sub(r'(?<![\w/.])(?:vmx|nested)/\w+\.[ch]\b', own, text)


class Tests(Placed):
    """Our kselftests; folder: where the tree has its own for this processor, below TESTS."""

    def __init__(self, folder):
        self.folder = folder + '/fast'
        places = {path: '%s/%s/%s' % (TESTS, self.folder, '/'.join(path.split('/')[kept:]))
                  for kept, top in ((2, 'module'), (1, 'lib'), (1, 'exit_bench'))
                  for path in files('selftests/' + top)}
        super().__init__(places, ['selftests'])

    def text(self, text, place):
        def own(match):
            known = self.included(match[1])
            return match[0] if not known else '#include "%s"' % os.path.relpath(
                self.places[known], os.path.dirname(place))
        return INCLUDE.sub(own, text)

    def programs(self):
        """[(the files that make up a patch, those among them with a main())], libraries apart."""
        folders = {}
        for path in self.places:
            if path.endswith('.c') and not path.startswith('selftests/lib/'):
                alone = os.path.dirname(path) == 'selftests/module'
                folders.setdefault(path if alone else os.path.dirname(path), []).append(path)
        return [(paths, [path for path in paths if re.search('^int main\\(', read(path), re.M)])
                for _, paths in sorted(folders.items())]


def head_comment(path):
    """The words at the top of a file, without the marks of the comment."""
    lines = re.search(r'/\*\n(.*?)\n \*/', read(path), re.S)[1].split('\n')
    return '\n'.join(line[3:] for line in lines)


def for_line(text, line):
    """What a kernel line needs of a compat.h: no test of the line is left."""
    numbers = tuple(map(int, line.split('.')))

    def holds(condition):
        words = re.sub(r'\w+_(\d+)_(\d+)', r'(\1, \2)', condition)
        words = re.sub(r'\w+_LINE\b', repr(numbers), words)
        words = words.replace('&&', ' and ').replace('||', ' or ')
        if re.sub(r'\(\d+, \d+\)|and|or|[<>=!]=|[<>() ]', '', words):
            raise SetupError("a compat.h asks for '%s'" % condition,
                             'lines compared, and nothing else', 'see scripts/upstream.py')
        return eval(words)      # pairs of numbers, compared

    kept = []
    around = []     # of each #if: [is it about lines, is this branch taken, was one taken]
    for row in re.findall(r'(?:[^\n]*\\\n)*[^\n]*\n', text):
        word, _, rest = re.sub(r'\\\n\s*|/\*.*', '', row).strip().partition(' ')
        if word in ('#if', '#ifdef', '#ifndef'):
            about = '_LINE' in rest
            taken = not about or holds(rest)
            around.append([about, taken, taken])
        elif word in ('#elif', '#else') and around[-1][0]:
            around[-1][1] = not around[-1][2] and (word == '#else' or holds(rest))
            around[-1][2] |= around[-1][1]
        about = word in ('#if', '#ifdef', '#ifndef', '#elif', '#else', '#endif') and around[-1][0]
        if not about and all(taken for _, taken, _ in around):
            kept.append(row)
        if word == '#endif':
            around.pop()
    text = ''.join(row for row in kept if not re.match(
        r'#define \w+(_LINE|_\d+_\d+)\t.*KERNEL_VERSION|#include <linux/version.h>', row))
    return re.sub(r'\n{3,}', '\n\n', text)
