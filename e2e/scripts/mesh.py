"""Reads every port of a running example mesh and compares it with DuckDB over the same CSV files.

mesh.py '{"bootstrap": "127.0.0.1:9092", "files": {"flights": …}, "month": 1, "disorder": false, "seconds": 120, "patience": 25, "flights": 336776}'

Waits until nothing more comes, then compares: append ports as multisets of rows, upsert ports as the last value per key;
and for every record its key bytes, its partition, its timestamp, the order of its fields and their JSON types.
Prints one line per port, and where one differs, rows that are missing and rows that are too many. Exit code 1 then.
"""

import json
import sys
import tempfile
import time

import sources
from reader import Topics, partition_of

QUIET_SECONDS = 3


class Port:
    def __init__(self, topic, table, kind, key, time_ms):
        self.topic, self.table, self.kind, self.key, self.time_ms = topic, table, kind, key, time_ms


# Timestamps of tables without an event time are not compared: librdkafka takes 0 for "now" and cannot write it.
FLIGHT = ["origin", "carrier", "flight"]
WINDOW = ["origin", "carrier", "window_start"]
PORTS = [
    Port("flight-ops.flights.flights.v1", "flights", "append", FLIGHT, "epoch_ms(scheduled_at)"),
    Port("flight-ops.planes.planes.v1", "planes", "upsert", ["tailnum"], None),
    Port("flight-ops.airlines.airlines.v1", "airlines", "upsert", ["carrier"], None),
    Port("airports.airports.airports.v1", "airports", "upsert", ["faa"], None),
    Port("weather.observations.hourly.v1", "hourly", "upsert", ["origin", "time_hour"], "epoch_ms(time_hour)"),
    Port("insights.departures.departures.v1", "departures", "append", FLIGHT, "epoch_ms(scheduled_at)"),
    Port("insights.delays.current.v1", "delays", "upsert", WINDOW, "epoch_ms(window_end) - 1"),
    Port("insights.delays.final.v1", "delays", "append", WINDOW, "epoch_ms(window_end) - 1"),
    Port("insights.flights-enriched.flights.v1", "flights_enriched", "append", FLIGHT, "epoch_ms(scheduled_at)"),
    Port("insights.turnarounds.turnarounds.v1", "turnarounds", "append", ["tailnum"], "epoch_ms(second_scheduled_at)"),
    Port("insights.late-arrivals.alerts.v1", "alerts", "append", FLIGHT, "epoch_ms(scheduled_at)"),
]
ERRORS = [f"{product}.errors.v1" for product in sorted({port.topic.rsplit(".", 2)[0] for port in PORTS})]
LATE = {"delays": "insights.delays.late.v1", "turnarounds": "insights.turnarounds.late.v1", "flights_enriched": "insights.flights-enriched.late.v1"}
JSON_TYPES = {"BIGINT": ["BIGINT", "UBIGINT"], "DOUBLE": ["DOUBLE", "BIGINT", "UBIGINT"], "VARCHAR": ["VARCHAR"], "TIMESTAMP": ["VARCHAR"]}
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def columns_of(db, table):
    return [(name, kind) for name, kind, *_ in db.execute(f"DESCRIBE {table}").fetchall()]


def field(at, name, kind):
    text = f"texts[{at}]"
    if kind == "TIMESTAMP":
        return f"strptime({text}, '%Y-%m-%dT%H:%M:%S.%gZ') AS {name}"
    return f"CAST({text} AS {kind}) AS {name}"


def key_text(key, kinds):
    """SQL for the key of a row as text: one column plain, several as a canonical JSON array."""

    def part(name):
        if kinds[name] == "TIMESTAMP":
            return f"""'"' || strftime({name}, '%Y-%m-%dT%H:%M:%S.%gZ') || '"'"""
        return f"CAST(to_json({name}) AS VARCHAR)"

    if len(key) == 1:
        return f"CAST({key[0]} AS VARCHAR)"
    return "'[' || " + " || ',' || ".join(part(name) for name in key) + " || ']'"


def take_apart(db, columns):
    """Table `parts`: the records of `got` with the JSON types and the texts of their fields, in the order of the columns."""
    paths = "[" + ", ".join(f"'$.{name}'" for name, _ in columns) + "]"
    # A JSON function of one field parses the whole record, and keeps what it parsed: so one function for all fields.
    db.execute(
        f"""CREATE OR REPLACE TABLE parts AS SELECT p, o, t, k, json_type(v) AS kind, CASE WHEN json_type(v) = 'OBJECT' THEN json_keys(v) END AS keys,
            json_type(v, {paths}) AS kinds, v ->> {paths} AS texts FROM got"""
    )


def shape_problems(db, columns):
    """Records whose fields, order or JSON types are not those of the contract."""
    names = [name for name, _ in columns]
    order = "[" + ", ".join(f"'{name}'" for name in names) + "]"
    checks = [f"keys <> {order}"]
    for at, (_, kind) in enumerate(columns, start=1):
        allowed = ", ".join(f"'{t}'" for t in [*JSON_TYPES[kind], "NULL"])
        checks.append(f"kinds[{at}] NOT IN ({allowed})")
        if kind == "TIMESTAMP":
            checks.append(f"NOT regexp_full_match(texts[{at}], '{INSTANT}')")
    wrong = f"(kind = 'OBJECT' AND ({' OR '.join(checks)})) OR kind NOT IN ('OBJECT', 'NULL')"
    bad = db.execute(f"SELECT p, o, v FROM got JOIN (SELECT p, o FROM parts WHERE {wrong} LIMIT 3) USING (p, o)").fetchall()
    return [f"shape (fields wanted {names}): {row}" for row in bad]


def compare(db, topics, port):
    topics.table(db, port.topic, "got")
    columns = columns_of(db, port.table)
    take_apart(db, columns)
    problems = shape_problems(db, columns)
    if problems:
        return problems
    kinds = dict(columns)
    fields = ", ".join(field(at, name, kind) for at, (name, kind) in enumerate(columns, start=1))
    last = "QUALIFY row_number() OVER (PARTITION BY k ORDER BY o DESC) = 1" if port.kind == "upsert" else ""
    names = ", ".join(name for name, _ in columns)
    db.execute(f"CREATE OR REPLACE TABLE records AS SELECT p, o, t, k, {fields} FROM parts WHERE kind = 'OBJECT' {last}")
    for difference, a, b in (("missing", port.table, "records"), ("too many", "records", port.table)):
        query = f"SELECT {names} FROM {a} EXCEPT ALL SELECT {names} FROM {b}"
        (count,) = db.execute(f"SELECT count(*) FROM ({query})").fetchone()
        if count:
            examples = db.execute(f"{query} ORDER BY ALL LIMIT 3").fetchall()
            problems.append(f"{count} rows {difference}: " + "; ".join(str(example) for example in examples))
    # Keys went through Latin-1 so that any bytes survive; real keys are ASCII, so their text is the same.
    time_ms = port.time_ms or "t"
    wrong = f"k IS DISTINCT FROM {key_text(port.key, kinds)} OR t IS DISTINCT FROM {time_ms}"
    for row in db.execute(f"SELECT p, o, t, k, {key_text(port.key, kinds)}, {time_ms} FROM records WHERE {wrong} LIMIT 3").fetchall():
        problems.append(f"key or timestamp: {row}")
    partitions = topics.partitions[port.topic]
    for p, k in db.execute("SELECT DISTINCT p, k FROM got").fetchall():
        if k is not None and partition_of(k.encode("latin-1"), partitions) != p:
            problems.append(f"key {k} is in partition {p} of {partitions}")
            break
    return problems


def source_order_problems(db, topics):
    """A source hands out rows in the order of event time, within each partition."""
    topics.table(db, "flight-ops.flights.flights.v1", "got")
    back = db.execute("SELECT count(*) FROM (SELECT t < lag(t) OVER (PARTITION BY p ORDER BY o) AS back FROM got) WHERE back").fetchone()[0]
    return [f"{back} flights come before an earlier one"] if back else []


def late_rows(db, topics):
    """Per stateful product a table of the input rows that its late port holds, from their original bytes."""
    tables = {}
    for product, topic in LATE.items():
        topics.table(db, topic, f"late_records_{product}")
        db.execute(
            f"""CREATE OR REPLACE TABLE late_{product} AS
                WITH raw AS (SELECT CAST(decode(from_base64(v ->> '$.raw')) AS JSON) AS r FROM late_records_{product})
                SELECT r ->> '$.carrier' AS carrier, CAST(r ->> '$.flight' AS BIGINT) AS flight, r ->> '$.origin' AS origin,
                       strptime(r ->> '$.scheduled_at', '%Y-%m-%dT%H:%M:%S.%gZ') AS scheduled_at FROM raw"""
        )
        tables[product] = f"late_{product}"
    return tables


def check(a, topics):
    """Problems per port, with what has been read so far."""
    db = sources.load(a["files"], a.get("month"))
    found = {}
    late = late_rows(db, topics)
    sources.expect(db, late if a.get("disorder") else None)
    for port in PORTS:
        found[port.topic] = compare(db, topics, port)
    if not a.get("disorder"):
        found["order of the source"] = source_order_problems(db, topics)
    for topic in ERRORS:
        if topics.counts[topic]:
            topics.table(db, topic, "got")
            found[topic] = [f"{topics.counts[topic]} errors, such as {db.execute('SELECT v FROM got LIMIT 1').fetchone()[0]}"]
    for product, topic in LATE.items():
        if a.get("disorder"):
            counts = {"late": topics.counts[topic], "distinct": db.execute(f"SELECT count(*) FROM (SELECT DISTINCT * FROM late_{product})").fetchone()[0]}
            (counted,) = db.execute("SELECT sum(flights) FROM delays").fetchone() if product == "delays" else (None,)
            print(f"{topic}: {counts['late']} rows late")
            (rows,) = db.execute("SELECT count(*) FROM flights").fetchone()
            if product == "delays" and counted + counts["late"] != rows:
                found[topic] = [f"{counted} counted and {counts['late']} late, of {rows}"]
            if product == "delays" and counts["late"] == 0:
                found[topic] = ["disorder is on and nothing is late"]
            if counts["distinct"] != counts["late"] and product != "turnarounds":
                found[topic] = [f"{counts['late']} rows late, {counts['distinct']} of them distinct"]
        elif topics.counts[topic]:
            topics.table(db, topic, "got")
            found[topic] = [f"{topics.counts[topic]} rows late that are not late in the data, such as {db.execute('SELECT v FROM got LIMIT 1').fetchone()[0]}"]
    return found


def main():
    a = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="weft-e2e-") as folder:
        topics = Topics(a["bootstrap"], [port.topic for port in PORTS] + ERRORS + list(LATE.values()), folder, a.get("client"), a.get("prefix", ""))
        expected = sources.load(a["files"], a.get("month"))
        sources.expect(expected)
        wanted = {port.topic: expected.execute(f"SELECT count(*) FROM {port.table}").fetchone()[0] for port in PORTS}
        expected.close()
        deadline = time.time() + a.get("seconds", 120)
        patience = a["patience"]
        quiet_since = time.time()
        found = None
        while True:
            if topics.read(0.5):
                quiet_since, found = time.time(), None
            quiet = time.time() - quiet_since
            # With disorder, windows and joins lose the late rows, so those ports end with fewer records.
            short = [port.topic for port in PORTS if port.kind == "append" and topics.counts[port.topic] < wanted[port.topic]]
            done = quiet > (patience if short and not a.get("disorder") else QUIET_SECONDS * (3 if a.get("disorder") else 1))
            if found is None and (done or time.time() > deadline):
                found = check(a, topics)
            if found is not None and (not any(found.values()) or quiet > patience or time.time() > deadline):
                break
        topics.close()
        for name, problems in found.items():
            count = f"{topics.counts[name]} records, {topics.partitions[name]} partitions" if name in topics.counts else ""
            print(f"{'DIFFERS' if problems else 'equal  '} {name}: {count}")
            for problem in problems:
                print(f"    {problem[:1500]}")
        if any(found.values()):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
