"""Totals: one row each, and together."""

import mc2

job = mc2.Job("Totals of two clinics")
totals = job.sql("""
    SELECT 'a' AS clinic, count(*) AS visits, sum(cost) AS cost FROM clinic_a.visits
    UNION ALL
    SELECT 'b', count(*), sum(cost) FROM clinic_b.visits
    ORDER BY clinic
""")
job.release("totals", totals, to=["clinic_a", "clinic_b", "institute"])
