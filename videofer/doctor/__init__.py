"""`videofer doctor`: what is installed, which engines work here and how fast, why the others do not.

It must work where nothing else does: this package needs the standard library alone, and whatever imports a
library does so in a child process. `python -m videofer.doctor` is the same where not even the command starts.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace

from videofer.doctor.children import run_probes
from videofer.doctor.findings import Finding, Report
from videofer.doctor.machine import examine_machine, system_name
from videofer.doctor.packages import examine_packages, installed_version
from videofer.doctor.plan import NEEDED, labels

__all__ = ["Finding", "Report", "examine"]


def examine(*, quick: bool = False, on_start: Callable[[str], None] = lambda label: None) -> Report:
    """Looks at everything, which takes about half a minute; quick: nothing is timed and Ray is not started.

    on_start hears what is under way, as SECTION/NAME.
    """
    sections: dict[str, list[Finding]] = {"machine": examine_machine(), "libraries": examine_packages()}
    for label, finding in run_probes(labels(), quick=quick, on_start=on_start):
        if label in NEEDED:
            state = "broken" if finding.state == "absent" else finding.state
            finding = replace(finding, needed=True, state=state)
        section = label.partition("/")[0]
        sections.setdefault("machine" if section == "GPU" else section, []).append(finding)
    versions = {
        "videofer": installed_version("videofer") or "not installed",
        "python": platform.python_version(),
        "system": system_name(),
    }
    return Report(versions, sections)
