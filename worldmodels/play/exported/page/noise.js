// All that is random in a dream, from its seed: Chris Doty-Humphrey's Small Fast Counter with 32 bits (sfc32, of
// PractRand), and normal numbers after Box and Muller.

export class Noise {
  constructor(seed) {
    [this.a, this.b, this.c, this.counter] = [0, seed | 0, 0, 1];
    for (let round = 0; round < 12; round += 1) this.bits();
  }

  // 32 bits.
  bits() {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  // A number in [0, 1), of 24 bits.
  uniform() {
    return (this.bits() >>> 8) / 2 ** 24;
  }

  below(count) {
    return Math.floor(this.uniform() * count);
  }

  uniforms(count) {
    return Float32Array.from({ length: count }, () => this.uniform());
  }

  normals(count) {
    const drawn = new Float32Array(count);
    for (let at = 0; at < count; at += 2) {
      const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
      const angle = 2 * Math.PI * this.uniform();
      drawn[at] = radius * Math.cos(angle);
      if (at + 1 < count) drawn[at + 1] = radius * Math.sin(angle);
    }
    return drawn;
  }
}
