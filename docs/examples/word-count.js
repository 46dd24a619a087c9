#!/usr/bin/env -S gjs -m
// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* usage: word-count.js [FILE-OR-FOLDER...]
 *
 * Counts the words in text files. Each file is an item, for which a worker returns a Map of words
 * and counts; the caller reduces them into one table while the workers go on.
 *
 * Folders are searched with all that is below them, but for hidden files and symbolic links. Files
 * that are not text have no words. Without arguments, the words of the library's sources, and of
 * their licence, are counted.
 */

import Gio from 'gi://Gio';
import GLib from 'gi://GLib';
import Shm from 'gi://Shm?version=1.0';
import System from 'system';

const N_SHOWN = 10;

/** A word is a run of letters, in upper or lower case, composed or not. */
function countFile(path) {
    const counts = new Map();
    const [, contents] = GLib.file_get_contents(path);
    if (contents.includes(0))
        return counts;
    const text = new TextDecoder().decode(contents).toLowerCase().normalize();
    for (const word of text.match(/\p{L}+/gu) ?? [])
        counts.set(word, (counts.get(word) ?? 0) + 1);
    return counts;
}

function addCounts(total, counts) {
    for (const [word, count] of counts)
        total.set(word, (total.get(word) ?? 0) + count);
}

/** The paths of the files at a path and below it. */
function findFiles(file) {
    const type = file.query_file_type(Gio.FileQueryInfoFlags.NONE, null);
    if (type !== Gio.FileType.DIRECTORY)
        return [file.get_path()];
    const found = [];
    const infos = file.enumerate_children(
        'standard::name,standard::type', Gio.FileQueryInfoFlags.NOFOLLOW_SYMLINKS, null);
    for (let info = infos.next_file(null); info !== null; info = infos.next_file(null)) {
        const childType = info.get_file_type();
        if (!info.get_name().startsWith('.') &&
            (childType === Gio.FileType.DIRECTORY || childType === Gio.FileType.REGULAR))
            found.push(...findFiles(infos.get_child(info)));
    }
    infos.close(null);
    return found.sort();
}

/** The sources of the library, above this program. */
function getDefaultFiles() {
    const root = Gio.File.new_for_uri(import.meta.url).get_parent().get_parent().get_parent();
    return ['LICENSE', 'shmem-glib', 'docs', 'tests'].map(name => root.get_child(name));
}

/** The most frequent first; the alphabet decides between equals. */
function toSorted(counts) {
    return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
}

function main() {
    const roots = ARGV.length > 0 ? ARGV.map(name => Gio.File.new_for_commandline_arg(name))
        : getDefaultFiles();
    const missing = roots.find(root => !root.query_exists(null));
    if (missing !== undefined) {
        printerr(`word-count.js: there is no file or folder “${missing.get_path()}”`);
        return 1;
    }
    const files = roots.flatMap(findFiles);
    if (files.length === 0) {
        printerr('word-count.js: there are no files to count in');
        return 1;
    }
    print(`Number of files: ${files.length}`);

    // The workers go first, so that it is the serial run which finds the files in the page cache.
    const counts = new Map();
    const pool = new Shm.MapReduce();
    let start = GLib.get_monotonic_time();
    pool.map(countFile, files, {reduce: part => addCounts(counts, part)});
    const seconds = (GLib.get_monotonic_time() - start) / 1e6;

    start = GLib.get_monotonic_time();
    const serialCounts = new Map();
    for (const file of files)
        addCounts(serialCounts, countFile(file));
    const serialSeconds = (GLib.get_monotonic_time() - start) / 1e6;

    const sorted = toSorted(counts);
    const nWords = sorted.reduce((sum, [, count]) => sum + count, 0);
    print(`Number of words: ${nWords}, of which ${counts.size} are different`);
    for (const [word, count] of sorted.slice(0, N_SHOWN))
        print(`  ${count.toString().padStart(8)}  ${word}`);
    print(`Number of workers: ${Math.min(pool.count_workers(), files.length)}`);
    print(`They took ${seconds.toFixed(3)} s, and the serial loop ${serialSeconds.toFixed(3)} s: ` +
        `they were ${(serialSeconds / seconds).toFixed(2)} times as fast.`);
    if (JSON.stringify(sorted) !== JSON.stringify(toSorted(serialCounts))) {
        printerr('word-count.js: the serial count is different: did a file change meanwhile?');
        return 1;
    }
    print('The serial count is the same, word for word.');
    if (serialSeconds < seconds)
        print('In files as small as these, to hand over the counts costs as much as to count.');
    return 0;
}

System.exit(main());
