-- What could better decisions have spared, by the reason why starts missed?
--
-- miss                 the class of the miss; `copies nobody used` for wasted bytes
-- starts, waited       how many starts, and how many of them told what they waited
-- waited_seconds       what those waited for their image
-- beyond_local_seconds how much of that is beyond a start whose image is there
-- regret_bytes         that, at the policy's price of a second; or the bytes wasted
-- The sum of regret_bytes is a report's regret. Late starts, and what happened in
-- known-bad intervals, are left out.
WITH missed AS (
  SELECT
    outcome AS miss,
    count(*) AS starts,
    count(image_wait_ns) AS waited,
    coalesce(sum(image_wait_ns), 0) AS wait_ns
  FROM usable_starts
  WHERE NOT late
  GROUP BY outcome
)
SELECT
  miss,
  starts,
  waited,
  wait_ns / 1e9 AS waited_seconds,
  greatest(0, wait_ns - local_start_ns * waited) / 1e9 AS beyond_local_seconds,
  beyond_local_seconds * kappa_bytes_per_second AS regret_bytes
FROM missed, parameters
UNION ALL
SELECT 'copies nobody used', NULL, NULL, NULL, NULL, sum(moved_bytes)
FROM usable_outcomes
WHERE use = 'unused' AND NOT observed
HAVING count(*) > 0
ORDER BY regret_bytes DESC, miss
