"""Requests of S3 in several threads at once, as many as possible, until the input ends.

Every hundred requests the number of them is said; at the end, what failed. No request is made twice.
"""

import json
import os
import sys
import threading

import boto3
from botocore.config import Config

FOLDER = "homes/alice/results/load"
THREADS = 4

counted = threading.Lock()
requests, failures, ended = 0, [], threading.Event()


def ask(what, call, **arguments):
    global requests
    error = None
    try:
        call(Bucket="lake", **arguments)
    except Exception as raised:
        error = f"{what}: {type(raised).__name__}: {raised}"
    with counted:
        requests += 1
        if error:
            failures.append(error)
        if requests % 100 == 0:
            print(requests, flush=True)


def work(thread):
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    s3 = boto3.session.Session().client("s3", config=config)
    key = f"{FOLDER}/{thread}"
    while not ended.is_set():
        ask("put", s3.put_object, Key=key, Body=os.urandom(100))
        ask("get", s3.get_object, Key=key)
        ask("list", s3.list_objects_v2, Prefix=f"{FOLDER}/")


threads = [threading.Thread(target=work, args=[thread]) for thread in range(THREADS)]
for thread in threads:
    thread.start()
sys.stdin.read()
ended.set()
for thread in threads:
    thread.join()
print(json.dumps({"requests": requests, "failures": failures[:5], "failed": len(failures)}), flush=True)
