"""A notebook that runs for a long time. Each line of its input is done and answered by a line.

write s3://BUCKET/KEY    writes the object, lists its folder, and says with which key
near-the-end             from now on its AWS SDK believes that the key is about to end
"""

import datetime
import re
import sys
from urllib.parse import urlsplit

import boto3

session = boto3.Session()
s3 = session.client("s3")
keys = []
s3.meta.events.register(
    "before-send.s3",
    lambda request, **_: keys.append(re.search("Credential=([^/]+)/", str(request.headers["Authorization"]))[1]),
)


def write(url):
    place = urlsplit(url)
    bucket, key = place.netloc, place.path.lstrip("/")
    s3.put_object(Bucket=bucket, Key=key, Body=b"written by a notebook")
    found = s3.list_objects_v2(Bucket=bucket, Prefix=key.rpartition("/")[0] + "/")
    assert key in [entry["Key"] for entry in found["Contents"]], found
    return keys[-1]


def near_the_end():
    credentials = session.get_credentials()
    # Requests are still signed with the time that it is.
    credentials._time_fetcher = lambda: credentials._expiry_time - datetime.timedelta(minutes=5)
    return "done"


for line in sys.stdin:
    match line.split(maxsplit=1):
        case ["write", url]:
            print(write(url.strip()), flush=True)
        case ["near-the-end"]:
            print(near_the_end(), flush=True)
