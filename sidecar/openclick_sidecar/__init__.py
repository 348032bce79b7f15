"""openclick-sidecar: what the internet, the apps and the admin's browser talk to.

    a hit:    listener -> channel -> site -> recorder -> answer
    after it: judging (judge, rules) -> events -> dispatcher (signing, backoff, post) -> webhooks

Stands on `openclick`; imports no Milter.
"""
