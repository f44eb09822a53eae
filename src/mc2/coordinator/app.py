"""The coordinator over HTTP. Spec: docs/spec/coordinator-api.md and docs/openapi.json."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from mc2.coordinator import endpoints_homes, endpoints_jobs, endpoints_mailbox
from mc2.coordinator.answers import Names, ProposedJob, SignedObject, answer_errors
from mc2.coordinator.auth import Authenticator
from mc2.coordinator.requests import Context, Rates
from mc2.coordinator.service import Service
from mc2.version import VERSION

_DESCRIPTION: Final = (
    "An mc2 coordinator stores sealed and signed objects, relays them, and schedules jobs. It is "
    "trusted by nobody and decides nothing. Every request but `health` and the enrolment is signed "
    "by a party: docs/spec/coordinator-api.md."
)
_TAGS: Final = [
    {"name": "coordinator", "description": "The service itself, and waiting for news."},
    {"name": "parties", "description": "Enrolment and cards."},
    {"name": "contracts", "description": "Collaboration contracts and their signatures."},
    {"name": "blobs", "description": "Sealed chunks, named by their digests."},
    {"name": "datasets", "description": "Signed manifests."},
    {"name": "jobs", "description": "Proposals, approvals, attempts, proofs."},
    {"name": "homes", "description": "Orders for enclaves on parties' premises."},
]


def create_app(
    service: Service, authorities: Collection[str], rates: Rates | None = None
) -> FastAPI:
    """The application. `authorities` are the names it is reached under, `host:port`."""
    for name in dir(anyio):
        getattr(anyio, name)  # it loads its parts on first use: not in the midst of a request
    app = FastAPI(
        title="mc2 coordinator",
        version=VERSION,
        # The document is in the repository; a running coordinator tells strangers nothing.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    authenticator = Authenticator(service.store, authorities, service.clock)
    app.state.context = Context(service, authenticator, rates or Rates())
    app.include_router(endpoints_mailbox.router)
    app.include_router(endpoints_jobs.router)
    app.include_router(endpoints_homes.router)
    answer_errors(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    context.waiting.open()
    yield
    context.waiting.close()


def openapi_document() -> str:
    """The OpenAPI document, as docs/openapi.json has it."""
    app = FastAPI()
    app.include_router(endpoints_mailbox.router)
    app.include_router(endpoints_jobs.router)
    app.include_router(endpoints_homes.router)
    document: dict[str, Any] = get_openapi(
        title="mc2 coordinator",
        version="1",  # of the interface; it does not change with every release
        description=_DESCRIPTION,
        routes=app.routes,
        tags=_TAGS,
    )
    _, bodies = models_json_schema(
        [(model, "validation") for model in (Names, ProposedJob, SignedObject)],
        ref_template="#/components/schemas/{model}",
    )
    document["components"]["schemas"] |= bodies["$defs"]
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
