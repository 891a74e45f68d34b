# SPDX-License-Identifier: GPL-2.0
"""Options of the commands that judge: files for other tools, and words for GitHub."""

import os

from scripts import cache
from ..bench import export


def add_options(parser):
    add = parser.add_argument
    add('--junit', metavar='FILE', help="the tests' verdicts as JUnit XML")
    add('--ktap', metavar='FILE', help='the same as KTAP')
    add_kcidb(parser)


def add_kcidb(parser):
    parser.add_argument('--kcidb', metavar='FILE', help='costs and verdicts as a report of KCIDB')


def add_github(parser):
    parser.add_argument('--github', action='store_true', help='annotate the change, and write the '
                        'summary of the job (GITHUB_STEP_SUMMARY)')


def write(path, text):
    with cache.new_file(os.path.abspath(path)) as new, open(new, 'w', encoding='utf-8') as file:
        file.write(text)


def write_all(options, results, commit, kernel, rows=()):
    """The files that were asked for; results are {name: Result}, rows tests of a KCIDB report."""
    if options.junit:
        write(options.junit, export.junit(results))
    if options.ktap:
        write(options.ktap, export.ktap(results))
    if options.kcidb:
        write(options.kcidb, export.kcidb(commit, kernel, [*rows, *export.kcidb_tests(results)]))


def github(errors, markdown, to=None):
    """An annotation for each error, and the job's summary, where there is one."""
    for line in errors:
        print('::error title=kvm-lab::%s' % line.replace('%', '%25').replace('\n', '%0A'),
              file=to)
    path = os.environ.get('GITHUB_STEP_SUMMARY')
    if path:
        with open(path, 'a', encoding='utf-8') as file:
            file.write(markdown + '\n')
