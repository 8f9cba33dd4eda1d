"""The use cases of files, as the endpoints of the files API call them."""

from __future__ import annotations

from dataclasses import dataclass

from imgproxy.files.auto_registration import AutoRegistration
from imgproxy.files.editing import FileEditor
from imgproxy.files.multipart import MultipartUploads
from imgproxy.files.outbox import OutboxWorker
from imgproxy.files.reading import FileReader
from imgproxy.files.registration import Registrar
from imgproxy.files.streamed_uploads import StreamedUploads
from imgproxy.files.uploads import Uploads


@dataclass(frozen=True, slots=True)
class FilesService:
    """Parts over one database and one storage."""

    uploads: Uploads
    multipart: MultipartUploads
    streams: StreamedUploads
    registrar: Registrar
    auto_registration: AutoRegistration
    reader: FileReader
    editor: FileEditor
    outbox: OutboxWorker
