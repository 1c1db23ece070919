// Keeps page, runtime and model on the device, and makes the page cross-origin isolated where its
// host sets no headers. The three lists are filled in by the build (vite.config.js).

const VERSION = "__VERSION__";
const SMALL = __SMALL__;  // fetched at once
const LARGE = __LARGE__;  // kept when first used: a device needs one of the runtime's variants
const POLICY = "__POLICY__";
const PAGE = `page-${VERSION}`, FILES = "files";  // names in FILES hold a version or a hash

const local = (path) => new URL(path, self.registration.scope).href;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(PAGE).then((cache) => cache.addAll(
    SMALL.map((path) => new Request(local(path), { cache: "reload" })))));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("page-") && name !== PAGE) await caches.delete(name);
    }
    const files = await caches.open(FILES), wanted = new Set(LARGE.map(local));
    for (const { url } of await files.keys()) if (!wanted.has(url)) await files.delete(url);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const { request } = event, url = new URL(request.url);
  if (!url.href.startsWith(self.registration.scope)) return;
  if (request.method === "POST" && url.href === local("share")) event.respondWith(share(request));
  else if (request.method === "GET") event.respondWith(answer(request, url));
});

async function answer(request, url) {
  const path = url.origin + url.pathname;
  const key = path === self.registration.scope ? local("index.html") : path;
  const kept = await caches.match(key, { ignoreVary: true });
  if (kept) return isolated(kept);
  const fresh = await fetch(request);
  if (fresh.status === 200 && LARGE.some((name) => local(name) === key)) {
    await (await caches.open(FILES)).put(key, fresh.clone());
  }
  return isolated(fresh);
}

async function share(request) {  // a photograph from another app's share sheet
  const photograph = (await request.formData()).get("photograph");
  if (photograph) {
    await (await caches.open("shared")).put("photograph", new Response(photograph, {
      headers: { "X-File-Name": encodeURIComponent(photograph.name) } }));
  }
  return Response.redirect(local("./?shared"), 303);
}

function isolated(response) {
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Content-Security-Policy", POLICY);
  headers.set("X-Content-Type-Options", "nosniff");
  headers.set("Referrer-Policy", "no-referrer");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
