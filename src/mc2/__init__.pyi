from mc2 import clusters as clusters
from mc2 import errors as errors
from mc2 import linear as linear
from mc2 import xgboost as xgboost
from mc2.client.party import Party as Party
from mc2.planner.job import Job as Job
from mc2.planner.python_sources import script_function
from mc2.planner.tables import Table as Table

udf = script_function

__version__: str
__all__ = ["Job", "Party", "Table", "__version__", "clusters", "errors", "linear", "udf", "xgboost"]
