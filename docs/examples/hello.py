#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

import gi

gi.require_version('Shm', '1.0')
from gi.repository import Shm

with Shm.MapReduce() as pool:
    squares = pool.map(lambda number: number * number, range(10))
print(*squares)
