"""Sugar by site, over two clinics."""

import mc2

job = mc2.Job("Sugar by site in two clinics")

both = job.sql("""
    SELECT site, glucose, age FROM clinic_a.visits
    UNION ALL
    SELECT site, glucose, age FROM clinic_b.visits
""")
by_site = job.sql(
    """
    SELECT site, count(*) AS visits, round(avg(glucose), 1) AS glucose
    FROM {both}
    WHERE age >= 18
    GROUP BY site
    HAVING count(*) >= 10
    ORDER BY visits DESC, site
    """,
    both=both,
)

job.release("by_site", by_site, to=["clinic_a", "clinic_b", "institute"])
