"""Models on engines: a plan of jobs, a campaign of launches, verdicts on what came out."""
