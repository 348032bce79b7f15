"""OpenClick's milter: what Postfix talks to.

It instruments the HTML of outgoing submissions.  `callbacks` is the thin edge to Postfix and the
only importer of Milter, `submission` keeps what one transaction has told us, and `instrument` with
`parts`, `links`, `attributes`, `destinations` and `splice` is the pure core: bytes in, decision
out.  Nothing here imports Twisted.
"""
