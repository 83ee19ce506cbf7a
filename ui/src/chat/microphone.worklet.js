// Runs beside the page: what the microphone hears, at whatever rate, in pieces of 16-bit PCM at 24 kHz.
const RATE = 24_000;
const PIECE = 4096; // samples, of two bytes each

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Int16Array(PIECE);
    this.length = 0;
    this.at = 0; // where the next sample lies, counted in those that come in
    this.last = 0;
  }

  process([[heard]]) {
    if (!heard) return true;
    const step = sampleRate / RATE;
    for (; this.at < heard.length; this.at += step) {
      const left = Math.floor(this.at);
      const from = left === 0 ? this.last : heard[left - 1];
      this.push(from + (heard[left] - from) * (this.at - left));
    }
    this.at -= heard.length;
    this.last = heard[heard.length - 1];
    return true;
  }

  push(value) {
    const bounded = Math.max(-1, Math.min(1, value));
    this.piece[this.length++] = bounded * (bounded < 0 ? 0x8000 : 0x7fff);
    if (this.length < PIECE) return;
    this.port.postMessage(this.piece.buffer, [this.piece.buffer]);
    this.piece = new Int16Array(PIECE);
    this.length = 0;
  }
}

registerProcessor('microphone', Microphone);
