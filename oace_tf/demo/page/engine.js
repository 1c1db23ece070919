// The engine behind the page. Here: the Python server that serves it. The static site (web_app/)
// puts another file in this one's place, which runs the model in the browser.

/**
 * @typedef {object} Photo  An open photograph.
 * @property {string} name
 * @property {number} width   pixels of the upright photograph
 * @property {number} height
 * @property {ImageBitmap} preview  what is shown of it
 * @property {string} note   a sentence on what was done with the file, or nothing
 *
 * @typedef {[number, number, boolean]} Tap  x, y in pixels of the photograph; whether on the object
 *
 * @typedef {object} Engine
 * @property {object} facts
 *   title, how: the model in words; points: taps it takes; channels: 1 if only taps on the object
 *   count; maxBytes: of a file; place: where the photograph stays, a sentence;
 *   samples: file, title, photographer, licence, source, url
 * @property {(source: File | string) => Promise<Photo>} open  a file, or a sample by its name
 * @property {(photo: Photo, taps: Tap[], signal: AbortSignal) =>
 *   Promise<{mask: ImageBitmap, share: number, ms: number}>} mask  at the preview's size
 * @property {(photo: Photo, taps: Tap[]) => Promise<Blob>} cutout  a PNG of the photograph's size
 * @property {Function} [details]  as `mask`: OACE and float file, where the engine can show them
 * @property {File} [shared]  a photograph that another app handed over
 * @property {Function} [benchmark]  (tell: (words) => void) => the record, where it can measure
 */

/** @returns {Promise<Engine>} */
export async function openEngine() {
  const facts = await (await ask("facts")).json();
  const threads = facts.threads === 1 ? "one thread" : `${facts.threads} threads`;
  return {
    facts: {
      title: `${facts.model}, ${facts.size_mb} MB`, how: threads, points: facts.max_points,
      channels: facts.click_channels, maxBytes: facts.max_bytes,
      place: "The photograph stays on this computer.",
      samples: facts.samples.map((one) => ({ ...one, url: `samples/${encodeURIComponent(one.file)}` })),
    },
    open,
    mask: async (photo, taps, signal) => {
      const { mask, share, ms } = await (await about(photo, "mask", taps, signal)).json();
      return { mask: await bitmap(mask), share, ms };
    },
    details: async (photo, taps, signal) => {
      const more = await (await about(photo, "details", taps, signal)).json();
      return { ...more, oace: more.oace && await bitmap(more.oace), wantsFloat: facts.has_float };
    },
    cutout: async (photo, taps) => (await about(photo, "cutout.png", taps)).blob(),
  };
}

async function open(source) {
  const photo = { source, ...await send(source) };
  const preview = await createImageBitmap(await (await ask(`photos/${photo.key}/preview`)).blob());
  return Object.assign(photo, { preview });
}

async function send(source) {  // what the server says of a photograph that it opens
  const answer = typeof source === "string"
    ? await ask(`photos/samples/${encodeURIComponent(source)}`, { method: "POST" })
    : await ask("photos", {
      method: "POST", body: source,
      headers: { "X-File-Name": encodeURIComponent(source.name || "pasted") } });
  return answer.json();
}

async function about(photo, what, taps, signal, second = false) {
  const body = JSON.stringify(taps);
  try {
    return await (what === "cutout.png"
      ? ask(`photos/${photo.key}/${what}?taps=${encodeURIComponent(body)}`)
      : ask(`photos/${photo.key}/${what}`, { method: "POST", body, signal }));
  } catch (error) {
    if (!error.gone || second) throw error;
    photo.key = (await send(photo.source)).key;  // the server keeps a few only: send it again
    return about(photo, what, taps, signal, true);
  }
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("No answer: is the program that opened this page still running?");
  }
  if (response.ok) return response;
  let text = `The server answered ${response.status}.`;
  try { text = (await response.json()).error || text; } catch { /* not ours: keep the number */ }
  throw Object.assign(new Error(text), { gone: response.status === 410 });
}

function bitmap(url) {  // of a data: URL, without asking the network
  const [head, body] = url.split(",");
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: head.slice(5).split(";")[0] }));
}
