#!/usr/bin/env -S gjs -m
// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* usage: mandelbrot.js [FILE [WIDTH]]
 *
 * Draws the Mandelbrot set into FILE, a PNG, mandelbrot.png if it is not given. The pixels lie in a
 * shared array; an item is a row, which its worker writes there. The program goes on meanwhile, and
 * tells how many rows are done. Some rows are computed again by the caller, and have to be the
 * same.
 */

import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';
import System from 'system';

const MAX_STEPS = 1000;
const N_CHANNELS = 3;

/** How often z² + c is taken until |z| is more than 2, smoothly; null where it never is. */
function countSteps(re, im) {
    let x = 0, y = 0;
    for (let n = 0; n < MAX_STEPS; n++) {
        const xx = x * x, yy = y * y;
        if (xx + yy > 256)
            return n + 1 - Math.log2(Math.log2(xx + yy) / 2);
        y = 2 * x * y + im;
        x = xx - yy + re;
    }
    return null;
}

/** A row of pixels: the real axis from -2.25 to 0.75. */
function drawRow(row, width, height) {
    const pixels = new Uint8Array(width * N_CHANNELS);
    const scale = 3 / width;
    for (let column = 0; column < width; column++) {
        const steps = countSteps(
            (column + 0.5) * scale - 2.25, (height / 2 - row - 0.5) * scale);
        if (steps === null)
            continue;
        const phase = Math.log(Math.max(steps, 0) + 1) * 2;
        for (let channel = 0; channel < N_CHANNELS; channel++)
            pixels[column * N_CHANNELS + channel] = 127.5 - 127.5 * Math.cos(phase - channel * 0.6);
    }
    return pixels;
}

async function save(pixels, width, height, path) {
    const {default: GdkPixbuf} = await import('gi://GdkPixbuf?version=2.0');
    const pixbuf = GdkPixbuf.Pixbuf.new_from_bytes(
        pixels.get_bytes(), GdkPixbuf.Colorspace.RGB, false, 8, width, height, width * N_CHANNELS);
    pixbuf.savev(path, 'png', [], []);
}

async function main(path, width) {
    const height = Math.round(width * 0.75);
    const pixels = Shm.array('u1', [height, width, N_CHANNELS]);
    const pool = new Shm.MapReduce();
    const start = GLib.get_monotonic_time();

    let shown = 0;
    await pool.mapAsync(row => {
        pixels.write(row * width * N_CHANNELS, drawRow(row, width, height));
    }, height, {progress: (nDone, nRows) => {
        const tenth = Math.floor(nDone / nRows * 10);
        if (tenth > shown)
            print(`${nDone} of ${nRows} rows`);
        shown = tenth;
    }});
    print(`${width} × ${height} pixels on ${pool.count_workers()} workers took ` +
        `${((GLib.get_monotonic_time() - start) / 1e6).toFixed(3)} s.`);

    const rowBytes = width * N_CHANNELS;
    for (let row = 0; row < height; row += Math.ceil(height / 8)) {
        const expected = drawRow(row, width, height);
        if (!pixels.read(row * rowBytes, rowBytes).every((value, i) => value === expected[i])) {
            printerr(`mandelbrot.js: row ${row} is wrong`);
            return 1;
        }
    }
    try {
        await save(pixels, width, height, path);
        print(`The picture is in ${path}.`);
    } catch (error) {
        // Without GdkPixbuf the rest has still been shown.
        print(`There is no picture: ${error.message}`);
    }
    pixels.close();
    return 0;
}

const width = Number(ARGV[1] ?? 1200);
if (ARGV.length > 2 || !Number.isSafeInteger(width) || width < 8) {
    printerr('usage: mandelbrot.js [FILE [WIDTH]]');
    System.exit(2);
}
System.exit(await main(ARGV[0] ?? 'mandelbrot.png', width));
