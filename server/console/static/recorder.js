// In the audio thread: the microphone's samples as 16-bit integers, a tenth of a second at a time.

const CHUNK = 1600; // samples at 16 kHz

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
  }

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.chunk[this.filled] = Math.max(-32768, Math.min(32767, Math.round(32768 * sample)));
      this.filled += 1;
      if (this.filled === CHUNK) {
        this.port.postMessage(this.chunk.buffer, [this.chunk.buffer]);
        this.chunk = new Int16Array(CHUNK);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
