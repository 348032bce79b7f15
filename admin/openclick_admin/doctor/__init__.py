"""`openclick doctor`: is everything as it should be, and if not, what is to be done?

    facts       what a look at this machine can find, as plain data
    gather*     looks: the only modules here that open a file, a socket or a process
    judge*      pure: facts in, findings out
    checks      the one registry of checks, in the order in which they are printed
    command     gathers, judges, prints

A new check is a function in a judge module, a line in `checks`, a test of its planted fault.
"""
