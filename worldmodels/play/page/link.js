// The line to the server: one question at a time, each with one answer, in order.

export class Link {
  constructor(hear) {
    this.hear = hear; // {greeting, seen, film, error, closed}
    this.waiting = 0;
    this.refused = false;
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/drive`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = (event) => this.hear.closed(event.reason, this.refused);
  }

  get free() {
    return this.socket.readyState === WebSocket.OPEN && this.waiting === 0;
  }

  ask(question) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.waiting += 1;
    this.socket.send(JSON.stringify(question));
  }

  receive(data) {
    if (typeof data === "string") {
      const said = JSON.parse(data);
      if (said.refused) {
        this.refused = true;
        this.hear.error(said.refused);
      } else if (said.error) {
        this.waiting -= 1;
        this.hear.error(said.error);
      } else {
        this.waiting += 1; // for the first picture, which follows
        this.hear.greeting(said);
      }
      return;
    }
    this.waiting -= 1;
    const length = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    const content = new Uint8Array(data, 4 + length);
    if (header.film) this.hear.film(header.film, content);
    else this.hear.seen(header, framesOf(header, content));
  }
}

function framesOf(header, content) {
  const frames = new Map();
  let at = 0;
  for (const [name, height, width] of header.frames) {
    const image = new ImageData(width, height);
    for (let pixel = 0; pixel < width * height; pixel += 1) {
      image.data[4 * pixel] = content[at];
      image.data[4 * pixel + 1] = content[at + 1];
      image.data[4 * pixel + 2] = content[at + 2];
      image.data[4 * pixel + 3] = 255;
      at += 3;
    }
    frames.set(name, image);
  }
  return frames;
}
