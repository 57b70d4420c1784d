-- Hours of scheduled departure, [window_start, window_end). Without a grace a window closes as soon as the watermark
-- reaches its end; a flight that comes after that goes to the port `late` and changes nothing.

-- Every change, as it comes.
INSERT INTO current
SELECT
  window_start, window_end, origin, carrier,
  COUNT(*) AS flights,
  COUNT(*) - COUNT(dep_time) AS cancelled,
  AVG(dep_delay) AS mean_dep_delay,
  MAX(dep_delay) AS max_dep_delay,
  CAST(COUNT(CASE WHEN dep_delay > 15 THEN 1 END) AS DOUBLE) / NULLIF(COUNT(dep_time), 0) AS share_late
FROM TUMBLE(TABLE flights, DESCRIPTOR(scheduled_at), INTERVAL '1' HOUR)
GROUP BY window_start, window_end, origin, carrier
EMIT CHANGES;

-- The same rows once, when their hour is over. Both statements share one state.
INSERT INTO final
SELECT
  window_start, window_end, origin, carrier,
  COUNT(*) AS flights,
  COUNT(*) - COUNT(dep_time) AS cancelled,
  AVG(dep_delay) AS mean_dep_delay,
  MAX(dep_delay) AS max_dep_delay,
  CAST(COUNT(CASE WHEN dep_delay > 15 THEN 1 END) AS DOUBLE) / NULLIF(COUNT(dep_time), 0) AS share_late
FROM TUMBLE(TABLE flights, DESCRIPTOR(scheduled_at), INTERVAL '1' HOUR)
GROUP BY window_start, window_end, origin, carrier
EMIT FINAL;
