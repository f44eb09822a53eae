"""The Spark backend: moves sealed blocks, opens none."""
