"""An OAuth 2 token endpoint for client credentials: token_endpoint.py CLIENT SECRET SUBJECT. Says its port; its tokens are unsigned.

A broker with Kafka's unsecured validator takes them: the flow is what is tried here, not the signature.
"""

import base64
import http.server
import json
import sys
import time

client, secret, subject = sys.argv[1:]
wanted = "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


def part(fields):
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") != wanted:
            return self.answer(401, {"error": "invalid_client"})
        now = int(time.time())
        token = f"{part({'alg': 'none'})}.{part({'sub': subject, 'iat': now, 'exp': now + 3600})}."
        self.answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    def answer(self, status, fields):
        body = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Endpoint)
print(server.server_port, flush=True)
server.serve_forever()
