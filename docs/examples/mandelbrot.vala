// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* usage: mandelbrot-vala [FILE [WIDTH]]
 *
 * Draws the Mandelbrot set into FILE, a PNG, mandelbrot-vala.png if it is not given. The pixels lie
 * in a shared array, from where they are written without a copy; an item is a row, which its worker
 * draws there. The program goes on meanwhile, and tells how many rows are done. Some rows are drawn
 * again by the caller, and have to be the same.
 */

const int MAX_STEPS = 1000;
const int N_CHANNELS = 3;

// How often z² + c is taken until |z| is more than 2, smoothly; NAN where it never is.
double count_steps (double re, double im) {
  var x = 0.0, y = 0.0;

  for (var n = 0; n < MAX_STEPS; n++) {
    var xx = x * x, yy = y * y;

    if (xx + yy > 256)
      return n + 1 - Math.log2 (Math.log2 (xx + yy) / 2);
    y = 2 * x * y + im;
    x = xx - yy + re;
  }
  return double.NAN;
}

// The real axis goes from -2.25 to 0.75.
void draw_row (uint8[:size_t] pixels, uint64 row, int width, int height) {
  var scale = 3.0 / width;

  for (var column = 0; column < width; column++) {
    var steps = count_steps ((column + 0.5) * scale - 2.25, (height / 2.0 - row - 0.5) * scale);

    if (steps.is_nan ())
      continue;
    var phase = Math.log (double.max (steps, 0) + 1) * 2;
    for (var channel = 0; channel < N_CHANNELS; channel++)
      pixels[column * N_CHANNELS + channel] =
        (uint8) (127.5 - 127.5 * Math.cos (phase - channel * 0.6));
  }
}

async bool draw (string path, int width) throws Error {
  var height = (int) Math.round (width * 0.75);
  var picture = new Shm.Array (Shm.Dtype.U1, { height, width, N_CHANNELS });
  var pool = new Shm.MapReduce ();
  var job = new Shm.Job (pool, height);
  var start = get_monotonic_time ();
  var shown = 0;

  job.set_map_func ((pool, row) => {
    draw_row (picture.index (0, (int64) row).as_uint8s (), row, width, height);
    return null;
  });
  job.notify["fraction"].connect (() => {
    var tenth = (int) (job.fraction * 10);

    if (tenth > shown)
      print ("%s of %d rows\n", job.n_done.to_string (), height);
    shown = tenth;
  });
  yield job.run_async ();
  print ("%d × %d pixels on %u workers took %.3f s.\n", width, height, pool.count_workers (),
         (double) (get_monotonic_time () - start) / TimeSpan.SECOND);

  for (var row = 0; row < height; row += (height + 7) / 8) {
    var expected = new uint8[width * N_CHANNELS];

    draw_row (expected, row, width, height);
    if (Memory.cmp (expected, picture.index (0, row).get_data (), expected.length) != 0) {
      printerr ("mandelbrot-vala: row %d is wrong\n", row);
      return false;
    }
  }
  var pixbuf = new Gdk.Pixbuf.from_bytes (picture.get_bytes (), Gdk.Colorspace.RGB, false, 8,
                                          width, height, width * N_CHANNELS);
  pixbuf.save (path, "png");
  print ("The picture is in %s.\n", path);
  return true;
}

int main (string[] args) {
  var path = args.length > 1 ? args[1] : "mandelbrot-vala.png";
  var width = 1200;
  var succeeded = false;
  var loop = new MainLoop ();

  Intl.setlocale ();
  if (args.length > 3 || (args.length > 2 && (!int.try_parse (args[2], out width) || width < 8))) {
    printerr ("usage: mandelbrot-vala [FILE [WIDTH]]\n");
    return 2;
  }
  draw.begin (path, width, (object, result) => {
    try {
      succeeded = draw.end (result);
    } catch (Error e) {
      printerr ("mandelbrot-vala: %s\n", e.message);
    }
    loop.quit ();
  });
  loop.run ();
  return succeeded ? 0 : 1;
}
