"""One model from the rows of two clinics."""

import mc2

job = mc2.Job("Who has diabetes?")
rows = mc2.xgboost.DMatrix(
    job.table("clinic_a.visits"),
    job.table("clinic_b.visits"),
    label="diabetic",
    features=["glucose", "bmi", "age", "smoker", "site"],
    enable_categorical=True,
)
model = mc2.xgboost.train(
    {"objective": "binary:logistic", "eta": 0.1, "max_depth": 4, "seed": 7},
    rows,
    num_boost_round=50,
)
job.release("model", model, to=["clinic_a", "clinic_b"])
