// What stands in for the server: answers the page's questions from a dream in this browser, one after another.

import { Dream } from "./dream.js";
import { loaded } from "./load.js";

export class Link {
  constructor(hear) {
    this.hear = hear; // {loading, greeting, seen, error}
    this.waiting = 1;
    this.agent = false;
    this.expectation = true;
    this.last = this.work(() => this.open());
  }

  get free() {
    return this.waiting === 0;
  }

  ask(question) {
    this.waiting += 1;
    this.last = this.last.then(() => this.work(() => this.answer(question)));
  }

  async work(what) {
    try {
      await what();
    } catch (error) {
      this.hear.error(error.message);
    } finally {
      this.waiting -= 1;
    }
  }

  async open() {
    const parts = await loaded(this.hear.loading);
    this.dream = new Dream(parts);
    this.hear.greeting(parts.sheet);
    await this.look();
  }

  async answer(question) {
    const { dream } = this;
    if (!dream) return; // it could not be loaded, as the page has said
    if (question.do === "restart") dream.begin(question.seed, question.start);
    if (question.do === "turn") dream.turn(question);
    if (question.do === "step") {
      Object.assign(this, { agent: question.agent, expectation: question.expectation });
      if (!dream.over) await dream.step(question.agent ? await dream.agent() : dream.action(question));
    }
    await this.look();
  }

  async look() {
    const { dream, agent } = this;
    const { agent: has_agent, residual_parts } = dream.sheet;
    const frames = await dream.frames(this.expectation);
    const facts = { agent, recorded: 0, has_agent, residuals: residual_parts > 0, latent: dream.z };
    this.hear.seen({ ...facts, dream: dream.seen() }, frames);
  }
}
