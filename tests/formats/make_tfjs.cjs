// Makes the TensorFlow.js layers model: `npm install @tensorflow/tfjs@4.22.0 && node make_tfjs.cjs`.
// The weights are random and new each time.
const fs = require("fs");
const path = require("path");
const tf = require("@tensorflow/tfjs");

const folder = path.join(__dirname, "tfjs");
const shards = ["./group1-shard1of2.bin", "./group1-shard2of2.bin"];

function network() {
  const image = tf.input({ shape: [16, 16, 3], name: "image" });
  const stem = { filters: 8, kernelSize: 3, strides: 2, padding: "same", useBias: false, name: "stem" };
  let x = tf.layers.conv2d(stem).apply(image);
  x = tf.layers.batchNormalization({ name: "norm" }).apply(x);
  x = tf.layers.reLU({ maxValue: 6, name: "relu6" }).apply(x);
  const depthwise = { kernelSize: 3, padding: "same", activation: "relu", name: "dw" };
  x = tf.layers.add({ name: "sum" }).apply([x, tf.layers.depthwiseConv2d(depthwise).apply(x)]);
  x = tf.layers.globalAveragePooling2d({ name: "mean" }).apply(x);
  x = tf.layers.dense({ units: 5, activation: "softmax", name: "scores" }).apply(x);
  return tf.model({ inputs: image, outputs: x, name: "net" });
}

async function save(artifacts) {
  const { format = "layers-model", generatedBy, convertedBy, modelTopology } = artifacts;
  const weightsManifest = [{ paths: shards, weights: artifacts.weightSpecs }];
  const model = { format, generatedBy, convertedBy, modelTopology, weightsManifest };
  const data = Buffer.from(artifacts.weightData);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, "model.json"), JSON.stringify(model));
  fs.writeFileSync(path.join(folder, shards[0]), data.subarray(0, 1000));
  fs.writeFileSync(path.join(folder, shards[1]), data.subarray(1000));
  return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
}

tf.setBackend("cpu").then(() => network().save(tf.io.withSaveHandler(save)));
