"""Files of a server in a store elsewhere, such as S3, by fsspec."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from handheld.errors import FileError, InputError, ServiceError


def open_store(url: str, subject: str) -> tuple[Any, str]:
    """Return a store, and the place in it that a URL names.

    Args:
        url: with its scheme, such as ``s3://bucket/folder``.
        subject: of an error, such as "files".

    Raises:
        InputError: nobody knows such stores, or the package for them is missing.
    """
    import fsspec

    try:
        store, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        scheme = url.partition("://")[0]
        raise InputError(f"{subject} at {scheme}:// cannot be used: {error}") from error
    return store, root


@contextmanager
def explaining_errors(location: str, subject: str) -> Iterator[None]:
    """Say where files could not be reached; clients of stores raise errors of many classes.

    Args:
        location: path, or URL.
        subject: of an error, such as "the submitted files".

    Raises:
        ServiceError: instead of whatever was raised but :class:`InputError`.
    """
    try:
        yield
    except (ServiceError, InputError):
        raise
    except Exception as error:
        # A URL may hold a key.
        shown = location.partition("?")[0].rpartition("@")[2]
        words = str(error)
        # Words of a client of a store may say little without the name of their class.
        if not isinstance(error, FileError | OSError):
            words = f"{type(error).__name__}: {error}"
        raise ServiceError(f"{shown}: {subject} cannot be reached: {words}") from error
