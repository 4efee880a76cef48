"""What an experiment says at its end, in lines; the verdict comes last but for what to do next."""

from typing import Any

from etils import epath


def lines(results: dict[str, Any], report: epath.Path) -> list[str]:
    """Return the lines of a finished experiment."""
    words = {True: "passed", False: "FAILED", None: "not made"}
    verdict = results["verdict"]
    said = [results["ladder"], results["gate"]]
    beside = [verdict["beside"], verdict["elsewhere"]] if verdict["difference"] is not None else []
    return [
        *(
            f"{name:<24} {arm['accuracy']:7.1%} test accuracy{_interval(arm)}"
            for name, arm in results["arms"].items()
        ),
        *(
            f"guard {guard['name']}: {words[guard['passed']]}: {guard['sentence']}"
            for guard in results["guards"]
        ),
        *(
            f"the GAN of {failure['name']} failed: {failure['error']}"
            for failure in results["failed_generators"]
        ),
        *(
            f"arm {failure['arm']} seed {failure['seed']} failed: {failure['error']}"
            for failure in results["failed"]
        ),
        f"cost: {' '.join(results['cost']['sentences'])}",
        *(one["sentence"] for one in said if one),
        f"report: {report}",
        f"{verdict['word']}: {verdict['sentence']}",
        *([verdict["conditions"]] if verdict["difference"] is not None else []),
        *(one["sentence"] for one in beside if one),
        *(
            "next: "
            + step["sentence"]
            + (f"\n    {step['command']}" if step.get("command") else "")
            for step in results["next"]
        ),
    ]


def _interval(arm: dict) -> str:
    return "" if arm["low"] is None else f"  [{arm['low']:.1%}, {arm['high']:.1%}]"
