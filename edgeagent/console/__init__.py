"""The operator's side of a fleet: registry, enrolment, rollouts, pages. Never imported by the daemon."""
