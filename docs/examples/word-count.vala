// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* usage: word-count-vala [FILE-OR-FOLDER...]
 *
 * Counts the words in text files. Each file is an item, for which a worker returns a dictionary of
 * words and counts; the caller reduces them into one table while the workers go on.
 *
 * Folders are searched with all that is below them, but for hidden files and symbolic links. Files
 * that are not text have no words. Without arguments, the words of the sources that this program
 * was built from, and of their licence, are counted.
 */

const uint N_SHOWN = 10;

extern const string SOURCE_ROOT;

double seconds_since (int64 start) {
  return (double) (get_monotonic_time () - start) / TimeSpan.SECOND;
}

void add_count (HashTable<string, uint> counts, string word, uint increment) {
  counts[word] = counts[word] + increment;
}

// A word is a run of letters, however they are written: upper or lower case, composed or not.
HashTable<string, uint> count_file (string path) throws Error {
  var counts = new HashTable<string, uint> (str_hash, str_equal);
  uint8[] contents;

  FileUtils.get_data (path, out contents);
  unowned string raw = (string) contents;
  if (raw.length < contents.length)
    return counts;
  var text = raw.make_valid ().casefold ().normalize (-1, NormalizeMode.ALL_COMPOSE);

  unichar letter;
  var begin = -1;
  var here = 0;
  for (var next = 0; text.get_next_char (ref next, out letter); here = next) {
    if (letter.isalpha ()) {
      if (begin < 0)
        begin = here;
    } else if (begin >= 0) {
      add_count (counts, text[begin:here], 1);
      begin = -1;
    }
  }
  if (begin >= 0)
    add_count (counts, text[begin:here], 1);
  return counts;
}

void find_files (GenericArray<string> paths, string path) throws Error {
  if (FileUtils.test (path, FileTest.IS_REGULAR)) {
    paths.add (path);
    return;
  }

  var dir = Dir.open (path);
  for (var name = dir.read_name (); name != null; name = dir.read_name ()) {
    var child = Path.build_filename (path, name);

    if (!name.has_prefix (".") && !FileUtils.test (child, FileTest.IS_SYMLINK) &&
        (FileUtils.test (child, FileTest.IS_REGULAR) || FileUtils.test (child, FileTest.IS_DIR)))
      find_files (paths, child);
  }
}

bool counts_are_equal (HashTable<string, uint> a, HashTable<string, uint> b) {
  var equal = a.size () == b.size ();

  a.foreach ((word, count) => { equal = equal && b[word] == count; });
  return equal;
}

// The most frequent first; the alphabet decides between equals.
void print_counts (HashTable<string, uint> counts) {
  var words = new GenericArray<unowned string> ();
  uint64 total = 0;

  counts.foreach ((word, count) => {
    words.add (word);
    total += count;
  });
  words.sort_with_data ((a, b) => {
    if (counts[a] != counts[b])
      return counts[a] > counts[b] ? -1 : 1;
    return strcmp (a, b);
  });

  print ("Number of words: %s, of which %u are different\n", total.to_string (), words.length);
  for (var i = 0; i < uint.min (words.length, N_SHOWN); i++)
    print ("  %8u  %s\n", counts[words[i]], words[i]);
}

// The workers go first, so that it is the serial run which finds the files in the page cache.
bool count_words (GenericArray<string> paths) throws Error {
  var pool = new Shm.MapReduce ();
  var job = new Shm.Job (pool, paths.length);
  var total = new HashTable<string, uint> (str_hash, str_equal);

  job.set_map_func ((pool, i) => {
    var builder = new VariantBuilder (new VariantType ("a{su}"));

    count_file (paths[(uint) i]).foreach ((word, count) => builder.add ("{su}", word, count));
    return builder.end ();
  });
  job.set_reduce_func ((pool, i, counts) => {
    foreach (var entry in counts) {
      string word;
      uint count;

      entry.get ("{su}", out word, out count);
      add_count (total, word, count);
    }
    return null;
  });
  var start = get_monotonic_time ();
  job.run ();
  var seconds = seconds_since (start);

  start = get_monotonic_time ();
  var serial_total = new HashTable<string, uint> (str_hash, str_equal);
  foreach (var path in paths)
    count_file (path).foreach ((word, count) => add_count (serial_total, word, count));
  var serial_seconds = seconds_since (start);

  print_counts (total);
  print ("Number of workers: %u\n", uint.min (pool.count_workers (), paths.length));
  print ("They took %.3f s, and the serial loop %.3f s: they were %.2f times as fast.\n",
         seconds, serial_seconds, serial_seconds / seconds);
  if (!counts_are_equal (total, serial_total)) {
    printerr ("word-count-vala: the serial count is different: did a file change meanwhile?\n");
    return false;
  }
  print ("The serial count is the same, word for word.\n");
  if (serial_seconds < seconds)
    print ("In files as small as these, to hand over the counts costs as much as to count.\n");
  return true;
}

int main (string[] args) {
  var paths = new GenericArray<string> ();
  string[] sources = {
    SOURCE_ROOT + "/LICENSE", SOURCE_ROOT + "/shmem-glib", SOURCE_ROOT + "/docs",
    SOURCE_ROOT + "/tests",
  };

  Intl.setlocale ();
  try {
    foreach (unowned var path in args.length > 1 ? args[1:args.length] : sources)
      find_files (paths, path);
    print ("Number of files: %u\n", paths.length);
    return count_words (paths) ? 0 : 1;
  } catch (Error e) {
    printerr ("word-count-vala: %s\n", e.message);
    return 1;
  }
}
