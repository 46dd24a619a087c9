// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

errordomain KitchenError {
  TOO_HOT,
  TOO_COLD
}

delegate void ThrowingFunc () throws Error;

Shm.MapReduce new_pool () {
  return new Shm.MapReduce () { n_workers = 2 };
}

Error catch_error (ThrowingFunc func) {
  try {
    func ();
  } catch (Error e) {
    return e;
  }
  assert_not_reached ();
}

void run (ThrowingFunc func) {
  try {
    func ();
  } catch (Error e) {
    error ("%s", e.message);
  }
}
