-- How many seconds did copies save each organization, measured and modelled?
--
-- organization         whose apps they are
-- treated, withheld    pairs of a version and a region whose copy was decided, or
--                      withheld by lot; those whose start told no wait are left out
-- open                 pairs of both that nobody started yet: they count with 0
-- lift_seconds         what a withheld pair waited more than a treated one, in the mean
-- measured_seconds     that, times the treated pairs; of few pairs it says little:
--                      `placement report` tells the interval
-- modelled_seconds     what starts of used copies were to wait less, when decided
-- moved_bytes          what that cost
-- Known-bad intervals are left out.
SELECT
  organization,
  count(pair_wait_ns) FILTER (WHERE arm = 'treated') AS treated,
  count(pair_wait_ns) FILTER (WHERE arm = 'withheld') AS withheld,
  count(*) FILTER (WHERE pair_open) AS open,
  coalesce(avg(pair_wait_ns) FILTER (WHERE arm = 'withheld'), 0) / 1e9
    - coalesce(avg(pair_wait_ns) FILTER (WHERE arm = 'treated'), 0) / 1e9
    AS lift_seconds,
  lift_seconds * treated AS measured_seconds,
  sum(modelled_saving_ns) FILTER (WHERE NOT observed) / 1e9 AS modelled_seconds,
  coalesce(sum(moved_bytes) FILTER (WHERE status = 'completed'), 0) AS moved_bytes
FROM usable_outcomes
WHERE kind = 'copy' AND counted
GROUP BY organization
ORDER BY modelled_seconds DESC, organization
