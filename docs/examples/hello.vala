// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

int main () {
  var pool = new Shm.MapReduce ();

  try {
    foreach (var square in pool.map (10, null, (pool, i) => i * i))
      print ("%d ", (int) (uint64) square);
    print ("\n");
  } catch (Error e) {
    printerr ("hello: %s\n", e.message);
    return 1;
  }
  return 0;
}
