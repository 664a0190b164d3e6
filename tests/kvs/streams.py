"""What a node sends to who watches: the head of its answer, and events."""

from __future__ import annotations

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
PUT = b'id: 7\nevent: put\ndata: {"key":"k","value":[1, 2],"etag":"\\"a\\"","ttl":1.5}\n\n'
DELETE = b'id: 8\nevent: delete\ndata: {"key":"k","etag":"\\"b\\""}\n\n'
