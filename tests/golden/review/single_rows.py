"""The raw visits of a clinic leave for the institute: the review must shout."""

import mc2

job = mc2.Job("All adults")
adults = job.sql("SELECT patient, day, glucose * 18 AS mg FROM clinic_a.visits WHERE age >= 18")
job.release("adults", adults, to=["institute"])
