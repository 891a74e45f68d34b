# SPDX-License-Identifier: GPL-2.0
# Sourced by the tests that run checkpatch.pl: the types that they leave out.
# shellcheck disable=SC2034 # used there

# Lists of fields and counters are X-macros; kzalloc_obj() is of 7.x alone.
x_macros=COMPLEX_MACRO,MACRO_ARG_UNUSED,MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,TRAILING_SEMICOLON
x_macros+=,ALLOC_WITH_SIZEOF

# In user space the kernel's own types and macros do not exist, and labels of inline asm are
# declared beside it.
user_space=AVOID_EXTERNS,PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO,PREFER_FALLTHROUGH,VOLATILE,MULTIPLE_ASSIGNMENTS
