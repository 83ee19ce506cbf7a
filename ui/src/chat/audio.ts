// Sound both ways: 16-bit PCM, mono, 24 kHz. These two stand in for the client library's own, whose
// worklets are made of text at run time, which the page's policy forbids.
import worklet from './microphone.worklet.js?url';

const RATE = 24_000;

export class Recorder {
  private stream?: MediaStream;
  private context?: AudioContext;
  private node?: AudioWorkletNode;

  /** Asks for the microphone: to be called, and to succeed, before the app is told. */
  async prepare() {
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true },
    });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule(new URL(worklet, import.meta.url).href);
  }

  // What the client library calls when the app has said yes, and when the talk ends.

  async begin() {
    if (!this.context) await this.prepare();
  }

  async record(heard: (data: { mono: ArrayBuffer }) => void) {
    if (!this.context || !this.stream) return;
    this.node = new AudioWorkletNode(this.context, 'microphone', { numberOfOutputs: 0 });
    this.node.port.onmessage = (event: MessageEvent<ArrayBuffer>) => heard({ mono: event.data });
    this.context.createMediaStreamSource(this.stream).connect(this.node);
  }

  async end() {
    const { stream, context, node } = this;
    this.stream = this.context = this.node = undefined;
    node?.disconnect();
    stream?.getTracks().forEach((track) => track.stop());
    await context?.close();
  }
}

export class Player {
  onStop: () => void = () => undefined;
  private context?: AudioContext;
  private playing = new Set<AudioBufferSourceNode>();
  private muted = new Set<string>();
  private track = '';
  private next = 0;

  async connect() {
    this.context ??= new AudioContext();
    await this.context.resume();
  }

  add16BitPCM(data: ArrayBuffer, track = '') {
    if (!this.context || this.muted.has(track)) return;
    this.track = track;
    const samples = new Int16Array(data, 0, data.byteLength >> 1);
    if (!samples.length) return;
    const buffer = this.context.createBuffer(1, samples.length, RATE);
    buffer.getChannelData(0).set(Float32Array.from(samples, (sample) => sample / 0x8000));
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    source.onended = () => this.ended(source);
    this.next = Math.max(this.next, this.context.currentTime);
    source.start(this.next);
    this.next += buffer.duration;
    this.playing.add(source);
  }

  /** Silence at once; what comes later on the same track stays unheard. */
  async interrupt() {
    if (this.playing.size) this.muted.add(this.track);
    this.playing.forEach((source) => source.stop());
    this.next = 0;
  }

  private ended(source: AudioBufferSourceNode) {
    this.playing.delete(source);
    if (!this.playing.size) this.onStop();
  }
}
