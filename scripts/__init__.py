# SPDX-License-Identifier: GPL-2.0
"""What every command of the project may use: it knows neither the lab nor the tests."""

import os

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
