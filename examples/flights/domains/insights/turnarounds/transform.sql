-- The same plane, scheduled again after the first flight and at most three hours later. The bounds on time tell Weft how
-- long a flight must be kept; a join of two streams without them is refused.
INSERT INTO turnarounds
SELECT
  a.tailnum,
  a.carrier AS first_carrier, a.flight AS first_flight, a.origin AS first_origin, a.dest AS first_dest,
  a.scheduled_at AS first_scheduled_at,
  b.carrier AS second_carrier, b.flight AS second_flight, b.origin AS second_origin, b.dest AS second_dest,
  b.scheduled_at AS second_scheduled_at
FROM flights AS a
JOIN flights AS b
  ON b.tailnum = a.tailnum
  AND b.scheduled_at > a.scheduled_at
  AND b.scheduled_at <= a.scheduled_at + INTERVAL '3' HOUR
EMIT CHANGES;
