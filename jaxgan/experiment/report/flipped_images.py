"""The test images whose answers generated images changed, for the better or the worse."""

from typing import Any

import numpy as np
from etils import epath

from jaxgan.data.folder import Source
from jaxgan.engine.log import png
from jaxgan.experiment.schema import Results
from jaxgan.system import checked_files

MOST = 12


def turned(results: Results, most: int = MOST) -> dict[str, list[dict[str, Any]]]:
    """Return the test images that the primary contrast helped and hurt most, over its seeds.

    Returns:
        "helped" and "hurt": at most `most` each, by how many seeds turned, then by name; each with
        "index", "name", "label" (a class's name), and how many "seeds"
        turned on balance "of" its fold's.
    """
    a, b = results["verdict"]["primary"]
    test, classes = results["test"], results["classes"]
    labels = np.asarray(test["labels"])
    folds = np.asarray(test.get("fold", [0] * len(labels)))
    right: dict[str, dict[tuple[int, int], np.ndarray]] = {a: {}, b: {}}
    for run in results["runs"]:
        if run["arm"] in right and "probabilities" in run:
            fold = run.get("fold", 0)
            answers = np.argmax(run["probabilities"], 1)
            right[run["arm"]][fold, run["seed"]] = answers == labels[folds == fold]
    change, of = np.zeros(len(labels), int), np.zeros(len(labels), int)
    for fold, seed in right[a].keys() & right[b].keys():
        change[folds == fold] += right[a][fold, seed].astype(int) - right[b][fold, seed]
        of[folds == fold] += 1

    def pick(sign: int) -> list[dict[str, Any]]:
        order = sorted(range(len(labels)), key=lambda i: (-sign * change[i], test["names"][i]))
        return [
            {
                "index": i,
                "name": test["names"][i],
                "label": classes[labels[i]],
                "seeds": int(sign * change[i]),
                "of": int(of[i]),
            }
            for i in order[:most]
            if sign * change[i] > 0
        ]

    return {"helped": pick(1), "hurt": pick(-1)}


def save(results: Results, test: Source, workdir: epath.PathLike) -> dict[str, str]:
    """Write the changed test images under `workdir`/figures/test; name -> file, for the report.

    Args:
        results: as judged; `results["test"]` has the names and labels of `test`, in order.
        test: the test images.
        workdir: of the experiment.
    """
    files, folder = {}, epath.Path(workdir) / "figures" / "test"
    folder.mkdir(parents=True, exist_ok=True)
    for row in [row for rows in turned(results).values() for row in rows]:
        file = folder / f"{row['index']}.png"
        checked_files.write(file, png(np.asarray(test[row["index"]]["image"])))
        files[row["name"]] = f"figures/test/{file.name}"
    return files
