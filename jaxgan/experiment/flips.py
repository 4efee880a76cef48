"""The test pictures whose answers generated pictures turned, for the better or the worse."""

from typing import Any

import numpy as np
from etils import epath
from PIL import Image

from jaxgan.data.folder import Source

MOST = 12


def turned(results: dict[str, Any], most: int = MOST) -> dict[str, list[dict[str, Any]]]:
    """The test pictures that the primary contrast helped and hurt most, over the seeds.

    Returns:
        "helped" and "hurt": at most `most` each, by how many seeds turned, then by name; each with
        "index", "name", "label" (a class's name), and how many "seeds" turned on balance "of" all.
    """
    a, b = results["verdict"]["primary"]
    test, classes = results["test"], results["classes"]
    labels = np.asarray(test["labels"])
    right: dict[str, dict[int, np.ndarray]] = {a: {}, b: {}}
    for run in results["runs"]:
        if run["arm"] in right and "probabilities" in run:
            right[run["arm"]][run["seed"]] = np.argmax(run["probabilities"], 1) == labels
    seeds = [seed for seed in right[a] if seed in right[b]]
    if not seeds:
        return {"helped": [], "hurt": []}
    change = np.sum([right[a][seed].astype(int) - right[b][seed] for seed in seeds], axis=0)

    def pick(sign: int) -> list[dict[str, Any]]:
        order = sorted(range(len(labels)), key=lambda i: (-sign * change[i], test["names"][i]))
        return [
            {
                "index": i,
                "name": test["names"][i],
                "label": classes[labels[i]],
                "seeds": int(sign * change[i]),
                "of": len(seeds),
            }
            for i in order[:most]
            if sign * change[i] > 0
        ]

    return {"helped": pick(1), "hurt": pick(-1)}


def save(results: dict[str, Any], test: Source, workdir: epath.PathLike) -> dict[str, str]:
    """Writes the turned test pictures under `workdir`/figures/test; name -> file, for the report.

    Args:
        results: as judged; `results["test"]` has the names and labels of `test`, in order.
        test: the test pictures.
        workdir: of the experiment.
    """
    files, folder = {}, epath.Path(workdir) / "figures" / "test"
    folder.mkdir(parents=True, exist_ok=True)
    for row in [row for rows in turned(results).values() for row in rows]:
        file = folder / f"{row['index']}.png"
        with file.open("wb") as out:
            Image.fromarray(np.asarray(test[row["index"]]["image"])).save(out, "PNG")
        files[row["name"]] = f"figures/test/{file.name}"
    return files
