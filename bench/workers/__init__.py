"""What runs in a process of its own on Debian's python3: measurements without Postfix.

Who calls: instrumenting and hostile, by `bench.floor`.  Each worker reads its orders from its
arguments and prints one JSON object of values.
"""
