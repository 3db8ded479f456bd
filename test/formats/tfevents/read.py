"""Reads events.out.tfevents.1.ebb beside itself as TensorBoard does, and says where that is not what events.json says.

    pip install tensorboard==2.21.0 && python3 test/formats/tfevents/read.py

The test holds that Ebb writes these bytes; they are written anew by `EBB_WRITE_EVENTS=1 npx jest test/formats/tfevents.test.ts`.
"""
import json
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

here = Path(__file__).parent
accumulator = EventAccumulator(str(here / "events.out.tfevents.1.ebb"), size_guidance={"scalars": 0})
accumulator.Reload()
read = {tag: [(e.wall_time, e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}

wanted = {}
for event in json.loads((here / "events.json").read_text()):
    content = event["content"]
    if content["kind"] == "start":
        wanted = {tag: [point for point in points if point[1] < event["step"]] for tag, points in wanted.items()}
    for tag, value in content.get("values", {}).items():
        wanted.setdefault(tag, []).append((event["time"], event["step"], float(np.float32(value))))

read, wanted = ({tag: points for tag, points in scalars.items() if points} for scalars in (read, wanted))
assert read == wanted, (read, wanted)
print(f"TensorBoard reads {sum(map(len, read.values()))} points of {len(read)} scalars, as they were written")
