#!/bin/sh
# Fails when an object of an ISA library defines a symbol that the linker may share with code for
# other CPUs (weak or unique), or when there is no object to check. DW.ref.* are pointers that
# sanitizer builds need for exceptions: the same data in every object, no code.
# Usage: check_isa_objects.sh OBJECT...
set -eu
[ $# -gt 0 ] || { echo "no ISA object given" >&2; exit 1; }
status=0
for object in "$@"; do
  shared=$(nm -C "$object" | awk '$2 ~ /^[VWvwu]$/ && $3 !~ /^DW\.ref\./')
  if [ -n "$shared" ]; then
    echo "$object defines shared symbols:" >&2
    echo "$shared" >&2
    status=1
  fi
done
echo "checked $# ISA objects"
exit $status
