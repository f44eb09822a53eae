"""The most visited sites, with what a patient there costs."""

import mc2

job = mc2.Job("Cost by site")
cost = job.sql("""
    WITH per_patient AS (
        SELECT site, patient, sum(cost) AS cost FROM clinic_a.visits
        WHERE day BETWEEN '2025-01-01' AND '2025-12-31' GROUP BY site, patient
    )
    SELECT site, count(*) AS patients, avg(cost) AS cost, CASE WHEN count(*) > 100 THEN 'large'
           ELSE 'small' END AS size
    FROM per_patient GROUP BY site HAVING count(*) > 9
    ORDER BY patients DESC LIMIT 5
""")
job.release("cost", cost, to=["clinic_a", "institute"])
