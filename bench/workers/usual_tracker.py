"""The usual anchor: a tracker as it is mostly written, Flask and SQLite, one commit a hit.

Served by gunicorn (`bench.workers.usual_tracker:app`), one worker of four threads; the file that
hits go to is named by HITS_FILE.  It opens and writes the file for each hit, with SQLite's own
settings, as the tutorials do.  It is spared what a tracker cannot do without: tokens are not
opened, and every click goes to the same page.
"""

from __future__ import annotations

import os
import sqlite3
import time

from flask import Flask, Response, redirect, request

_GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_FILE = os.environ["HITS_FILE"]
_PAGE = "https://shop.kontor.example/products/winter-boots"

app = Flask(__name__)

with sqlite3.connect(_FILE) as _connection:
    _connection.execute(
        "CREATE TABLE IF NOT EXISTS hits (id INTEGER PRIMARY KEY, received_at REAL, kind TEXT, "
        "token TEXT, ip TEXT, user_agent TEXT, language TEXT)"
    )
_connection.close()


@app.route("/o/<token>")
def opened(token: str) -> Response:
    """Record an open and answer the image."""
    _record("open", token)
    return Response(_GIF, mimetype="image/gif")


@app.route("/c/<token>")
def clicked(token: str) -> Response:
    """Record a click and redirect."""
    _record("click", token)
    answer: Response = redirect(_PAGE)
    return answer


def _record(kind: str, token: str) -> None:
    connection = sqlite3.connect(_FILE, timeout=30)
    try:
        connection.execute(
            "INSERT INTO hits (received_at, kind, token, ip, user_agent, language) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                time.time(),
                kind,
                token,
                request.remote_addr,
                request.headers.get("User-Agent"),
                request.headers.get("Accept-Language"),
            ),
        )
        connection.commit()
    finally:
        connection.close()
