"""What DuckDB, without any extension, says of every text in a JSON list on the input: the class of the error, and its words."""

import json
import sys

import duckdb


def said_of(text):
    alone = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    try:
        duckdb.connect(config=alone).execute(text)
    except duckdb.Error as error:
        return [type(error).__name__, str(error)]
    return ["", ""]


json.dump([said_of(text) for text in json.load(sys.stdin)], sys.stdout)
