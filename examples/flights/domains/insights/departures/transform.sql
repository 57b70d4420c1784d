-- Flights that departed. `flights` is the name of the input port, `departures` that of the output port.
INSERT INTO departures
SELECT
  year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay,
  carrier, flight, tailnum, origin, dest, air_time, distance, hour, minute, time_hour,
  scheduled_at,
  scheduled_at + dep_delay * INTERVAL '1' MINUTE AS departed_at
FROM flights
WHERE dep_time IS NOT NULL
EMIT CHANGES;
