# SPDX-License-Identifier: GPL-2.0
"""Boot a kernel in the emulator without firmware, boot loader or disk.

Makes the memory image that the emulator loads at address 0 before the first
instruction, and the ROM (loader.S) that enters the kernel.  In the image:

    0x9fc00      the MultiProcessor tables, at the end of base memory
    0x1000000    the kernel's segments at their physical addresses (by vmlinux)
    after .bss   boot_params, command line, initramfs

Invariant: the parts overlap neither each other nor the kernel's bss, and all
lie in memory that exists; what does not fit is an error here, not a hang there.
"""

import os
import struct
import subprocess
import tempfile

from scripts.command import SetupError

BASE_MEMORY_END = 0x9fc00
APIC_BASE = 0xfee00000
IOAPIC_BASE = 0xfec00000
# The processors' local APICs and the ROM lie above.
MEMORY_MAX = 0xc0000000
PAGE = 0x1000
COMMAND_LINE_MAX = PAGE - 1
# What the kernel needs beside image and initramfs, unpacked once more.
MEMORY_SPARE = 64 << 20

E820_RAM, E820_RESERVED = 1, 2
PT_LOAD = 1


class BootError(SetupError):
    """A kernel, initramfs or parameter that cannot be booted, and why."""


def loadable_segments(image, name):
    """(entry, [(physical address, offset, size in file, size in memory)])"""
    if image[:4] != b'\x7fELF' or image[4] != 2:
        raise BootError('%s is no 64-bit ELF file; expected an unpacked vmlinux' % name)
    entry, table = struct.unpack_from('<QQ', image, 24)
    size, count = struct.unpack_from('<HH', image, 54)
    segments = []
    for i in range(count):
        kind, _, offset, _, physical, file_size, memory_size, _ = \
            struct.unpack_from('<IIQQQQQQ', image, table + i * size)
        if kind == PT_LOAD:
            segments.append((physical, offset, file_size, memory_size))
    return entry, segments


def place_kernel(vmlinux, image):
    """Write the segments into the image; return (entry, end of bss)."""
    with open(vmlinux, 'rb') as file:
        elf = memoryview(file.read())
    entry, segments = loadable_segments(elf, vmlinux)
    # startup_64: the first byte in older kernels, in the last segment since 6.12.
    if min(s[0] for s in segments) < 0x100000 or \
            not any(s[0] <= entry < s[0] + s[2] for s in segments):
        raise BootError('%s: entry %#x is not in a segment above 1 MiB; expected the '
                        'physical address of startup_64' % (vmlinux, entry))
    for physical, offset, size, _ in segments:
        image.seek(physical)
        image.write(elf[offset:offset + size])
    return entry, max(s[0] + s[3] for s in segments)


def memory_map(memory):
    return [(0, BASE_MEMORY_END, E820_RAM),
            (BASE_MEMORY_END, 0xa0000 - BASE_MEMORY_END, E820_RESERVED),
            (0xf0000, 0x10000, E820_RESERVED),
            (0x100000, memory - 0x100000, E820_RAM),
            (0xffff0000, 0x10000, E820_RESERVED)]


def boot_params(address, command_line, initrd, memory):
    """The page at address, the command line after it; initramfs comes next."""
    command_line = command_line.encode()
    if len(command_line) >= COMMAND_LINE_MAX:
        raise BootError('the command line has %d bytes; at most %d fit'
                        % (len(command_line), COMMAND_LINE_MAX - 1))
    params = bytearray(PAGE)
    entries = memory_map(memory)
    params[0x1e8] = len(entries)
    for i, entry in enumerate(entries):
        struct.pack_into('<QQI', params, 0x2d0 + 20 * i, *entry)
    struct.pack_into('<H', params, 0x1fe, 0xaa55)
    struct.pack_into('<4sH', params, 0x202, b'HdrS', 0x20f)
    params[0x210] = 0xff            # unknown boot loader
    params[0x211] = 1               # loaded high
    struct.pack_into('<II', params, 0x218, address + 2 * PAGE, len(initrd))
    struct.pack_into('<I', params, 0x228, address + PAGE)
    struct.pack_into('<I', params, 0x230, 0x200000)
    struct.pack_into('<I', params, 0x238, COMMAND_LINE_MAX)
    return bytes(params) + command_line.ljust(PAGE, b'\0')


def checksum(data):
    return -sum(data) & 0xff


def mp_table(cpus):
    """MultiProcessor specification 1.4 tables; they go to BASE_MEMORY_END."""
    ioapic = cpus                   # the emulator's numbering
    entries = []
    for cpu in range(cpus):
        flags = 1 | (2 if cpu == 0 else 0)          # enabled, bootstrap
        entries.append(struct.pack('<BBBBIIQ', 0, cpu, 0x14, flags, 0x600, 0x201, 0))
    entries.append(struct.pack('<BB6s', 1, 0, b'ISA   '))
    entries.append(struct.pack('<BBBBI', 2, ioapic, 0x11, 1, IOAPIC_BASE))
    for irq in range(16):
        if irq != 2:                # the cascade; its pin carries the timer
            pin = 2 if irq == 0 else irq
            entries.append(struct.pack('<BBHBBBB', 3, 0, 0, 0, irq, ioapic, pin))
    entries.append(struct.pack('<BBHBBBB', 4, 3, 0, 0, 0, 0, 0))        # ExtINT
    entries.append(struct.pack('<BBHBBBB', 4, 1, 0, 0, 0, 0xff, 1))     # NMI
    body = b''.join(entries)
    head = bytearray(struct.pack('<4sHBB8s12sIHHIHBB', b'PCMP', 44 + len(body), 4, 0,
                                 b'LAB     ', b'EMULATED    ', 0, 0, len(entries),
                                 APIC_BASE, 0, 0, 0))
    head[7] = checksum(head + body)
    pointer = bytearray(struct.pack('<4sIBBB5s', b'_MP_', BASE_MEMORY_END + 16, 1, 4, 0,
                                    bytes(5)))
    pointer[10] = checksum(pointer)
    return bytes(pointer + head + body)


def assemble_loader(output, symbols):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'loader.S')
    defines = [word for item in symbols.items() for word in ('--defsym', '%s=%#x' % item)]
    with tempfile.TemporaryDirectory() as work:
        objekt = os.path.join(work, 'loader.o')
        subprocess.run(['as', '--64', *defines, '-o', objekt, source], check=True)
        subprocess.run(['ld', '-e', '0', '-Ttext=0', '--oformat', 'binary',
                        '-o', output, objekt], check=True)
    if os.path.getsize(output) != 0x10000:
        raise BootError('%s has %d bytes; the ROM must have 65536'
                        % (output, os.path.getsize(output)))


def prepare(vmlinux, initrd, command_line, memory, cpus, directory):
    """Write the images into directory; return the emulator's configuration lines."""
    with open(os.path.join(directory, 'memory.img'), 'wb') as image:
        image.seek(BASE_MEMORY_END)
        image.write(mp_table(cpus))
        entry, end = place_kernel(vmlinux, image)
        address = -(-end // PAGE) * PAGE
        image.seek(address)
        image.write(boot_params(address, command_line, initrd, memory))
        image.write(initrd)
        end = image.tell()
    if memory > MEMORY_MAX or end + len(initrd) + MEMORY_SPARE > memory:
        raise BootError('kernel and initramfs of %d MiB do not go into %d MiB of memory '
                        '(at most %d MiB may be given)'
                        % (end >> 20, memory >> 20, MEMORY_MAX >> 20))
    assemble_loader(os.path.join(directory, 'loader.rom'),
                    {'KERNEL_ENTRY': entry, 'BOOT_PARAMS': address})
    with open(os.path.join(directory, 'vga.rom'), 'wb') as file:
        file.write(bytes(512))      # the emulator insists on one; nobody reads it
    return ['romimage: file=loader.rom, address=0xffff0000', 'vgaromimage: file=vga.rom',
            'optramimage1: file=memory.img, address=0']
