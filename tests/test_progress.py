"""What a terminal shows while a stage runs."""

from io import StringIO

from rich.console import Console
from rich.progress import Progress

from gaugenn._progress import LiveProgress, _Rate


def test_the_rate_is_that_of_the_last_steps_in_the_stages_own_unit() -> None:
    now = 0.0
    progress = Progress(_Rate(), get_time=lambda: now, disable=True)
    task = progress.add_task("Scanning packages", total=100, unit="apps")
    column = _Rate()
    assert column.render(progress.tasks[0]).plain == ""
    for _ in range(11):
        progress.update(task, advance=5)
        now += 2.0
    assert column.render(progress.tasks[0]).plain == "2.5 apps/s"


def test_a_bar_shows_how_many_apps_a_second_were_scanned() -> None:
    out = StringIO()
    with LiveProgress(Console(file=out, force_terminal=True, width=160)) as progress:
        progress.begin("scan", 2)
        progress.step("scan", "a.apk")
        progress.step("scan", "b.apk")
        progress.end("scan")
    assert "Scanning packages" in out.getvalue()
    assert "2/2" in out.getvalue()
    assert " apps/s" in out.getvalue()
