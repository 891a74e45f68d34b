# SPDX-License-Identifier: GPL-2.0
"""What stock's C code defines, and what each definition uses.

    code = Code(tree)           # a kernel source tree, whole or in part
    code.find('vmx_set_cr0')    # [Definition]

This reads C as KVM writes it, with a tokenizer and a count of brackets; it does
not run the preprocessor.  All branches of an #if belong to the text.  Invariant:
the tokens of a definition are those of the source, without comments and white
space, so that a changed token changes the digest and a changed comment does not.
"""

import dataclasses
import functools
import glob
import hashlib
import os
import re

# What we read, below the tree.
PLACES = ('arch/x86/kvm/**/*.[ch]', 'virt/kvm/*.[ch]', 'include/linux/kvm_host.h',
          'include/linux/kvm_types.h', 'arch/x86/include/asm/kvm_host.h',
          'arch/x86/include/asm/vmx.h')
# AMD's, Xen's, and tracepoints.
ELSEWHERE = re.compile(r'arch/x86/kvm/(svm/|xen\.|(.*/)?\w*trace\.h)')
TOKEN = re.compile(r'''
    (?P<space>      (?: [ \t\f\r] | \\\n )+ )
  | (?P<newline>    \n )
  | (?P<comment>    /\*.*?\*/ | //[^\n]* )
  | (?P<literal>    L?"(?:\\.|[^"\\\n])*" | L?'(?:\\.|[^'\\\n])*' )
  | (?P<word>       [A-Za-z_]\w* )
  | (?P<number>     \.?\d(?:[eEpP][+-]|[\w.])* )
  | (?P<mark>       \#\# | -> | << | >> | [-+&|]{2} | [-+*/%&|^=!<>]= | \.\.\. | . )
''', re.X | re.S)
# They stand between the parameters of a function and its body, in brackets of their own.
ATTRIBUTES = {'__acquires', '__releases', '__must_hold', '__attribute__', '__printf', '__aligned'}
OPEN, CLOSE = {'(', '[', '{'}, {')', ']', '}'}


@dataclasses.dataclass(frozen=True)
class Definition:
    """A function, macro, table (anything with an initializer), struct, union or enum."""
    kind: str
    name: str
    file: str
    static: bool        # other .c files cannot use it
    tokens: tuple
    lines: tuple        # (first, last), counted from 1

    @functools.cached_property
    def words(self):
        """The names that it uses, less those of members."""
        found = []
        for before, token in zip(('',) + self.tokens, self.tokens):
            if (token[0].isalpha() or token[0] == '_') and before not in ('->', '.'):
                found.append(token)
        return set(found)

    @functools.cached_property
    def calls(self):
        """The names that look like calls."""
        return {token for before, token, after in
                zip(('',) + self.tokens, self.tokens, self.tokens[1:])
                if after == '(' and before not in ('->', '.') and re.match(r'[A-Za-z_]', token)}


def scan(text):
    """[(token, number of its line, True at the start of a line)]"""
    result, line, fresh = [], 1, True
    for match in TOKEN.finditer(text):
        kind, token = match.lastgroup, match.group()
        if kind == 'newline':
            result.append(('\n', line, fresh))
            fresh = True
        elif kind not in ('space', 'comment'):
            result.append((token, line, fresh))
            fresh = False
        line += token.count('\n')
    return result


class File:
    """Cuts one file into definitions."""

    def __init__(self, path, text):
        self.path, self.found = path, []
        self.item = []          # [(token, line)] of the definition that is being read
        self.depth = 0
        self.body = False       # the brace that was opened first is a function's
        tokens = scan(text)
        i = 0
        while i < len(tokens):
            token, _, fresh = tokens[i]
            if token == '#' and fresh:
                end = i
                while end < len(tokens) and tokens[end][0] != '\n':
                    end += 1
                self.directive(tokens[i:end])
                i = end
            elif token != '\n':
                self.token(token, tokens[i][1])
            i += 1

    def add(self, kind, name, tokens, static=True):
        self.found.append(Definition(kind, name, self.path, static,
                                     tuple(token for token, *_ in tokens),
                                     (tokens[0][1], tokens[-1][1])))

    def directive(self, tokens):
        if len(tokens) > 2 and tokens[1][0] == 'define':
            self.add('macro', tokens[2][0], tokens)
        if self.item:
            self.item += [(token, line) for token, line, _ in tokens]

    def token(self, token, line):
        if token == '{' and not self.depth:
            self.body = self.opens_body()
        self.item.append((token, line))
        if token in OPEN:
            self.depth += 1
        elif token in CLOSE:
            self.depth = max(0, self.depth - 1)
            if token == '}' and not self.depth and self.body:
                self.end('function')
        elif token == ';' and not self.depth:
            self.end('other')

    def opens_body(self):
        flat = [token for token, _ in self.item]
        return '=' not in flat and bool(flat) and (flat[-1] == ')' or flat[-1].isidentifier()
                                                   and ')' in flat and 'struct' not in flat[-2:])

    def end(self, kind):
        item, self.item, self.body = self.item, [], False
        tokens = [token for token, _ in item]
        if kind == 'function':
            name = function_name(tokens)
            if name:
                self.add('function', name, item, 'static' in tokens[:tokens.index('{')])
            return
        kind, name = declared(tokens)
        if name:
            self.add(kind, name, item)


def function_name(tokens):
    """The name before the parameters: the last brackets ahead of the body that are no attribute's."""
    i = tokens.index('{') - 1
    while i > 0:
        if tokens[i] == ')':
            depth = 0
            while i >= 0:
                depth += (tokens[i] == ')') - (tokens[i] == '(')
                if not depth:
                    break
                i -= 1
            if i > 0 and tokens[i - 1] not in ATTRIBUTES:
                return tokens[i - 1]
        i -= 1
    return None


def declared(tokens):
    """(kind, name) of what ends in a semicolon and is more than a declaration."""
    for i, token in enumerate(tokens[:-2]):
        if token in ('struct', 'union', 'enum') and '{' in tokens[i + 1:i + 5] and \
                '(' not in tokens[:i]:
            names = [t for t in tokens[i + 1:tokens.index('{', i)] if not t.startswith('__')]
            if 'typedef' in tokens[:i]:
                names = [tokens[-2]]
            if '=' not in tokens[:i]:
                # An enum without a name is known by its members.
                return token, names[0] if names else next(
                    (t for t in tokens[tokens.index('{', i) + 1:] if t.isidentifier()), None)
        if token == '=' or token == '[' and '=' in tokens:
            return 'table', tokens[i - 1] if tokens[i - 1].isidentifier() else None
    return None, None


def generated(definition):
    """A pattern for the names of the functions that a macro pastes together, or None."""
    tokens = definition.tokens
    patterns = []
    i = 0
    while i < len(tokens) - 2:
        if tokens[i + 1] == '##':
            parts, before = [tokens[i]], tokens[i - 1]
            while i + 2 < len(tokens) and tokens[i + 1] == '##':
                parts.append(tokens[i + 2])
                i += 2
            # Where it defines one, a type stands before the name; where it calls one, none.
            if tokens[i + 1:i + 2] == ('(',) and before != 'return' and \
                    re.match(r'\w|\*', before):
                patterns.append(parts)
        i += 1
    if not patterns or tokens[3] != '(':
        return None
    parameters = set(tokens[4:tokens.index(')')])
    return re.compile('|'.join(''.join(r'\w+' if part in parameters else re.escape(part)
                                       for part in parts) for parts in patterns))


class Code:
    """All definitions of a tree, by name."""

    def __init__(self, tree):
        self.tree, self.names, self.files, self.pasted = tree, {}, {}, []
        paths = sorted(path for place in PLACES
                       for path in glob.glob(os.path.join(tree, place), recursive=True))
        for path in paths:
            short = os.path.relpath(path, tree)
            if ELSEWHERE.match(short):
                continue
            with open(path, encoding='utf-8', errors='replace') as file:
                text = file.read()
            found = File(short, text).found
            self.files[short] = (text, found)
            for definition in found:
                self.names.setdefault(definition.name, []).append(definition)
                pattern = definition.kind == 'macro' and generated(definition)
                if pattern:
                    self.pasted.append((pattern, definition.name))

    def find(self, name, seen_from=None):
        """The definitions of a name; with "file:PATH", that file as a whole.

        With seen_from, a path: without what is static in another .c file.
        """
        if name.startswith('file:'):
            path = name[5:]
            if path not in self.files:
                return []
            tokens = tuple(token for token, *_ in scan(self.files[path][0]) if token != '\n')
            return [Definition('file', name, path, True, tokens,
                               (1, self.files[path][0].count('\n')))]
        return [d for d in self.names.get(name, []) if not seen_from or d.file == seen_from or
                not (d.static and d.file.endswith('.c'))]

    def maker(self, name):
        """The macro that pastes a function of that name together, or None."""
        return next((macro for pattern, macro in self.pasted if pattern.fullmatch(name)), None)

    def text(self, name, path):
        """The source of a name's definitions in one file, comments and all."""
        parts = []
        for definition in self.find(name):
            if definition.file == path:
                lines = self.files[path][0].splitlines()
                first, last = definition.lines
                parts.append('\n'.join(lines[first - 1:last]))
        return '\n\n'.join(parts) + '\n'

    def digest(self, name, path):
        """Of the tokens of a name's definitions in one file; '' if there is none."""
        found = [' '.join(d.tokens) for d in self.find(name) if d.file == path]
        return hashlib.sha256('\n'.join(found).encode()).hexdigest()[:16] if found else ''
