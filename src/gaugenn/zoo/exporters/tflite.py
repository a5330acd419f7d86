"""TensorFlow Lite by LiteRT's PyTorch converter; halved and quantised by its quantiser."""

import importlib
import shutil
from pathlib import Path

from gaugenn.zoo._order import Variant
from gaugenn.zoo.exporters import Export, Exporter

_SIGNATURE = "serving_default"


class TfliteExporter(Exporter):
    """Inputs keep PyTorch's layout. fp16 keeps weights in float16; int8 is static, per channel."""

    title = "litert-torch"
    spec = "https://github.com/google-ai-edge/litert-torch"
    packages = ("torch", "litert-torch", "ai-edge-quantizer")

    def export(self, order: Export) -> list[Path]:
        """See `Exporter.export`."""
        torch = importlib.import_module("torch")
        converter = importlib.import_module("litert_torch")
        sample = tuple(torch.from_numpy(array) for array in order.sample)
        path = order.folder / f"{order.stem}.tflite"
        first = path.with_name("exported.tflite")
        converter.convert(order.module, sample).export(str(first))
        if order.variant is Variant.FLOAT32:
            shutil.move(first, path)
            return [path]
        quantizer = importlib.import_module("ai_edge_quantizer.quantizer").Quantizer(str(first))
        recipe = importlib.import_module("ai_edge_quantizer.recipe")
        calibrated = None
        if order.variant is Variant.FLOAT16:
            quantizer.load_quantization_recipe(_float16_weights())
        else:
            quantizer.load_quantization_recipe(recipe.static_wi8_ai8())
            samples = [
                {f"args_{i}": array for i, array in enumerate(values)}
                for values in order.calibration
            ]
            calibrated = quantizer.calibrate({_SIGNATURE: samples})
        quantizer.quantize(calibrated).export_model(str(path), overwrite=True)
        return [path]


def _float16_weights() -> object:
    """A recipe of the quantiser: every operator's weights are cast, nothing else changes."""
    algorithms = importlib.import_module("ai_edge_quantizer.algorithm_manager").AlgorithmName
    types = importlib.import_module("ai_edge_quantizer.qtyping")
    manager = importlib.import_module("ai_edge_quantizer.recipe_manager").RecipeManager()
    manager.add_weight_only_config(
        regex=".*",
        operation_name=types.TFLOperationName.ALL_SUPPORTED,
        num_bits=16,
        granularity=types.QuantGranularity.TENSORWISE,
        algorithm_key=algorithms.FLOAT_CASTING,
    )
    return manager.get_quantization_recipe()
