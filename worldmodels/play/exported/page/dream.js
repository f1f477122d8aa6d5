// One dream after another, as `DreamEnv` dreams them: the same step, noise, rewards and ends.

import { tensor } from "./load.js";
import { Noise } from "./noise.js";

export class Dream {
  constructor({ sheet, networks, starts }) {
    Object.assign(this, { sheet, networks, starts });
    this.latent = starts.initial.shape[1];
    this.dials = { ...sheet.dials, endless: false, held: [], pushed: [] };
    this.begin(sheet.seed, "initial");
  }

  // Begin the dream of a seed, at a first frame or inside a recorded episode.
  begin(seed, start) {
    const { sheet, starts, latent } = this;
    this.noise = new Noise(seed);
    const initial = start !== "recorded";
    const { shape, values } = starts[initial ? "initial" : "recorded"];
    const index = this.noise.below(shape[0]);
    const size = values.length / shape[0];
    const begun = values.slice(index * size, (index + 1) * size);
    this.past = Array.from({ length: sheet.past }, (_, at) =>
      initial ? begun : begun.slice(at * latent, (at + 1) * latent),
    );
    this.part = sheet.residual_parts ? this.noise.below(sheet.residual_parts) : 0;
    this.state = {};
    for (const name of Object.keys(starts).filter((each) => each.startsWith("state."))) {
      const rows = starts[name];
      const length = rows.values.length / rows.shape[0];
      const row = initial ? 0 : 1 + index;
      const own = rows.values.slice(row * length, (row + 1) * length);
      this.state[name] = tensor(own, [1, ...rows.shape.slice(1)]);
    }
    Object.assign(this, { steps: 0, gained: 0, unrewarded: 0, over: "", facts: {}, expected: null });
    this.z = this.hold(this.past.at(-1));
    this.past = [...this.past.slice(0, -1), this.z];
  }

  turn(dials) {
    this.dials = dials;
    this.z = this.hold(this.z);
  }

  async agent() {
    const past = tensor(Float32Array.from(this.past.flatMap((z) => [...z])), [1, this.sheet.past * this.latent]);
    return (await this.networks.agent.run({ past, ...this.state })).action.data;
  }

  // The action of a wheel (`Wheel.action`).
  action({ x, y, choice }) {
    const { choices, spec } = this.sheet;
    if (choices) return Float32Array.from(spec.low, (_, at) => (at === choice ? 1 : 0));
    const [steered, pedals] = [[x, y], [Math.max(y, 0), Math.max(-y, 0)]];
    return Float32Array.from(spec.low, (low, at) => {
      const high = spec.high[at];
      if (!(low < 0 && high > 0)) return low + (pedals.shift() ?? 0) * (high - low);
      const share = steered.shift() ?? 0;
      return share * (share > 0 ? high : -low);
    });
  }

  async step(action) {
    const { sheet, dials, latent } = this;
    const z = tensor(this.z, [1, latent]);
    const done = tensor(action, [1, action.length]);
    const predicted = await this.networks.step.run({ z, action: done, ...this.state });
    const [end, uniform] = [this.noise.uniform(), this.noise.uniforms(latent)];
    const normal = this.noise.normals(latent); // drawn whatever the dials, so that they do not change what comes later
    if (dials.noise === "residual") {
      const part = tensor(BigInt64Array.of(BigInt((this.part + this.steps) % sheet.residual_parts)), [1]);
      const { residual } = await this.networks.residual.run({ z, action: done, part });
      const spread = Math.sqrt(dials.temperature);
      this.z = predicted.expected.data.map((value, at) => value + spread * residual.data[at]);
    } else {
      this.z = sheet.draws ? drawn(predicted, dials.temperature, uniform, normal) : predicted.expected.data.slice();
    }
    for (const [at, by] of dials.pushed) this.z[at] += by;
    this.z = this.hold(this.z);
    this.past = [...this.past.slice(1), this.z];
    for (const name of Object.keys(this.state)) this.state[name] = predicted[name.replace("state", "next")];
    this.expected = predicted.expected.data;
    this.take(predicted.reward.data[0], predicted.end.data[0], dials.endless ? 1 : end);
  }

  // What a step earns, and whether it ends the dream (`Ends`).
  take(reward, probability, uniform) {
    const { horizon, no_reward_limit: limit, penalty } = this.sheet;
    this.steps += 1;
    this.unrewarded = reward > 0 ? 0 : this.unrewarded + 1;
    if (uniform < probability) this.over = "terminated";
    else if (limit && this.unrewarded >= limit) this.over = "no reward";
    const earned = this.over ? reward - penalty : reward;
    if (!this.over && this.steps >= horizon) this.over = "time is up";
    this.gained += earned;
    this.facts = { reward: finite(earned), end_probability: probability };
  }

  hold(z) {
    const kept = z.slice();
    for (const [at, value] of this.dials.held) kept[at] = value;
    return kept;
  }

  // What is seen, and what the memory had expected before the noise.
  async frames(expectation) {
    const frames = new Map([["dream", await this.frame(this.z)]]);
    if (expectation && this.expected) frames.set("dream_expected", await this.frame(this.expected));
    return frames;
  }

  async frame(z) {
    const { frame } = await this.networks.frame.run({ z: tensor(z, [1, this.latent]) });
    const [, channels, height, width] = frame.dims;
    const image = new ImageData(width, height);
    const plane = width * height;
    for (let pixel = 0; pixel < plane; pixel += 1) {
      for (let colour = 0; colour < 3; colour += 1) {
        image.data[4 * pixel + colour] = 255 * frame.data[pixel + plane * Math.min(colour, channels - 1)];
      }
      image.data[4 * pixel + 3] = 255;
    }
    return image;
  }

  seen() {
    const { steps: step, gained, over, facts } = this;
    return { step, return: finite(gained), over, ...facts };
  }
}

const finite = (value) => (Number.isFinite(value) ? value : null);

// A draw from the mixture, as `mixture_sample` draws it.
function drawn({ logits, mean, log_std }, temperature, uniform, normal) {
  const count = logits.dims[2];
  return uniform.map((level, at) => {
    const own = (numbers) => numbers.data.subarray(at * count, (at + 1) * count);
    const [scores, means, spreads] = [own(logits), own(mean), own(log_std)];
    const most = Math.max(...scores);
    if (temperature === 0) return means[scores.indexOf(most)];
    const weights = Array.from(scores, (score) => Math.exp((score - most) / temperature));
    let left = level * weights.reduce((sum, weight) => sum + weight, 0);
    let chosen = 0;
    while (chosen < count - 1 && left >= weights[chosen]) left -= weights[chosen++];
    const spread = Math.exp(Math.min(12, Math.max(-12, spreads[chosen])));
    return means[chosen] + Math.sqrt(temperature) * spread * normal[at];
  });
}
