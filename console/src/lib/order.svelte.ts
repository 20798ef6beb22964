/** An order to the server and the sentence that came back: what every form that acts shows. */
import { ApiProblem, postJson, problemWords } from "./api";
import type { Receipt } from "./types";

export class Order {
  busy = $state(false);
  result = $state("");
  failed = $state(false);
  /** HTTP status of the refusal, 0 where there was none. */
  status = $state(0);

  /** Whether it was accepted; `meanwhile` stands where the answer will. */
  async send(path: string, body: object, meanwhile = ""): Promise<boolean> {
    this.busy = true;
    this.result = meanwhile;
    this.failed = false;
    this.status = 0;
    try {
      this.result = (await postJson<Receipt>(path, body)).detail;
    } catch (error) {
      this.result = problemWords(error);
      this.failed = true;
      this.status = error instanceof ApiProblem ? error.status : 0;
    } finally {
      this.busy = false;
    }
    return !this.failed;
  }
}
