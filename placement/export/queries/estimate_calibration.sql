-- Did machines wait as long as they had been promised, route by route?
--
-- source, target       whose bytes, and where the machine started
-- samples              starts that told what was promised and what they waited
-- below_p50, below_p90 those that waited no longer than the promised p50, and p90
-- within_p50           the first as a share: near 0.5 where promises hold
-- within_p90           the second: near 0.9
-- median_error_seconds median of what was waited less what was promised (p50)
-- Starts from a host's own cache tell nothing of a route; known-bad intervals are left
-- out. Late starts count: a wait is as true a day later.
SELECT
  coalesce(source_region, region) AS source,
  region AS target,
  count(*) AS samples,
  count(*) FILTER (WHERE image_wait_ns <= expected_wait_p50_ns) AS below_p50,
  count(*) FILTER (WHERE image_wait_ns <= expected_wait_p90_ns) AS below_p90,
  below_p50 / samples AS within_p50,
  below_p90 / samples AS within_p90,
  median(image_wait_ns - expected_wait_p50_ns) / 1e9 AS median_error_seconds
FROM usable_starts
WHERE image_wait_ns IS NOT NULL
  AND expected_wait_p50_ns IS NOT NULL
  AND expected_wait_p90_ns IS NOT NULL
  AND cache IS DISTINCT FROM 'host'
GROUP BY source, target
ORDER BY samples DESC, source, target
