// What the page loads: the sheet of the dream, its starts, and the networks in the runtime that computes them.

import * as ort from "../runtime/ort.js";

export async function loaded(say) {
  const sheet = await (await fetched("dream/dream.json")).json();
  say(`Loading ${(sheet.bytes / 1e6).toFixed(1)} MB …`);
  const graphs = ["step", "frame", ...(sheet.agent ? ["agent"] : []), ...(sheet.residual_parts ? ["residual"] : [])];
  const files = ["runtime/ort.wasm.gz", "dream/starts.safetensors", ...graphs.map((name) => `dream/${name}.onnx`)];
  const [wasm, starts, ...models] = await Promise.all(files.map(async (name) => (await fetched(name)).arrayBuffer()));
  ort.env.wasm.numThreads = 1; // more need headers that many hosts do not send
  ort.env.wasm.wasmBinary = await unpacked(wasm);
  const options = { executionProviders: ["wasm"] };
  const networks = {};
  for (const [at, name] of graphs.entries()) {
    networks[name] = await ort.InferenceSession.create(new Uint8Array(models[at]), options);
  }
  return { sheet, networks, starts: tensors(starts) };
}

export const tensor = (values, shape) =>
  new ort.Tensor(values instanceof BigInt64Array ? "int64" : "float32", values, shape);

async function fetched(name) {
  const answer = await fetch(new URL(`../${name}`, import.meta.url));
  if (!answer.ok) throw new Error(`${name} could not be loaded (${answer.status}): put the whole folder on the host`);
  return answer;
}

// Some hosts say that the file is compressed, and the browser has unpacked it already.
async function unpacked(bytes) {
  const head = new Uint8Array(bytes, 0, 2);
  if (head[0] !== 0x1f || head[1] !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

// The arrays of a safetensors file, by name: the header's length (8 bytes), the header, the numbers.
function tensors(bytes) {
  const length = Number(new DataView(bytes).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length)));
  const arrays = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    const Kind = { F32: Float32Array, I64: BigInt64Array }[dtype];
    arrays[name] = { shape, values: new Kind(bytes.slice(8 + length + from, 8 + length + to)) };
  }
  return arrays;
}
