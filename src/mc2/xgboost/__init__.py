"""XGBoost over joint data: looks like stock xgboost, and runs inside the enclave."""
