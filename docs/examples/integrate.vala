// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

/* usage: integrate-vala [NUMBER]
 *
 * Integrates 1 / x^x from 0 to 1. The values at NUMBER points, 32 Mi if it is not given, lie in a
 * shared array of 256 MiB, which the workers fill chunk by chunk. Three sums come out of it, and
 * have to agree: of the array, read by the caller afterwards; of what the workers add up in shared
 * memory, in the critical section; of their results, in the reduce function.
 */

const uint64 CHUNK = 1 << 18;
const double TOLERANCE = 1e-9;

double seconds_since (int64 start) {
  return (double) (get_monotonic_time () - start) / TimeSpan.SECOND;
}

// The work on one chunk, for workers and for the serial run alike.
double fill_chunk (double[:size_t] values, uint64 chunk) {
  var width = 1.0 / values.length;
  var end = size_t.min ((size_t) ((chunk + 1) * CHUNK), values.length);
  var sum = 0.0;

  for (var i = (size_t) (chunk * CHUNK); i < end; i++) {
    var x = (i + 0.5) * width;

    values[i] = Math.pow (x, -x);
    sum += values[i];
  }
  return sum;
}

// Johann Bernoulli (1697): the integral is the sum of 1 / n^n over all n from 1.
double exact_integral () {
  var sum = 0.0;

  for (var n = 16; n > 0; n--)
    sum += Math.pow (n, -n);
  return sum;
}

bool integrate (size_t n_points) throws Error {
  // reserved, since memory costs more when it is first touched, and only one of the runs would pay
  var array = new Shm.Array.full (Shm.Dtype.F8, 0, { n_points }, Shm.ArrayFlags.RESERVE);
  unowned double[:size_t] values = array.as_doubles ();
  var critical_sum = new Shm.Array (Shm.Dtype.F8, { 1 });
  var n_chunks = (n_points - 1) / CHUNK + 1;
  var pool = new Shm.MapReduce ();
  var job = new Shm.Job (pool, n_chunks);
  var reduced_sum = 0.0;

  job.set_map_func ((pool, chunk) => {
    var sum = fill_chunk (values, chunk);

    pool.critical (() => {
      critical_sum[0] = critical_sum[0] + sum;
    });
    return sum;
  });
  job.set_reduce_func ((pool, chunk, sum) => {
    reduced_sum += (double) sum;
    return null;
  });

  var start = get_monotonic_time ();
  job.run ();
  var seconds = seconds_since (start);
  var workers_sum = critical_sum[0];
  print ("Number of workers: %u\n", uint.min (pool.count_workers (), (uint) n_chunks));
  print ("  %-18s %.15f %8.3f s\n", "reduced results", reduced_sum / n_points, seconds);
  print ("  %-18s %.15f %8.3f s\n", "critical section", workers_sum / n_points, seconds);

  start = get_monotonic_time ();
  var array_sum = 0.0;
  foreach (var value in values)
    array_sum += value;
  print ("  %-18s %.15f %8.3f s\n", "array, afterwards", array_sum / n_points,
         seconds_since (start));

  start = get_monotonic_time ();
  var serial_sum = 0.0;
  for (uint64 chunk = 0; chunk < n_chunks; chunk++)
    serial_sum += fill_chunk (values, chunk);
  var serial_seconds = seconds_since (start);
  print ("  %-18s %.15f %8.3f s\n", "serial", serial_sum / n_points, serial_seconds);
  print ("  %-18s %.15f\n", "exact", exact_integral ());

  var difference = double.max ((workers_sum - array_sum).abs (), (reduced_sum - array_sum).abs ());
  if (!(difference <= TOLERANCE * array_sum)) {
    print ("The three sums differ by up to %g.\n", difference);
    return false;
  }
  print ("The three sums agree to %g; the workers were %.2f times as fast as the serial loop.\n",
         TOLERANCE, serial_seconds / seconds);
  return true;
}

int main (string[] args) {
  uint64 n_points = 128 * CHUNK;

  Intl.setlocale ();
  try {
    if (args.length > 1)
      uint64.from_string (args[1], out n_points, 10, 1, ssize_t.MAX / sizeof (double));
    print ("The integral of 1 / x^x from 0 to 1\nNumber of points: %s (%s), in chunks of %s\n",
           n_points.to_string (),
           format_size (n_points * sizeof (double), FormatSizeFlags.IEC_UNITS), CHUNK.to_string ());
    return integrate ((size_t) n_points) ? 0 : 1;
  } catch (Error e) {
    printerr ("integrate-vala: %s\n", e.message);
    return 1;
  }
}
