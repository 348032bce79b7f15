"""The `openclick` command: the admin's way into settings, domains, webhooks and events.

Stands on the other three packages; nothing stands on it.  Subcommands live in modules of their own
and are imported only when called, so that `openclick --help` is quick.
"""
