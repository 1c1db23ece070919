// Calls into a worker and their answers, by number.

/** The page's end. */
export class Caller {
  constructor(worker) {
    this.worker = worker;
    this.waiting = new Map();
    worker.addEventListener("message", ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.waiting.get(id) ?? {};
      this.waiting.delete(id);
      if (error) reject?.(Object.assign(new Error(error.message), { name: error.name }));
      else resolve?.(result);
    });
    worker.addEventListener("error", (event) => this.fail(
      event.message || "the worker could not be loaded; load the page again"));
  }

  /** Asks for a function of the worker; a call that is aborted before its turn is not made. */
  call(name, args, signal) {
    const id = this.next = (this.next ?? 0) + 1;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      signal?.addEventListener("abort", () => {
        if (!this.waiting.has(id)) return;
        this.worker.postMessage({ cancel: id });
        reject(new DOMException("dropped for a later question", "AbortError"));
      });
      this.worker.postMessage({ id, name, args });
    });
  }

  fail(words) {
    for (const { reject } of this.waiting.values()) reject(new Error(words));
    this.waiting.clear();
  }

  end() { this.worker.terminate(); }
}

/** The worker's end: answers one call after the other. */
export function answerCalls(functions) {
  let last = Promise.resolve();
  const cancelled = new Set();
  self.addEventListener("message", ({ data: { id, name, args, cancel } }) => {
    if (cancel) return cancelled.add(cancel);
    if (!(name in functions)) return;  // messages of the runtime's own
    last = last.then(async () => {
      await new Promise((resolve) => { setTimeout(resolve); });  // a cancellation may have come
      if (cancelled.delete(id)) return;
      try {
        const { result, transfer = [] } = await functions[name](...args);
        self.postMessage({ id, result }, transfer);
      } catch (error) {
        self.postMessage({ id, error: { name: error.name, message: error.message } });
      }
    });
  });
}
