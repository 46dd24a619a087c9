// SPDX-FileCopyrightText: The shmem-glib authors
// SPDX-License-Identifier: LGPL-2.1-or-later

// The generated bindings as they are.

async void map_async (Shm.MapReduce pool, MainLoop loop) {
	try {
		var results = yield pool.map_async (10, (pool, i) => { return new Variant.uint64 (i); }, null);
		assert (results.length == 10);
		assert (results[9].get_uint64 () == 9);
	} catch (GLib.Error e) {
		error ("%s", e.message);
	}
	loop.quit ();
}

int main () {
	var pool = new Shm.MapReduce ();
	pool.n_workers = 2;
	uint64 offset = 5;

	try {
		var results = pool.map (100, null, (pool, i) => { return new Variant.uint64 (i + offset); });
		assert (results.length == 100);
		assert (results[99].get_uint64 () == 104);

		var array = new Shm.Array (Shm.Dtype.I8, { 100 });
		pool.for_range (0, 100, null, (pool, begin, end) => {
			for (size_t i = (size_t) begin; i < end; i++)
				array.set_int64 ({ i }, (int64) (2 * i));
			return true;
		});
		assert (array.get_int64 ({ 99 }) == 198);
	} catch (GLib.Error e) {
		error ("%s", e.message);
	}

	try {
		pool.map (10, null, (pool, i) => { throw new IOError.NO_SPACE ("no room"); });
		assert_not_reached ();
	} catch (IOError.NO_SPACE e) {
		assert (e.message.has_suffix (": no room"));
	} catch (GLib.Error e) {
		assert_not_reached ();
	}

	var loop = new MainLoop ();
	map_async.begin (pool, loop);
	loop.run ();
	return 0;
}
