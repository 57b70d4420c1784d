"""Checks the expectations themselves: expected.sql over the real files gives the facts that were published with the data.

golden.py YEAR_FOLDER — prints one line per fact, fails on the first that differs.
"""

import pathlib
import sys

import sources

folder = pathlib.Path(sys.argv[1])
files = {name: folder / f"{name}.csv" for name in sources.TYPES} | {"flights": folder / "flights.csv.zip"}

YEAR = {
    "SELECT count(*) FROM flights": 336_776,
    "SELECT count(*) FROM flights WHERE dep_time IS NULL": 8_255,
    "SELECT count(*) FROM flights WHERE tailnum IS NULL": 2_512,
    "SELECT count(*) FROM flights WHERE tailnum NOT IN (SELECT tailnum FROM planes)": 50_094,
    "SELECT sum(dep_delay) FROM departures WHERE carrier = 'UA'": 701_898,
    "SELECT sum(dep_delay) FROM departures WHERE carrier = 'EV'": 1_024_829,
    "SELECT count(*) FROM departures": 328_521,
    "SELECT count(*) FROM flights_enriched": 328_521,
    "SELECT count(*) FROM departures SEMI JOIN hourly USING (origin, time_hour)": 326_993,
    "SELECT count(*) FROM flights WHERE dest NOT IN (SELECT faa FROM airports)": 7_602,
    "SELECT count(*) FROM departures WHERE arr_delay IS NULL": 1_175,
    "SELECT count(*) FROM delays": 116_904,
    "SELECT count(*) FROM delays WHERE mean_dep_delay IS NULL": 1_699,
    "SELECT count(*) FROM turnarounds": 2_046,
    "SELECT count(*) FROM alerts": 27_789,
}
JANUARY = {
    "SELECT count(*) FROM flights": 27_004,
    "SELECT count(*) FROM flights SEMI JOIN hourly USING (origin, time_hour)": 26_952,
    "SELECT count(*) FROM delays": 9_554,
    "SELECT count(*) FROM delays WHERE share_late IS NULL": 94,
    "SELECT count(*) FROM turnarounds": 178,
}

for name, month, facts in (("year", None, YEAR), ("January", 1, JANUARY)):
    db = sources.load(files, month)
    sources.expect(db)
    for question, wanted in facts.items():
        (found,) = db.execute(question).fetchone()
        print(f"{name}: {found} = {wanted}: {question}")
        if found != wanted:
            raise SystemExit(f"{name}: {question} gives {found}, published is {wanted}")
