"""The console's web side as one application: pages, API, live news."""

from importlib.resources import files

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from edgeagent import __version__
from edgeagent.console.database import Database
from edgeagent.console.news import News
from edgeagent.console.settings import ConsoleSettings
from edgeagent.console.web import live
from edgeagent.console.web.api import routers as api_routers
from edgeagent.console.web.errors import answer_errors, broken
from edgeagent.console.web.guard import Guard
from edgeagent.console.web.pages import routers as page_routers
from edgeagent.console.web.rendering import Pages
from edgeagent.console.web.site import Publish, Site


def make_app(
    database: Database, settings: ConsoleSettings, *, publisher_news: News, publish: Publish | None = None
) -> FastAPI:
    """Return the application. `publish` sends an order to a device at once; without it, there are no such orders."""
    app = FastAPI(
        title="edgeagent console",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.site = Site(database, settings, publisher_news, Pages(), publish)
    answer_errors(app)
    static = files("edgeagent.console.web") / "static"
    app.mount("/static", StaticFiles(directory=str(static)), name="static")
    for router in (*page_routers(), live.router, *api_routers()):
        app.include_router(router)
    site: Site = app.state.site
    app.add_middleware(Guard, hosts=site.hosts, is_secure=site.is_secure, broken=broken)
    return app
