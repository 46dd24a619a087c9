#!/bin/sh
# SPDX-FileCopyrightText: The shmem-glib authors
# SPDX-License-Identifier: LGPL-2.1-or-later

# Builds a fuzz target, which is wire if none is named, with clang and its sanitizers in FOLDER, and
# runs it:
#
#   tests/fuzz/run.sh FOLDER [message|npy|wire] [OPTION OF LIBFUZZER]...
#
# New inputs that reach something new are kept in FOLDER/found-TARGET; an input that crashes is
# written to the current folder.

set -eu

if [ $# -lt 1 ]
then
  sed -n 's/^# \{0,1\}//; 5,12p' "$0" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
shift
target=wire
case ${1-} in
  message | npy | wire)
    target=$1
    shift
    ;;
esac

if [ ! -f "$folder/meson-private/coredata.dat" ]
then
  CC=clang CXX=clang++ meson setup "$folder" "$here/../.." -Db_sanitize=address,undefined \
    -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link -Dintrospection=disabled -Dvapi=disabled \
    -Dnls=disabled
fi
meson compile -C "$folder" "fuzz-$target-libfuzzer"

mkdir -p "$folder/found-$target"
# Memory that GLib keeps for later would hide what is used after it was freed.
G_SLICE=always-malloc
ASAN_OPTIONS=${ASAN_OPTIONS-detect_leaks=1}
UBSAN_OPTIONS=${UBSAN_OPTIONS-halt_on_error=1:print_stacktrace=1}
export G_SLICE ASAN_OPTIONS UBSAN_OPTIONS
exec "$folder/tests/fuzz/fuzz-$target-libfuzzer" -max_len=2048 -timeout=10 \
  -entropic_scale_per_exec_time=1 "$@" "$folder/found-$target" "$here/corpus-$target"
