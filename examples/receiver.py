"""Takes alerts as webhooks, checks their signatures, and prints each once.

    WIREWATCH_WEBHOOK_SECRET=whsec_... python receiver.py

Needs `pip install standardwebhooks`; nothing of wirewatch.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

WEBHOOK = Webhook(os.environ["WIREWATCH_WEBHOOK_SECRET"])
SEEN: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    """One post, one alert."""

    def do_POST(self) -> None:
        """Check, print, and say that it was taken: anything but 2xx is sent again."""
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            WEBHOOK.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_error(401)
            return
        name = self.headers["webhook-id"]
        if name not in SEEN:  # after a crash an alert may come twice, with the same id
            SEEN.add(name)
            alert = json.loads(body)["data"]
            print(alert["rule"]["severity"], alert["rule"]["title"], "-", alert["headline"]["headline"]["headline"])
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", 8765), Handler).serve_forever()
