# SPDX-License-Identifier: GPL-2.0
"""Files, read and written as a whole."""

import os


def read(path):
    try:
        with open(path, 'rb') as file:
            return file.read()
    except FileNotFoundError:
        return b''


def save(directory, name, data):
    with open(os.path.join(directory, name), 'wb') as file:
        file.write(data)
