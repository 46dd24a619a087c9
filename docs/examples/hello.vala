// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

int main () {
  var pool = new Shm.MapReduce ();

  try {
    var squares = pool.map (10, null, (pool, i) => i * i);

    foreach (var square in squares)
      print ("%s ", square.print (false));
    print ("\n");
  } catch (GLib.Error e) {
    printerr ("hello: %s\n", e.message);
    return 1;
  }
  return 0;
}
