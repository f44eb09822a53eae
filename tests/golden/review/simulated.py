# tier: simulated
"""Nothing protects this one."""

import mc2

job = mc2.Job("A demonstration")
job.release("n", job.sql("SELECT count(*) AS n FROM clinic_a.visits"), to=["institute"])
