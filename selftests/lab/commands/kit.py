# SPDX-License-Identifier: GPL-2.0
"""Make the programs that "kvm-intel-fast check" and "measure" run on a host with VMX.

They are static: the folder may be copied to any host, whose kvm-intel-fast takes
it with --kit.  On the host where it was made root's commands find it by themselves.
"""

from . import of_script

EXAMPLES = (
    'kvm-lab kit                                # as root, on the host itself',
    'kvm-lab kit --out kit                      # and copy that folder',
)

arguments, main = of_script('kit')
