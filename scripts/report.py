"""Stage 7: the run at a glance, as one self-contained HTML page."""

from collections.abc import Iterator

from worldmodels.accuracy.fingerprint import fingerprint
from worldmodels.files import write_text
from worldmodels.report.gather import gather
from worldmodels.report.report import render_report
from worldmodels.run.folder import STAGES, Progress, Run


def report(run: Run) -> Iterator[Progress]:
    """Write `report/index.html` from whatever stages are finished."""
    with run.working("report"):
        yield Progress("report", 0, 1, "pages")
        for stage in STAGES:
            if run.done(stage) and stage != "report":
                run.require(stage)
        page = render_report(gather(run, fingerprint(run)))
        run.reopen("report")
        write_text(run.folder("report") / "index.html", page)
        run.finish("report", {})
        yield Progress("report", 1, 1, "pages")
