"""Errors as people meet them: problem+json (RFC 9457) with a reference that is also in the log."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from revere.core.errors import Refused, RevereError, Unavailable

log = structlog.get_logger("revere.web")

TITLES = {
    400: "The request cannot be understood",
    401: "Please sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Declined",
    413: "Too large",
    429: "Too many attempts",
    500: "Something broke on our side",
    503: "Not available just now",
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every error. ``reference`` finds the same moment in the log."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reference: str
    errors: list[str] | None = None


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Turn any exception into an answer; what is ours is logged with its trace and told without detail."""
    status, detail, errors = _read(error)
    if status == 401 and _is_page(request):
        return Redirect(path="/login", status_code=303)
    reference = secrets.token_hex(6)
    fields = {"reference": reference, "status": status, "method": request.method, "path": request.url.path}
    if status >= 500 and not isinstance(error, Unavailable):
        log.error("request failed", **fields, exc_info=error)
    else:
        log.info("request refused", **fields, why=type(error).__name__)
    headers = dict(getattr(error, "headers", None) or {})
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        Problem(
            title=TITLES.get(status, "Error"), status=status, detail=detail, reference=reference, errors=errors or None
        ),
        status_code=status,
        headers=headers,
        media_type="application/problem+json",
    )


def _read(error: Exception) -> tuple[int, str, list[str]]:
    if isinstance(error, Unavailable):
        return 503, error.text(), []
    if isinstance(error, Refused):
        return 409, error.text(), []
    if isinstance(error, RevereError):
        return 400, error.text(), []
    if isinstance(error, HTTPException):
        if error.status_code >= 500 and error.status_code != 503:
            return error.status_code, "The log has the details under this reference.", []
        return error.status_code, error.detail, _field_errors(error.extra)
    return 500, "The log has the details under this reference.", []


def _field_errors(extra: object) -> list[str]:
    if not isinstance(extra, list):
        return []
    found = [item for item in extra[:20] if isinstance(item, dict)]
    return [f"{item.get('key', '')}: {item.get('message', '')}".strip(": ") for item in found]


def _is_page(request: Request[Any, Any, Any]) -> bool:
    handler = request.scope.get("route_handler")
    return handler is not None and bool(handler.opt.get("page"))
