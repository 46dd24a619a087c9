// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

// What no annotation can say. A method with a body becomes a static function of the program that
// calls it, hence the names that begin with vala_. vapigen writes bodies anew, and not all of them
// well: no contracts, no call that throws inside of an expression, no && and ||.

[CCode (cheader_filename = "shmem-glib/shmem-glib.h")]
namespace Shm {
  public sealed class Array : GLib.Object {
    public unowned size_t[:size_t] shape {
      [CCode (array_length_type = "gsize")] get;
    }
    public unowned ssize_t[:size_t] strides {
      [CCode (array_length_type = "gsize")] get;
    }
    // With get() it makes foreach work.
    public size_t size {
      [CCode (cname = "shm_array_get_n_elements")] get;
    }

    public void* get_data ();

    // These two are array[i], for arrays of one dimension.
    [CCode (cname = "vala_shm_array_get")]
    public new double get (size_t index) throws GLib.Error {
      size_t indices[1] = { index };
      double value = this.get_double (indices);
      return value;
    }
    [CCode (cname = "vala_shm_array_set")]
    public new void set (size_t index, double value) throws GLib.Error {
      size_t indices[1] = { index };
      this.set_double (indices, value);
    }

    // Asking for the bytes is what fails for closed arrays, and for those with gaps.
    [CCode (cname = "vala_shm_array_get_items")]
    public void* get_items (Shm.Dtype dtype) throws GLib.Error {
      if (this.get_dtype () != dtype)
        throw new Shm.Error.INVALID_ARGUMENT ("The items are of type %s, not %s",
                                              this.get_dtype ().to_string (),
                                              dtype.to_string ());
      this.get_bytes ();
      return this.get_data ();
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_int8s")]
    public unowned int8[:size_t] as_int8s () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.I1);
      unowned int8[:size_t] items = (int8[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_int16s")]
    public unowned int16[:size_t] as_int16s () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.I2);
      unowned int16[:size_t] items = (int16[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_int32s")]
    public unowned int32[:size_t] as_int32s () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.I4);
      unowned int32[:size_t] items = (int32[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_int64s")]
    public unowned int64[:size_t] as_int64s () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.I8);
      unowned int64[:size_t] items = (int64[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_uint8s")]
    public unowned uint8[:size_t] as_uint8s () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.U1);
      unowned uint8[:size_t] items = (uint8[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_uint16s")]
    public unowned uint16[:size_t] as_uint16s () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.U2);
      unowned uint16[:size_t] items = (uint16[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_uint32s")]
    public unowned uint32[:size_t] as_uint32s () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.U4);
      unowned uint32[:size_t] items = (uint32[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_uint64s")]
    public unowned uint64[:size_t] as_uint64s () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.U8);
      unowned uint64[:size_t] items = (uint64[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_floats")]
    public unowned float[:size_t] as_floats () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.F4);
      unowned float[:size_t] items = (float[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (array_length_type = "gsize", cname = "vala_shm_array_as_doubles")]
    public unowned double[:size_t] as_doubles () throws GLib.Error {
      void* data = this.get_items (Shm.Dtype.F8);
      unowned double[:size_t] items = (double[:size_t]) data;
      items.length = this.get_n_elements ();
      return items;
    }
    [CCode (cname = "vala_shm_array_as_double_matrix")]
    public unowned double[,] as_double_matrix () throws GLib.Error {
      unowned size_t[] lengths = this.get_shape ();
      if (lengths.length != 2)
        throw new Shm.Error.INVALID_ARGUMENT ("An array of %zu dimensions is not a matrix",
                                              this.get_n_dims ());
      if (lengths[0] > int.MAX)
        throw new Shm.Error.INVALID_ARGUMENT ("The matrix has too many rows");
      if (lengths[1] > int.MAX)
        throw new Shm.Error.INVALID_ARGUMENT ("The matrix has too many columns");
      void* data = this.get_items (Shm.Dtype.F8);
      unowned double[,] items = (double[,]) data;
      items.length[0] = (int) lengths[0];
      items.length[1] = (int) lengths[1];
      return items;
    }
  }

  [CCode (destroy_function = "", has_copy_function = false, has_type_id = false)]
  public struct ArrayIter {
    public void* data;
    public ssize_t stride;
    public size_t n_items;
    public ArrayIter (Shm.Array array);
    public void set_range (size_t begin, size_t end);
    public bool next ();
  }

  public sealed class MapReduce : GLib.Object {
    [CCode (simple_generics = true)]
    public unowned T get_state<T> ();
    public bool map_double (Shm.Array input, Shm.Array output, GLib.Cancellable? cancellable,
                            Shm.DoublesFunc func) throws GLib.Error;

    [CCode (cname = "vala_shm_map_reduce_critical")]
    public void critical (Shm.SectionFunc func) throws GLib.Error {
      this.critical_enter ();
      try {
        func ();
      } finally {
        this.critical_leave ();
      }
    }
    [CCode (cname = "vala_shm_map_reduce_ordered")]
    public void ordered (Shm.SectionFunc func) throws GLib.Error {
      this.ordered_enter ();
      try {
        func ();
      } finally {
        this.ordered_leave ();
      }
    }
  }

  public sealed class Job : GLib.Object {
    [CCode (simple_generics = true)]
    public void set_set_up_func<T> (owned Shm.SetUpFunc<T> func);
    [CCode (simple_generics = true)]
    public void set_tear_down_func<T> (owned Shm.TearDownFunc<T> func);
  }

  [CCode (has_typedef = false)]
  public delegate void SectionFunc () throws GLib.Error;
  // Both arrays have the same length, which is there once.
  [CCode (instance_pos = 4.9)]
  public delegate bool DoublesFunc (
    Shm.MapReduce pool,
    [CCode (array_length_cname = "n_items", array_length_pos = 4.1, array_length_type = "gsize",
            type = "const gdouble*")]
    double[] input,
    [CCode (array_length = false)]
    double[] output,
    uint64 begin) throws GLib.Error;
  [CCode (instance_pos = 2.9, simple_generics = true)]
  public delegate T? SetUpFunc<T> (Shm.MapReduce pool, uint rank) throws GLib.Error;
  [CCode (instance_pos = 3.9, simple_generics = true)]
  public delegate GLib.Variant? TearDownFunc<T> (Shm.MapReduce pool, uint rank,
                                                 owned T? state) throws GLib.Error;

  [Compact]
  public class Failure {
    private Failure ();
    public uint64 index { get; }
    public int rank { get; }
    public int pid { get; }
    public Shm.FailureKind kind { get; }
    public int status { get; }
    public unowned GLib.Error error { get; }
    public unowned string? traceback { get; }
    public unowned GLib.Variant? payload { get; }
    public int64 cpu_time { get; }
    public uint64 peak_memory { get; }
  }

  [Compact]
  public class Statistics {
    private Statistics ();
    public int rank { get; }
    public uint n_lives { get; }
    public uint64 n_items { get; }
    public int64 elapsed_time { get; }
    public int64 busy_time { get; }
    public int64 cpu_time { get; }
    public int64 critical_time { get; }
    public int64 ordered_time { get; }
    public int64 barrier_time { get; }
    public int64 input_time { get; }
    public int64 output_time { get; }
    public uint64 peak_memory { get; }
  }
}
