INSERT INTO large
SELECT order_id, customer, amount, ordered_at
FROM orders
WHERE amount > 100
EMIT CHANGES;

INSERT INTO hourly
SELECT customer, window_start, window_end, COUNT(*) AS orders, SUM(amount) AS revenue
FROM TUMBLE(TABLE orders, DESCRIPTOR(ordered_at), INTERVAL '1' HOUR)
GROUP BY customer, window_start, window_end
EMIT CHANGES;
