"""OpenClick: what its two daemons and its command stand on.

The milter (`openclick_milter`) instruments outgoing mail, the sidecar (`openclick_sidecar`) serves
the tracking domain and delivers events, the command (`openclick_admin`) is the admin's.  This
package holds what they share: settings, policy, tokens, events and the store.  It imports neither
Twisted nor Milter, so that a milter process stays small.
"""

__version__ = "0.1.0"
