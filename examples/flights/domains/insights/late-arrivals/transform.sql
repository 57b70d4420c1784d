-- `$threshold` comes from `parameters` of product.odps.yaml.
INSERT INTO alerts
SELECT origin, carrier, flight, tailnum, dest, scheduled_at, arr_delay
FROM flights
WHERE arr_delay > $threshold
EMIT CHANGES;
