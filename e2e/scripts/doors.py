"""Asks a running mesh over HTTP and compares with DuckDB: doors.py '{"http": "127.0.0.1:8080", "files": {…}}'."""

import http.client
import json
import random
import sys
import urllib.parse

import sources
from openapi_spec_validator import validate

a = json.loads(sys.argv[1])
db = sources.load(a["files"])
sources.expect(db)


def ask(method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(a["http"], timeout=60)
    text = None if body is None else json.dumps(body)
    connection.request(method, path, text, {"Content-Type": "application/json", **(headers or {})} if text else headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers.get("Content-Type", ""), content


def get(path, **query):
    status, _, content = ask("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path)
    if status != 200:
        raise SystemExit(f"GET {path} {query}: {status} {content[:500]}")
    return json.loads(content)


def same(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"{what}\n  found  {str(found)[:1500]}\n  wanted {str(wanted)[:1500]}")
    print(f"ok  {what}")


def rows_of(query):
    """DuckDB's rows as JSON would show them."""
    result = db.execute(query)
    names = [column[0] for column in result.description]
    return [dict(zip(names, (shown(value) for value in row))) for row in result.fetchall()]


def shown(value):
    if hasattr(value, "strftime"):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    return value


def pages(path, **query):
    rows, token = [], None
    while True:
        answer = get(path, **query, **({"page": token} if token else {}))
        rows += answer["rows"]
        token = answer.get("next")
        if not token:
            return rows


DELAYS = "/v1/products/insights/delays/ports/current/v1"
keys = rows_of("SELECT origin, carrier, window_start FROM delays ORDER BY ALL")
for key in random.Random(13).sample(keys, 40):
    answer = get(DELAYS, **key)
    wanted = rows_of(
        f"SELECT * FROM delays WHERE origin = '{key['origin']}' AND carrier = '{key['carrier']}' AND window_start = '{key['window_start']}'"
    )
    if answer["rows"] != wanted or "position" not in answer:
        same(f"key {key}", answer["rows"], wanted)
print("ok  40 keys of delays")

wanted = rows_of(
    "SELECT * FROM delays WHERE origin = 'JFK' AND carrier = 'B6' AND window_start >= '2013-01-05 00:00' AND window_start < '2013-01-07 00:00' ORDER BY window_start"
)
found = pages(DELAYS, origin="JFK", carrier="B6", **{"window_start.from": "2013-01-05T00:00:00Z", "window_start.to": "2013-01-07T00:00:00Z", "limit": 7})
same("a range of windows, in pages of 7", sorted(found, key=lambda row: row["window_start"]), wanted)

planes = pages("/v1/products/flight-ops/planes/ports/planes/v1", limit=500)
same("all planes, in pages of 500", sorted(planes, key=lambda row: row["tailnum"]), rows_of("SELECT * FROM planes ORDER BY tailnum"))

wanted = rows_of("SELECT * FROM alerts WHERE scheduled_at >= '2013-01-03 00:00' AND scheduled_at < '2013-01-04 00:00'")
found = pages(
    "/v1/products/insights/late-arrivals/ports/alerts/v1",
    **{"scheduled_at.from": "2013-01-03T00:00:00Z", "scheduled_at.to": "2013-01-04T00:00:00Z", "limit": 50},
)
order = lambda row: (row["scheduled_at"], row["carrier"], row["flight"], row["origin"])
same("a day of alerts", sorted(found, key=order), sorted(wanted, key=order))


def sql(text):
    status, kind, content = ask("POST", "/v1/sql", {"sql": text})
    if status != 200:
        raise SystemExit(f"SQL {text}: {status} {content[:800]}")
    return json.loads(content)["rows"]


same(
    "SQL: departures by carrier",
    sql('SELECT carrier, sum(flights) AS flights, sum(cancelled) AS cancelled FROM "insights"."delays"."current" GROUP BY carrier ORDER BY carrier'),
    rows_of("SELECT carrier, CAST(sum(flights) AS BIGINT) AS flights, CAST(sum(cancelled) AS BIGINT) AS cancelled FROM delays GROUP BY carrier ORDER BY carrier"),
)
same(
    "SQL: a join of two ports, one of them pinned",
    sql(
        'SELECT a.name, count(*) AS alerts FROM "insights"."late-arrivals"."alerts" l JOIN "flight-ops"."airlines"."airlines@1" a ON a.carrier = l.carrier '
        "GROUP BY a.name ORDER BY alerts DESC, a.name LIMIT 5"
    ),
    rows_of("SELECT a.name, count(*) AS alerts FROM alerts l JOIN airlines a USING (carrier) GROUP BY a.name ORDER BY alerts DESC, a.name LIMIT 5"),
)


def refused(what, status, method, path, body=None, headers=None):
    found, kind, content = ask(method, path, body, headers)
    if found not in status or "problem+json" not in kind:
        raise SystemExit(f"{what}: wanted {status} as problem+json, got {found} {kind} {content[:300]}")
    print(f"ok  {what}: {found}")


refused("an unknown product", [404], "GET", "/v1/products/insights/delay/ports/current/v1")
refused("a bad page token", [400], "GET", f"{DELAYS}?origin=EWR&page=nonsense")
refused("an unknown column", [400], "GET", f"{DELAYS}?orign=EWR")
refused("SQL that does not parse", [400], "POST", "/v1/sql", {"sql": "SELEC 1"})
refused("SQL on an internal topic", [400, 404], "POST", "/v1/sql", {"sql": 'SELECT * FROM "__weft"."flights"."desired"'})
refused("SQL that writes", [400], "POST", "/v1/sql", {"sql": "CREATE TABLE t AS SELECT 1"})
flights = '"flight-ops"."flights"."flights"'
refused("SQL that never ends", [422], "POST", "/v1/sql", {"sql": f"SELECT count(*) FROM {flights} a, {flights} b, {flights} c, {flights} d"})
refused("a foreign origin", [403], "POST", "/v1/sql", {"sql": "SELECT 1"}, {"Origin": "http://example.com"})
refused("a foreign host", [421], "GET", "/v1/products/insights/delays/ports/current/v1", None, {"Host": "example.com"})
refused("a form", [415], "POST", "/v1/sql", {"sql": "SELECT 1"}, {"Content-Type": "text/plain"})

validate(get("/openapi.json"))
print("ok  /openapi.json is valid")
for path in ("/healthz", "/readyz", "/metrics"):
    status, _, _ = ask("GET", path)
    same(path, status, 200)

# A push query: the snapshot of one port, its end, and a resume that begins where the first reader stopped.
connection = http.client.HTTPConnection(a["http"], timeout=60)
connection.request("GET", "/v1/products/flight-ops/airlines/ports/airlines/v1/stream", headers={"Accept": "text/event-stream"})
stream = connection.getresponse()
rows, token, event = [], None, None
while event != "live":
    line = stream.readline().decode().rstrip("\r\n")
    name, _, value = line.partition(": ")
    if name == "event":
        event = value
    elif name == "id":
        token = value
    elif name == "data" and event == "row":
        rows.append(json.loads(value))
connection.close()
same("a snapshot by SSE", sorted((row["carrier"] for row in rows)), [row["carrier"] for row in rows_of("SELECT carrier FROM airlines ORDER BY 1")])
same("a resume token", bool(token), True)
