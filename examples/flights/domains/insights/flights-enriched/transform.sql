-- Departures with what other domains know. LEFT JOIN: a departure comes out exactly once, with nulls where nothing is
-- known: one plane in six is not in `planes`, some hours have no weather.
INSERT INTO flights
SELECT
  d.year, d.month, d.day, d.dep_time, d.sched_dep_time, d.dep_delay, d.arr_time, d.sched_arr_time,
  d.arr_delay, d.carrier, d.flight, d.tailnum, d.origin, d.dest, d.air_time, d.distance, d.hour, d.minute,
  d.time_hour, d.scheduled_at, d.departed_at,
  airline.name AS airline_name,
  plane.year AS plane_year, plane.type AS plane_type, plane.manufacturer AS plane_manufacturer,
  plane.model AS plane_model, plane.engines AS plane_engines, plane.seats AS plane_seats,
  plane.speed AS plane_speed, plane.engine AS plane_engine,
  origin_airport.name AS origin_name, origin_airport.lat AS origin_lat, origin_airport.lon AS origin_lon,
  origin_airport.alt AS origin_alt, origin_airport.tz AS origin_tz, origin_airport.dst AS origin_dst,
  origin_airport.tzone AS origin_tzone,
  dest_airport.name AS dest_name, dest_airport.lat AS dest_lat, dest_airport.lon AS dest_lon,
  dest_airport.alt AS dest_alt, dest_airport.tz AS dest_tz, dest_airport.dst AS dest_dst,
  dest_airport.tzone AS dest_tzone,
  w.temp AS weather_temp, w.dewp AS weather_dewp, w.humid AS weather_humid, w.wind_dir AS weather_wind_dir,
  w.wind_speed AS weather_wind_speed, w.wind_gust AS weather_wind_gust, w.precip AS weather_precip,
  w.pressure AS weather_pressure, w.visib AS weather_visib
FROM departures AS d
LEFT JOIN airlines AS airline ON airline.carrier = d.carrier
LEFT JOIN planes AS plane ON plane.tailnum = d.tailnum
LEFT JOIN airports AS origin_airport ON origin_airport.faa = d.origin
LEFT JOIN airports AS dest_airport ON dest_airport.faa = d.dest
LEFT JOIN weather AS w ON w.origin = d.origin AND w.time_hour = d.time_hour
EMIT CHANGES;
