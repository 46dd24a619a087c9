#!/usr/bin/env -S gjs -m
// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

import Shm from 'gi://Shm?version=1.0';

const pool = new Shm.MapReduce();
const squares = pool.map(number => number * number, 10);
print(squares.join(' '));
