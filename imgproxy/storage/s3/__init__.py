"""Objects in a bucket of S3, or of a server that speaks as S3 does.

client     the one door to aiobotocore: calls, tries, faults
multipart  objects in parts
storage    the promises of a storage, kept with both
"""

from __future__ import annotations

from imgproxy.storage.bucket import S3Options
from imgproxy.storage.s3.multipart import S3Multipart
from imgproxy.storage.s3.storage import S3Storage

__all__ = ["S3Multipart", "S3Options", "S3Storage"]
