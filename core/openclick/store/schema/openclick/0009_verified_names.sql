-- Which tracking names were ever verified: links were sent with those, so they are kept, and their
-- certificates renewed; a name that was only set and never verified is kept for a week.

ALTER TABLE tracking_names ADD COLUMN verified_at INTEGER;   -- when it first was, or NULL

-- Of the past it is only known which names are verified now and which have pointed here.
UPDATE tracking_names SET verified_at = COALESCE(pointed_here_at, (
    SELECT verified_at FROM domains
    WHERE subdomain <> '' AND subdomain || '.' || domains.name = tracking_names.name
));
