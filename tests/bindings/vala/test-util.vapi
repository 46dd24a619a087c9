// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

[CCode (cheader_filename = "tests/test-util.h", lower_case_cprefix = "test_")]
namespace TestUtil {
  public void add (string path, GLib.TestFunc func);
  public void start_glib_thread ();
}
