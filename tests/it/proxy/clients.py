"""boto3 as people use it, against the endpoint of the first argument; credentials come from the environment."""
import io
import json
import sys
import urllib.request
import ssl

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

endpoint, certificate, bucket = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=endpoint, verify=certificate, region_name="us-east-1",
                  config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1}))

# Over TLS the body is sent in chunks with a checksum behind it.
s3.put_object(Bucket=bucket, Key="home/small", Body=b"content", Metadata={"my_key": "value", "my.key": "dots"})
head = s3.head_object(Bucket=bucket, Key="home/small")
assert head["Metadata"] == {"my_key": "value", "my.key": "dots"}, head["Metadata"]

large = bytes(range(256)) * 4096 * 12
settings = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
s3.upload_fileobj(io.BytesIO(large), bucket, "home/large", Config=settings)
back = io.BytesIO()
s3.download_fileobj(bucket, "home/large", back, Config=settings)
assert back.getvalue() == large
assert "-" in s3.head_object(Bucket=bucket, Key="home/large")["ETag"], "it came in parts"
assert s3.get_object(Bucket=bucket, Key="home/large", Range="bytes=256-511")["Body"].read() == bytes(range(256))

s3.copy_object(Bucket=bucket, Key="home/copy", CopySource={"Bucket": bucket, "Key": "home/small"}, MetadataDirective="COPY")
odd = "home/a b/%41+ü#?&=;~*(1).txt"
s3.put_object(Bucket=bucket, Key=odd, Body=b"odd")
assert s3.get_object(Bucket=bucket, Key=odd)["Body"].read() == b"odd"

keys = set()
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="home/", PaginationConfig={"PageSize": 2}):
    keys |= {entry["Key"] for entry in page["Contents"]}
assert keys == {"home/small", "home/large", "home/copy", odd}, keys
assert s3.list_objects(Bucket=bucket, Prefix="home/", Delimiter="/", Marker="home/b")["Contents"], "the older listing"

trust = ssl.create_default_context(cafile=certificate)
link = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "home/linked"}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(link, data=b"linked", method="PUT"), context=trust)
link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "home/linked",
                                                        "ResponseContentDisposition": 'attachment; filename="a b"'})
assert urllib.request.urlopen(link, context=trust).read() == b"linked"

gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in sorted(keys)]})
assert len(gone["Deleted"]) == len(keys) and not gone.get("Errors"), gone
print(json.dumps({"done": sorted(keys)}))
