"""Prints the scalars and texts of a folder as TensorBoard's interface (plugin accumulator) and its older reader have them."""

import json
import sys

from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.util import tensor_util

events = event_accumulator.EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
shown = plugin_event_accumulator.EventAccumulator(sys.argv[1], size_guidance={"tensors": 0})
shown.Reload()


def points(plugin, value):
    names = shown.PluginTagToContent(plugin) if plugin in shown.ActivePlugins() else {}
    return {name: [[event.step, value(event.tensor_proto)] for event in shown.Tensors(name)] for name in names}


print(
    json.dumps(
        {
            "older": {
                name: [[event.step, event.value] for event in events.Scalars(name)]
                for name in events.Tags()["scalars"]
            },
            "scalars": points("scalars", lambda proto: float(tensor_util.make_ndarray(proto).item())),
            "texts": points("text", lambda proto: tensor_util.make_ndarray(proto).flatten()[0].decode()),
        }
    )
)
