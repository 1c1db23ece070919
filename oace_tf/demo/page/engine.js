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
 * @typedef {object} Mark  What one movement of the hand drew, in pixels of the photograph.
 * @property {"tap" | "scribble" | "box" | "drag" | "extreme"} kind
 * @property {[number, number][]} points  one; taps along a stroke; two corners; beginning and end; four
 * @property {boolean} object  whether it is on the object; false for taps and scribbles alone
 * @property {number} [choice]  which of several answers was taken
 * @property {number} [label]  of several objects: which it is on, from 1; 0 is none
 *
 * @typedef {object} Engine
 * @property {object} facts
 *   kinds: what the file knows (tap, background, box, drag, extreme); points: rows that it takes;
 *   encoder: whether photographs are encoded once, so that masks can follow the pointer; refines:
 *   whether edges can follow those of the photograph; model: the file in words, for the curious;
 *   maxBytes: of a photograph's file; place: where the photograph stays, a sentence;
 *   samples: file, title, photographer, licence, source, url
 * @property {(source: File | string) => Promise<Photo>} open  a file, or a sample by its name
 * @property {(photo: Photo, marks: Mark[], options: {refine: boolean}, signal: AbortSignal) =>
 *   Promise<{mask: ImageBitmap, share: number, ms: number, taken: number | null,
 *            alternatives: {mask: ImageBitmap, score: number}[]}>} mask  at the preview's size
 * @property {(photo: Photo, marks: Mark[]) => Promise<{mask: ImageBitmap, ms: number}>} glance
 *   a small mask, quickly
 * @property {(photo: Photo, marks: Mark[], options: {feather: number, crop: boolean, refine: boolean}) =>
 *   Promise<Blob>} cutout  a PNG of the photograph's size or, cropped, of the object's; feather in its pixels
 * @property {(photo: Photo, labels: {name: string, strokes: [number, number][][]}[], options: {refine: boolean},
 *   signal: AbortSignal) => Promise<{labels: ImageBitmap, shares: number[], ms: number}>} [regions]  several
 *   objects, where the engine can tell them apart: grey at the preview's size, 1 where the first one is, and so on;
 *   shares of the photograph, that of nothing first
 * @property {Function} [labels]  as `regions`: the same at the photograph's size, Promise<Blob>, a PNG
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
      kinds: facts.kinds, points: facts.max_points, encoder: facts.encoder, refines: true,
      model: `${facts.model}, ${facts.size_mb} MB, ${threads} on this computer's processor.`,
      maxBytes: facts.max_bytes, place: "The photograph stays on this computer.",
      samples: facts.samples.map((one) => ({ ...one, url: `samples/${encodeURIComponent(one.file)}` })),
    },
    open,
    mask: async (photo, marks, { refine }, signal) => {
      const said = await (await about(photo, "mask", { marks, refine }, signal)).json();
      const alternatives = await Promise.all(said.alternatives.map(
        async (one) => ({ ...one, mask: await bitmap(one.mask) })));
      return { ...said, mask: await bitmap(said.mask), alternatives };
    },
    glance: async (photo, marks) => {
      const { mask, ms } = await (await about(photo, "glance", { marks })).json();
      return { mask: await bitmap(mask), ms };
    },
    details: async (photo, marks, signal) => {
      const more = await (await about(photo, "details", { marks }, signal)).json();
      return { ...more, oace: more.oace && await bitmap(more.oace) };
    },
    regions: async (photo, labels, { refine }, signal) => {
      const said = await (await about(photo, "regions", { labels, refine }, signal)).json();
      return { ...said, labels: await bitmap(said.labels) };
    },
    labels: async (photo, labels, { refine }) => (await about(photo, "labels", { labels, refine })).blob(),
    cutout: async (photo, marks, options) => (await about(photo, "cutout", { marks, ...options })).blob(),
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

async function about(photo, what, request, signal, second = false) {
  try {
    return await ask(`photos/${photo.key}/${what}`, { method: "POST", body: JSON.stringify(request), signal });
  } catch (error) {
    if (!error.gone || second) throw error;
    photo.key = (await send(photo.source)).key;  // the server keeps a few only: send it again
    return about(photo, what, request, signal, true);
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
