"""Breast tumours in two clinics: one report, one model.

Every member reads this file before signing. It is all that the enclaves will run.
"""

import mc2

job = mc2.Job("Breast tumours in two clinics")

# One line for each clinic and diagnosis: nothing about a single patient leaves the enclave.
report = job.sql("""
    SELECT clinic,
           malignant,
           count(*)                        AS patients,
           round(avg(mean_radius), 2)      AS mean_radius,
           round(avg(mean_texture), 2)     AS mean_texture,
           round(max(worst_area), 1)       AS largest_area
    FROM (
        SELECT 'clinic_a' AS clinic, malignant, mean_radius, mean_texture, worst_area
        FROM clinic_a.tumours
        UNION ALL
        SELECT 'clinic_b' AS clinic, malignant, mean_radius, mean_texture, worst_area
        FROM clinic_b.tumours
    ) AS joint
    GROUP BY clinic, malignant
    ORDER BY clinic, malignant
""")

# One model from the rows of both clinics. `patient` identifies people, so it is no feature.
rows = mc2.xgboost.DMatrix(
    job.table("clinic_a.tumours"),
    job.table("clinic_b.tumours"),
    label="malignant",
    exclude=["patient"],
)
model = mc2.xgboost.train(
    {"objective": "binary:logistic", "eval_metric": "logloss", "max_depth": 3, "eta": 0.3},
    rows,
    num_boost_round=30,
)

job.release("report", report, to=["clinic_a", "clinic_b", "institute"])
job.release("model", model, to=["clinic_a", "clinic_b", "institute"])
