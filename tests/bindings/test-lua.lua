-- SPDX-FileCopyrightText: The shmem-glib authors
-- SPDX-License-Identifier: LGPL-2.1-or-later

-- The introspected library as it is, from Lua.

local lgi = require 'lgi'
local GLib = lgi.GLib
local Shm = lgi.require ('Shm', '1.0')

local pool = Shm.MapReduce { n_workers = 2 }
local n_tests, n_failed = 0, 0

local function test (name, func)
  local ok, message = pcall (func)
  n_tests = n_tests + 1
  print ((ok and 'ok ' or 'not ok ') .. n_tests .. ' ' .. name)
  if not ok then
    n_failed = n_failed + 1
    print ('# ' .. tostring (message))
  end
end

test ('a map with a closure', function ()
  local words = { 'one', 'two', 'three' }
  local results = assert (pool:map (3, nil, function (pool, index)
    words[1] = 'a copy of the worker'
    return GLib.Variant ('s', words[3 - index] .. '!')
  end))
  assert (results[1].value == 'three!' and results[2].value == 'two!')
  assert (#results == 3 and words[1] == 'one')
end)

test ('a loop over a shared array', function ()
  local array = assert (Shm.Array.new ('F8', { 100 }))
  assert (pool:for_range (0, 100, nil, function (pool, first, last)
    for i = first, last - 1 do
      array:set_double ({ i }, i * i)
    end
    return true
  end))
  assert (array:get_double ({ 99 }) == 9801)
end)

test ('a job with a reduce function', function ()
  local job = Shm.Job.new (pool, 50)
  local sum = 0
  job:set_map_func (function (pool, index)
    return GLib.Variant ('d', index / 2)
  end)
  job:set_reduce_func (function (pool, index, result)
    sum = sum + result.value
  end)
  assert (job:run ())
  assert (sum == 612.5)
end)

test ('the death of a worker', function ()
  local results, err = pool:map (10, nil, function (pool, index)
    if index == 3 then
      os.exit (4)
    end
  end)
  assert (results == nil and err:matches (Shm.Error, 'WORKER_EXIT'))
end)

print ('1..' .. n_tests)
-- Not all that run this read what it prints.
if n_failed > 0 then
  os.exit (1)
end
