#!/usr/bin/env python3
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

"""usage: catalogue.py [NUMBER]

Finds for each of NUMBER stars of one catalogue the nearest source of another one within a tenth
of a degree. The workers go through the sources, and keep in a shared table what is nearest to a
star up to then: in the critical section, since sources of several workers may be near the same
star. The reduce function shows how fast it goes. A comparison of each with each gives the same.
"""

import sys
import time

import gi
import numpy

gi.require_version('Shm', '1.0')
from gi.repository import Shm

DIRECTION = numpy.dtype([('x', 'f8'), ('y', 'f8'), ('z', 'f8')])
MATCH = numpy.dtype([('source', 'i8'), ('distance', 'f8')])  # a source of -1 if there is none
RADIUS = numpy.radians(0.1)  # as a chord of the unit sphere, nearly the same as its arc
SCATTER = numpy.radians(0.02)
CHUNK = 1000


def make_stars(n_stars, random):
    """Directions that are spread evenly over the sky, from the south to the north."""
    stars = numpy.empty(n_stars, DIRECTION)
    longitude = random.uniform(0.0, 2.0 * numpy.pi, n_stars)
    stars['z'] = numpy.sort(random.uniform(-1.0, 1.0, n_stars))
    stars['x'] = numpy.sqrt(1.0 - stars['z'] ** 2) * numpy.cos(longitude)
    stars['y'] = numpy.sqrt(1.0 - stars['z'] ** 2) * numpy.sin(longitude)
    return stars


def make_sources(stars, random):
    """Half of the sources are stars, at about their places; the other half is anywhere."""
    sources = random.permutation(make_stars(len(stars), random))
    for axis in DIRECTION.names:
        sources[axis][::2] = stars[axis][::2] + random.uniform(-SCATTER, SCATTER, len(stars[::2]))
    return sources


def get_distances(a, b):
    """The lengths of the chords."""
    return numpy.sqrt(sum((a[axis] - b[axis]) ** 2 for axis in DIRECTION.names))


def match(stars, sources):
    """The table of matches: for each star its nearest source."""
    matches = Shm.full_like(numpy.empty(len(stars), MATCH), (-1, numpy.inf))
    n_done = 0
    start = time.monotonic()

    def work(begin):
        part = sources[begin:begin + CHUNK]
        zones = zip(numpy.searchsorted(stars['z'], part['z'] - RADIUS),
                    numpy.searchsorted(stars['z'], part['z'] + RADIUS))
        candidates = []
        for source, (first, last) in enumerate(zones):
            distances = get_distances(stars[first:last], part[source])
            candidates += [(first + i, begin + source, distances[i])
                           for i in numpy.flatnonzero(distances <= RADIUS)]
        # All of the chunk has been looked at, so the section is entered once.
        with pool.critical:
            for star, source, distance in candidates:
                if distance < matches['distance'][star]:
                    matches[star] = source, distance
        return begin, len(part), len(candidates)

    def reduce(begin, n_sources, n_candidates):
        nonlocal n_done
        n_done += n_sources
        print(f'\r{n_done} of {len(sources)} sources, '
              f'{n_done / (time.monotonic() - start):.0f} in a second', end='', flush=True)
        return n_candidates

    with Shm.MapReduce() as pool:
        n_candidates = sum(pool.map(work, range(0, len(sources), CHUNK), reduce=reduce))
    print(f'\n{n_candidates} sources are near a star')
    return matches


def main():
    """Returns the status of the program."""
    n_stars = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    random = numpy.random.default_rng(1718)
    stars = make_stars(n_stars, random)
    sources = make_sources(stars, random)
    matches = match(stars, sources)

    for star in range(n_stars):
        distances = get_distances(sources, stars[star])
        nearest = distances.argmin()
        expected = nearest if distances[nearest] <= RADIUS else -1
        if matches['source'][star] != expected:
            return f"star {star} has source {matches['source'][star]}, and not {expected}"
    print(f"{numpy.count_nonzero(matches['source'] >= 0)} stars have a source; a comparison of "
          f'each with each finds the same ones.')
    return 0


sys.exit(main())
