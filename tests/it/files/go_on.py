"""One client that runs for a long time: for every line on its input it writes a number, reads it back, and says `ok`.

What goes wrong is said in one line, and the client goes on.
"""

import os
import sys

FOLDER = "lake/homes/alice/results"


def boto3():
    import boto3

    s3 = boto3.client("s3")
    bucket, _, prefix = FOLDER.partition("/")
    place = {"Bucket": bucket, "Key": f"{prefix}/go_on/boto3"}

    def go(number):
        s3.put_object(Body=str(number), **place)
        return int(s3.get_object(**place)["Body"].read())

    return go


def s3fs():
    import s3fs

    fs = s3fs.S3FileSystem()

    def go(number):
        with fs.open(f"{FOLDER}/go_on/s3fs", "w") as file:
            file.write(str(number))
        return int(fs.cat(f"{FOLDER}/go_on/s3fs"))

    return go


def pandas():
    import pandas

    path = f"s3://{FOLDER}/go_on/pandas.parquet"

    def go(number):
        pandas.DataFrame({"number": [number]}).to_parquet(path)
        return pandas.read_parquet(path)["number"][0]

    return go


def polars():
    import polars

    path = f"s3://{FOLDER}/go_on/polars.parquet"

    def go(number):
        polars.DataFrame({"number": [number]}).write_parquet(path)
        return polars.read_parquet(path)["number"][0]

    return go


def polars_delta():
    import polars

    path = f"s3://{FOLDER}/go_on/polars_delta"

    def go(number):
        polars.DataFrame({"number": [number]}).write_delta(path, mode="overwrite")
        return polars.read_delta(path)["number"][0]

    return go


def delta():
    import pyarrow
    from deltalake import DeltaTable, write_deltalake

    path = f"s3://{FOLDER}/go_on/delta"
    write_deltalake(path, pyarrow.table({"number": [0]}))
    table = DeltaTable(path)

    def go(number):
        # Two objects: one that is as old as the process, and one of this moment.
        write_deltalake(path, pyarrow.table({"number": [number]}), mode="overwrite")
        table.update_incremental()
        return table.to_pyarrow_table()["number"][0].as_py()

    return go


def pyarrow():
    from pyarrow.fs import S3FileSystem

    s3 = S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"])

    def go(number):
        with s3.open_output_stream(f"{FOLDER}/go_on/pyarrow") as file:
            file.write(str(number).encode())
        with s3.open_input_stream(f"{FOLDER}/go_on/pyarrow") as file:
            return int(file.read())

    return go


def main(client):
    go = globals()[client]()
    for number, _ in enumerate(sys.stdin):
        try:
            assert go(number) == number
            answer = "ok"
        except Exception as error:
            answer = f"{type(error).__name__}: {error}".replace("\n", " ")
        print(answer, flush=True)


main(sys.argv[1])
