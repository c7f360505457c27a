-- Which rules' copies paid off, and how likely did their forecasts call that?
--
-- reason               the rule that wanted the copy
-- decided              copies that were decided, not those withheld or put off
-- completed            those that are there; the next five add up to it
-- used, late           there before the first start that they were for, or after it
-- unused               nobody started it, and it is over; undecided: too early to say
-- unjudged             made for no start: repairs and pins
-- hit_rate             used of used, late and unused, 0 to 1
-- forecast             mean probability at which those judged had been decided
-- moved_bytes, wasted_bytes   by complete copies; by the unused ones of them
-- Known-bad intervals are left out.
SELECT
  reason,
  count(*) AS decided,
  count(*) FILTER (WHERE status = 'completed') AS completed,
  count(*) FILTER (WHERE use = 'used') AS used,
  count(*) FILTER (WHERE use = 'late') AS late,
  count(*) FILTER (WHERE use = 'unused') AS unused,
  count(*) FILTER (WHERE use = 'undecided') AS undecided,
  count(*) FILTER (WHERE use = 'unjudged') AS unjudged,
  used / nullif(used + late + unused, 0) AS hit_rate,
  avg(probability) FILTER (WHERE use IN ('used', 'late', 'unused')) AS forecast,
  coalesce(sum(moved_bytes) FILTER (WHERE status = 'completed'), 0) AS moved_bytes,
  coalesce(sum(moved_bytes) FILTER (WHERE use = 'unused'), 0) AS wasted_bytes
FROM usable_outcomes
WHERE kind = 'copy'
  AND status NOT IN ('withheld', 'deferred')
GROUP BY reason
ORDER BY decided DESC, reason
