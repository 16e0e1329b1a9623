// A log's destination that keeps what was written.
import { Writable } from "node:stream"

export class LineSink extends Writable {
  text = ""

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}
