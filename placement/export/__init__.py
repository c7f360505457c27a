"""The log and what came of it as Parquet files, and queries over them."""
