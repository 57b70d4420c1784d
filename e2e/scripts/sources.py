"""The example's CSV files as typed DuckDB tables, and what every port must hold."""

import pathlib
import tempfile
import zipfile

import duckdb

HERE = pathlib.Path(__file__).parent

# Types said here and not guessed from the file, so that a month and the year have the same ones.
TYPES = {
    "flights": dict.fromkeys(
        "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay flight air_time distance hour minute".split(), "BIGINT"
    )
    | dict.fromkeys(["carrier", "tailnum", "origin", "dest"], "VARCHAR")
    | {"time_hour": "TIMESTAMP"},
    "weather": dict.fromkeys(["year", "month", "day", "hour", "wind_dir"], "BIGINT")
    | dict.fromkeys("temp dewp humid wind_speed wind_gust precip pressure visib".split(), "DOUBLE")
    | {"origin": "VARCHAR", "time_hour": "TIMESTAMP"},
    "planes": dict.fromkeys(["year", "engines", "seats", "speed"], "BIGINT")
    | dict.fromkeys(["tailnum", "type", "manufacturer", "model", "engine"], "VARCHAR"),
    "airlines": {"carrier": "VARCHAR", "name": "VARCHAR"},
    "airports": {"faa": "VARCHAR", "name": "VARCHAR", "lat": "DOUBLE", "lon": "DOUBLE", "alt": "BIGINT", "tz": "BIGINT", "dst": "VARCHAR", "tzone": "VARCHAR"},
}


def plain(path, folder):
    """The CSV file itself, taken out of its archive if it is in one."""
    path = pathlib.Path(path)
    if path.suffix != ".zip":
        return path
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return pathlib.Path(archive.extract(member, folder))


def load(files, month=None):
    """A DuckDB connection with raw_<name> tables; `files` maps flights, weather, planes, airlines, airports to paths."""
    # The year as JSON wants more than a small machine has; beyond the limit DuckDB goes to disk.
    db = duckdb.connect(config={"memory_limit": "4GB", "threads": 2})
    db.execute("SET TimeZone = 'UTC'")
    with tempfile.TemporaryDirectory() as folder:
        for name, types in TYPES.items():
            db.execute(f"CREATE TABLE text_{name} AS SELECT * FROM read_csv(?, header = true, all_varchar = true)", [str(plain(files[name], folder))])
            order = [column for column, *_ in db.execute(f"DESCRIBE text_{name}").fetchall()]
            columns = ", ".join(cast(column, types[column]) for column in order)
            only = f"WHERE month = '{month}'" if month and "month" in types else ""
            db.execute(f"CREATE TABLE raw_{name} AS SELECT {columns} FROM text_{name} {only}")
            db.execute(f"DROP TABLE text_{name}")
    return db


def cast(column, kind):
    value = f"nullif(\"{column}\", 'NA')"
    if kind == "TIMESTAMP":
        return f"strptime({value}, '%Y-%m-%dT%H:%M:%SZ') AS \"{column}\""
    return f'CAST({value} AS {kind}) AS "{column}"'


# The stateful products, with the input whose rows can be late for them.
STATEFUL = {"delays": "flights", "turnarounds": "flights", "flights_enriched": "departures"}


def expect(db, late=None):
    """Creates one table per port. `late` names a table of (carrier, flight, origin, scheduled_at) per stateful product."""
    files_only, with_late = (HERE / "expected.sql").read_text().split("-- split here")
    db.execute(files_only)
    for product, reads in STATEFUL.items():
        without = f"ANTI JOIN {late[product]} USING (carrier, flight, origin, scheduled_at)" if late else ""
        db.execute(f"CREATE VIEW {reads}_in_{product} AS SELECT * FROM {reads} {without}")
    db.execute("--" + with_late)
