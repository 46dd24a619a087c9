#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: video.py [NUMBER [FILE.y4m]]

Computes NUMBER frames of waves from two sources. A worker allocates each frame when it comes to it,
and returns it: it is not pickled, but handed over in shared memory. The caller encodes the frames
in their order while later ones are made; at most a window of them waits. The video is compared
with what one process alone makes, and is written to FILE if one is given.
"""

import hashlib
import sys
import tempfile

import gi
import numpy

gi.require_version('Shm', '1.0')
from gi.repository import Shm

WIDTH = 640
HEIGHT = 360
WINDOW = 8
SOURCES = ((200, 180), (440, 180))


def draw(number):
    """A frame, in shades of grey."""
    y, x = numpy.mgrid[:HEIGHT, :WIDTH]
    waves = sum(numpy.cos(numpy.hypot(x - a, y - b) / 5.0 - number / 4.0) for a, b in SOURCES)
    frame = numpy.empty((HEIGHT, WIDTH), 'u1')
    frame[:] = 126 + 55 * waves
    return frame


def encode(frames, file):
    """Writes a video; how many frames it has, and a digest of it."""
    digest = hashlib.sha256()
    header = f'YUV4MPEG2 W{WIDTH} H{HEIGHT} F25:1 Ip A1:1 Cmono\n'.encode()
    n_frames = 0
    file.write(header)
    for frame in frames:
        file.write(b'FRAME\n')
        file.write(frame)
        digest.update(frame)
        n_frames += 1
    return n_frames, digest.hexdigest()


def main():
    """Returns the status of the program."""
    n_frames = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with Shm.MapReduce() as pool, (open(sys.argv[2], 'wb') if len(sys.argv) > 2
                                   else tempfile.TemporaryFile()) as file:
        video = encode(pool.imap(draw, range(n_frames), window=WINDOW), file)
        size = file.tell()
    print(f'{video[0]} frames, {size} bytes')
    with tempfile.TemporaryFile() as file:
        if encode(map(draw, range(n_frames)), file) != video:
            return 'video.py: one process alone makes another video'
    print('One process alone makes the same video.')
    return 0


sys.exit(main())
