-- What every port of examples/flights must hold, said in DuckDB over the same CSV files.
-- Written from the definition of the mesh, not from its SQL. The columns' types decide how a record's JSON is read:
-- BIGINT and DOUBLE are JSON numbers, VARCHAR text, TIMESTAMP RFC 3339 in UTC with three decimals.
-- A stateful product reads its input through `<input>_in_<product>`, where mesh.py leaves out the rows that the product
-- put into its late port. Without disorder nothing is late and nothing is left out.

CREATE TABLE flights AS
SELECT year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay, carrier, flight, tailnum,
       origin, dest, air_time, distance, hour, minute, time_hour, time_hour + to_minutes(minute) AS scheduled_at
FROM raw_flights;

CREATE TABLE planes AS SELECT * FROM raw_planes;
CREATE TABLE airlines AS SELECT * FROM raw_airlines;
CREATE TABLE airports AS SELECT * FROM raw_airports;
CREATE TABLE hourly AS SELECT * FROM raw_weather;

CREATE TABLE departures AS
SELECT *, scheduled_at + to_minutes(dep_delay) AS departed_at FROM flights WHERE dep_time IS NOT NULL;

-- split here: above needs the files only, below also the late ports

CREATE TABLE delays AS
SELECT date_trunc('hour', scheduled_at) AS window_start,
       date_trunc('hour', scheduled_at) + INTERVAL 1 HOUR AS window_end,
       origin,
       carrier,
       count(*) AS flights,
       count(*) FILTER (dep_time IS NULL) AS cancelled,
       avg(dep_delay) FILTER (dep_time IS NOT NULL) AS mean_dep_delay,
       max(dep_delay) FILTER (dep_time IS NOT NULL) AS max_dep_delay,
       CASE WHEN count(dep_time) > 0
            THEN CAST(count(*) FILTER (dep_time IS NOT NULL AND dep_delay > 15) AS DOUBLE) / count(dep_time) END AS share_late
FROM flights_in_delays
GROUP BY ALL;

CREATE TABLE alerts AS
SELECT origin, carrier, flight, tailnum, dest, scheduled_at, arr_delay FROM flights WHERE arr_delay > 60;

CREATE TABLE turnarounds AS
SELECT a.tailnum AS tailnum,
       a.carrier AS first_carrier, a.flight AS first_flight, a.origin AS first_origin, a.dest AS first_dest, a.scheduled_at AS first_scheduled_at,
       b.carrier AS second_carrier, b.flight AS second_flight, b.origin AS second_origin, b.dest AS second_dest, b.scheduled_at AS second_scheduled_at
FROM flights_in_turnarounds a JOIN flights_in_turnarounds b USING (tailnum)
WHERE b.scheduled_at > a.scheduled_at AND b.scheduled_at <= a.scheduled_at + INTERVAL 3 HOUR;

CREATE TABLE flights_enriched AS
SELECT d.*,
       l.name AS airline_name,
       p.year AS plane_year, p.type AS plane_type, p.manufacturer AS plane_manufacturer, p.model AS plane_model,
       p.engines AS plane_engines, p.seats AS plane_seats, p.speed AS plane_speed, p.engine AS plane_engine,
       o.name AS origin_name, o.lat AS origin_lat, o.lon AS origin_lon, o.alt AS origin_alt, o.tz AS origin_tz,
       o.dst AS origin_dst, o.tzone AS origin_tzone,
       t.name AS dest_name, t.lat AS dest_lat, t.lon AS dest_lon, t.alt AS dest_alt, t.tz AS dest_tz,
       t.dst AS dest_dst, t.tzone AS dest_tzone,
       w.temp AS weather_temp, w.dewp AS weather_dewp, w.humid AS weather_humid, w.wind_dir AS weather_wind_dir,
       w.wind_speed AS weather_wind_speed, w.wind_gust AS weather_wind_gust, w.precip AS weather_precip,
       w.pressure AS weather_pressure, w.visib AS weather_visib
FROM departures_in_flights_enriched d
LEFT JOIN planes p ON p.tailnum = d.tailnum
LEFT JOIN airlines l ON l.carrier = d.carrier
LEFT JOIN airports o ON o.faa = d.origin
LEFT JOIN airports t ON t.faa = d.dest
LEFT JOIN hourly w ON w.origin = d.origin AND w.time_hour = d.time_hour;
