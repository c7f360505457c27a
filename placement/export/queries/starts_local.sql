-- Which share of each app's starts found its image in its region, week by week?
--
-- organization, app    whose starts they are
-- week                 of ISO 8601, by the time of the start, UTC
-- starts, local        how many, and how many of them had their image in the region
-- unknown              those that did not tell from where they had it
-- local_share          local of those that told, 0 to 1; null of none
-- waited_seconds       what all of them waited for their image
-- Late starts, and those in known-bad intervals, are left out.
SELECT
  organization,
  app,
  strftime(time, '%G-W%V') AS week,
  count(*) AS starts,
  count(*) FILTER (WHERE outcome = 'local') AS local,
  count(*) FILTER (WHERE outcome = 'unknown') AS unknown,
  local / nullif(starts - unknown, 0) AS local_share,
  coalesce(sum(image_wait_ns), 0) / 1e9 AS waited_seconds
FROM usable_starts
WHERE NOT late
GROUP BY organization, app, week
ORDER BY week, organization, app
