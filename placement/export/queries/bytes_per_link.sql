-- How much moved between each two regions, and for whom?
--
-- source, target       from which region, into which; source is null where nobody told
-- pulled_bytes         by pulls whose client is in target
-- started_bytes        by starts of machines in target
-- copied_bytes         by copies that were decided, to be there before
-- wasted_bytes         of those copies that nobody used
-- transfers            how many pulls, starts and copies that is
-- What stayed in its region, and what happened in known-bad intervals, is left out.
WITH moved AS (
  SELECT source_region AS source, region AS target, transferred_bytes AS pulled,
    0 AS started, 0 AS copied, 0 AS wasted
  FROM usable_pulls
  WHERE source_region <> region
  UNION ALL
  SELECT source_region, region, 0, transferred_bytes, 0, 0
  FROM usable_starts
  WHERE source_region <> region
  UNION ALL
  SELECT source_region, target_region, 0, 0, moved_bytes,
    if(use = 'unused', moved_bytes, 0)
  FROM usable_outcomes
  WHERE kind = 'copy' AND status = 'completed'
)
SELECT
  source,
  target,
  sum(pulled) AS pulled_bytes,
  sum(started) AS started_bytes,
  sum(copied) AS copied_bytes,
  sum(wasted) AS wasted_bytes,
  count(*) AS transfers
FROM moved
GROUP BY source, target
ORDER BY sum(pulled + started + copied) DESC, source, target
