"""What the functional tests, `make demo` and `make bench` stand on: real servers on loopback.

postfix (a private instance), smtp_sink, webhook_receiver, dns_server are the world around
OpenClick; messages and http_client play the app and the reader; processes starts the daemons;
clock serves pure tests. Standard library, dnspython and aiosmtpd only; no Twisted. These import
nothing of OpenClick, so that what is checked and what checks it share no code; installation, which
sets OpenClick itself up, is the one exception.
"""
