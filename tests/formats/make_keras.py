"""Makes the Keras samples with Keras itself: `python -m tests.formats.make_keras`.

Needs `pip install keras==3.8.0 h5py scipy jax`; Keras' numpy backend takes its image operations from
JAX.
"""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "keras"


def main() -> None:
    """Writes a branching network in both containers, a plain chain, and weights alone."""
    os.environ["KERAS_BACKEND"] = "numpy"
    import keras
    from keras import layers

    keras.utils.set_random_seed(7)
    taken = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(taken)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(max_value=6, name="relu6")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    y = layers.SeparableConv2D(8, 3, padding="same", name="separable")(y)
    x = layers.Add(name="sum")([x, y])
    x = layers.Concatenate(name="joined")([x, y])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    net = keras.Model(taken, layers.Dense(5, activation="softmax", name="classes")(x), name="net")
    net.save(FOLDER / "net.keras")
    net.save(FOLDER / "net.h5")
    net.save_weights(FOLDER / "net.weights.h5")
    chain = keras.Sequential(
        [
            keras.Input((12,), name="words"),
            layers.Embedding(20, 6, name="embedding"),
            layers.LSTM(4, name="lstm"),
            layers.Dense(2, name="dense"),
        ],
        name="chain",
    )
    chain.save(FOLDER / "chain.h5")


if __name__ == "__main__":
    main()
