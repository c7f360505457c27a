-- What does each app start, wait for, pull from afar, and get decided for it?
--
-- organization, app    whose it is
-- starts, missed       starts, and those whose image was not in their region
-- waited_seconds       what all of them waited for their image
-- foretold             misses for which a copy had been decided or withheld before
-- main_rule            the rule behind most of those decisions
-- pulls, far_bytes     uses by pulls, and what they moved between regions
-- copies, paid_off     copies that were decided, and that paid off
-- Starts, pulls, decisions and outcomes are joined; late ones and known-bad intervals
-- are left out.
WITH told AS (
  SELECT replication_id, any_value(reason ORDER BY sequence DESC) AS reason
  FROM decisions
  WHERE accepted
  GROUP BY replication_id
),
started AS (
  SELECT
    organization,
    app,
    count(*) AS starts,
    count(*) FILTER (WHERE outcome NOT IN ('local', 'unknown')) AS missed,
    coalesce(sum(image_wait_ns), 0) / 1e9 AS waited_seconds,
    count(told.replication_id) AS foretold,
    mode(told.reason) AS main_rule
  FROM usable_starts
  LEFT JOIN told USING (replication_id)
  WHERE NOT late
  GROUP BY organization, app
),
pulled AS (
  SELECT
    organization,
    app,
    count(*) FILTER (WHERE demand) AS pulls,
    coalesce(
      sum(transferred_bytes) FILTER (WHERE demand AND source_region <> region), 0
    ) AS far_bytes
  FROM usable_pulls
  GROUP BY organization, app
),
decided AS (
  SELECT
    organization,
    app,
    count(*) AS copies,
    count(*) FILTER (WHERE payoff = 'paid_off') AS paid_off
  FROM usable_outcomes
  WHERE kind = 'copy' AND status NOT IN ('withheld', 'deferred')
  GROUP BY organization, app
)
SELECT
  organization,
  app,
  coalesce(starts, 0) AS starts,
  coalesce(missed, 0) AS missed,
  coalesce(waited_seconds, 0) AS waited_seconds,
  coalesce(foretold, 0) AS foretold,
  main_rule,
  coalesce(pulls, 0) AS pulls,
  coalesce(far_bytes, 0) AS far_bytes,
  coalesce(copies, 0) AS copies,
  coalesce(paid_off, 0) AS paid_off
FROM started
FULL JOIN pulled USING (organization, app)
FULL JOIN decided USING (organization, app)
ORDER BY starts DESC, organization, app
