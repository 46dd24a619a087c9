// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

// Arrays as those of the language.

void test_made () throws Error {
  var array = new Shm.Array (Shm.Dtype.F8, { 100, 200 });
  assert (array.shape.length == 2 && array.shape[0] == 100 && array.shape[1] == 200);
  assert (array.strides[0] == 1600 && array.strides[1] == 8);
  assert (array.dtype == Shm.Dtype.F8 && array.n_elements == 20000 && array.size == 20000);
  assert (new Shm.Array (Shm.Dtype.U1, {}).n_dims == 0);
  assert (Shm.Dtype.from_string ("f4") == Shm.Dtype.F4);
  assert (Shm.Dtype.F4.get_size () == 4 && Shm.Dtype.F4.to_string () == "f4");

  var filled = new Shm.Array.filled (Shm.Dtype.I4, { 3 }, 7);
  assert (filled.to_string () == new Shm.Array.copy (filled).to_string ());
  assert (filled.get_int64 ({ 2 }) == 7);
  assert (new Shm.Array.full (Shm.Dtype.RECORD, 24, { 5 }).item_size == 24);
  uint8[] bytes = { 1, 2, 3, 4 };
  assert (new Shm.Array.from_data (Shm.Dtype.U1, { 2, 2 }, bytes).get_int64 ({ 1, 0 }) == 3);
  assert (catch_error (() => new Shm.Array (Shm.Dtype.F8, { size_t.MAX, 2 })) is Shm.Error);
}

void test_items () throws Error {
  var array = new Shm.Array (Shm.Dtype.F8, { 10 });
  var sum = 0.0;
  var n = 0;

  for (var i = 0; i < 10; i++)
    array[i] = i + 0.5;
  assert (array[3] == 3.5);
  array[3] = array[3] * 2;
  foreach (var item in array) {
    sum += item;
    n++;
  }
  assert (n == 10 && sum == 53.5);
  assert (catch_error (() => array[10] = 1) is Shm.Error.OUT_OF_BOUNDS);
  assert (catch_error (() => print ("%g", array[10])) is Shm.Error.OUT_OF_BOUNDS);

  // any real type, and items of views
  var odd = new Shm.Array.filled (Shm.Dtype.I2, { 10 }, 1).slice (0, 1, 10, 2);
  odd[4] = 9;
  assert (odd[4] == 9 && odd[0] == 1 && odd.size == 5);

  array.fill (1.25);
  array.set_value ({ 1 }, 4.0);
  assert (array[0] == 1.25 && (double) array.get_value ({ 1 }) == 4);
  double old;
  array.add_double ({ 1 }, 1, out old);
  array.add_double ({ 1 }, 1);
  assert (old == 4 && array[1] == 6);
}

// The views have lengths of their own, and write into the memory.
void test_views () throws Error {
  var doubles = new Shm.Array (Shm.Dtype.F8, { 2, 3 });
  unowned double[:size_t] view = doubles.as_doubles ();

  assert (view.length == 6);
  view[4] = 2.5;
  assert (doubles.get_double ({ 1, 1 }) == 2.5);
  foreach (unowned double item in view)
    assert (item == 0 || item == 2.5);

  unowned double[,] matrix = doubles.as_double_matrix ();
  assert (matrix.length[0] == 2 && matrix.length[1] == 3);
  assert (matrix[1, 1] == 2.5);
  matrix[0, 2] = 7;
  assert (view[2] == 7);

  unowned double[:size_t] row = doubles.index (0, 1).as_doubles ();
  assert (row.length == 3 && row[1] == 2.5);

  new Shm.Array (Shm.Dtype.I1, { 1 }).as_int8s ()[0] = int8.MIN;
  new Shm.Array (Shm.Dtype.F8, { 0 }).as_doubles ();
}

void test_view_types () throws Error {
  var i1 = new Shm.Array (Shm.Dtype.I1, { 3 });
  var i2 = new Shm.Array (Shm.Dtype.I2, { 3 });
  var i4 = new Shm.Array (Shm.Dtype.I4, { 3 });
  var i8 = new Shm.Array (Shm.Dtype.I8, { 3 });
  var u1 = new Shm.Array (Shm.Dtype.U1, { 3 });
  var u2 = new Shm.Array (Shm.Dtype.U2, { 3 });
  var u4 = new Shm.Array (Shm.Dtype.U4, { 3 });
  var u8 = new Shm.Array (Shm.Dtype.U8, { 3 });
  var f4 = new Shm.Array (Shm.Dtype.F4, { 3 });

  i1.as_int8s ()[2] = int8.MIN;
  i2.as_int16s ()[2] = int16.MIN;
  i4.as_int32s ()[2] = int32.MIN;
  i8.as_int64s ()[2] = int64.MIN;
  u1.as_uint8s ()[2] = uint8.MAX;
  u2.as_uint16s ()[2] = uint16.MAX;
  u4.as_uint32s ()[2] = uint32.MAX;
  u8.as_uint64s ()[2] = uint64.MAX;
  f4.as_floats ()[2] = 0.5f;
  assert (i1.get_int64 ({ 2 }) == int8.MIN && i2.get_int64 ({ 2 }) == int16.MIN);
  assert (i4.get_int64 ({ 2 }) == int32.MIN && i8.get_int64 ({ 2 }) == int64.MIN);
  assert (u1.get_int64 ({ 2 }) == uint8.MAX && u2.get_int64 ({ 2 }) == uint16.MAX);
  assert (u4.get_int64 ({ 2 }) == uint32.MAX && f4[2] == 0.5);
  assert ((uint64) u8.get_value ({ 2 }) == uint64.MAX);
  assert (i4.get_int64 ({ 1 }) == 0 && f4[1] == 0);
}

void test_refused_views () throws Error {
  var array = new Shm.Array (Shm.Dtype.F8, { 4, 4 });

  assert (catch_error (() => array.as_floats ()) is Shm.Error.INVALID_ARGUMENT);
  assert (catch_error (() => array.as_int64s ()) is Shm.Error.INVALID_ARGUMENT);
  assert (catch_error (() => array.transpose (null).as_doubles ()) is Shm.Error);
  assert (catch_error (() => array.slice (1, 0, 2).as_double_matrix ()) is Shm.Error);
  assert (catch_error (() => array.ravel ().as_double_matrix ()) is Shm.Error.INVALID_ARGUMENT);
  array.close ();
  assert (catch_error (() => array.as_doubles ()) is Shm.Error.WRONG_STATE);
}

void test_iter () throws Error {
  var array = new Shm.Array (Shm.Dtype.F8, { 6, 6 });
  unowned double[:size_t] items = array.as_doubles ();
  for (size_t i = 0; i < items.length; i++)
    items[i] = i;

  // every other column, the last first
  var iter = Shm.ArrayIter (array.slice (1, 5, -7, -2));
  var n_runs = 0;
  var sum = 0.0;
  while (iter.next ()) {
    n_runs++;
    assert (iter.n_items == 3 && iter.stride == -16);
    for (size_t i = 0; i < iter.n_items; i++)
      sum += *(double*) ((uint8*) iter.data + (ssize_t) i * iter.stride);
  }
  assert (n_runs == 6 && sum == 324);
}

void test_numerics () throws Error {
  var pool = new_pool ();
  var array = new Shm.Array (Shm.Dtype.F8, { 5000 });
  var roots = new Shm.Array.like (array);
  uint64 index;

  pool.for_range (0, 5000, null, (pool, begin, end) => {
    unowned double[:size_t] items = array.as_doubles ();
    for (var i = (size_t) begin; i < end; i++)
      items[i] = (double) ((i * 7) % 5000);
    return true;
  });
  assert (pool.sum (array) == 12497500);
  assert ((double) pool.max (array, null, out index) == 4999 && array[(size_t) index] == 4999);
  assert ((double) pool.min (array) == 0);
  pool.sort (array);
  assert (array[17] == 17);
  pool.map_double (array, roots, null, (pool, input, output, begin) => {
    for (size_t i = 0; i < input.length; i++)
      output[i] = input[i] / 2;
    return true;
  });
  assert (roots[4999] == 2499.5);
}

int main (string[] args) {
  Test.init (ref args);
  TestUtil.start_glib_thread ();
  TestUtil.add ("/vala/array/made", () => run (test_made));
  TestUtil.add ("/vala/array/items", () => run (test_items));
  TestUtil.add ("/vala/array/views", () => run (test_views));
  TestUtil.add ("/vala/array/view-types", () => run (test_view_types));
  TestUtil.add ("/vala/array/refused-views", () => run (test_refused_views));
  TestUtil.add ("/vala/array/iter", () => run (test_iter));
  TestUtil.add ("/vala/array/numerics", () => run (test_numerics));
  return Test.run ();
}
