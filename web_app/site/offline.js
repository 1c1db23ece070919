// The page's side of the service worker: registered, waited for, and the page loaded once more where
// only the service worker makes it cross-origin isolated (threads need that).

const PATIENCE_MS = 10_000, RELOADED_AT = "loaded again at";

/** Whether the page will work without a network from now on. */
export async function becomeOffline() {
  if (!("serviceWorker" in navigator)) return false;
  let registration;
  try {
    registration = await navigator.serviceWorker.register(new URL("./service-worker.js", document.baseURI));
  } catch {
    return false;  // private windows of some browsers
  }
  if (!registration) return false;
  // loaded past the service worker by Shift and the reload button: it will not come by itself
  const passed = !navigator.serviceWorker.controller && registration.active;
  const controlled = !passed && await control();
  if (passed || (controlled && !globalThis.crossOriginIsolated)) await loadAgain();
  return controlled;
}

function control() {
  if (navigator.serviceWorker.controller) return true;
  return new Promise((resolve) => {
    navigator.serviceWorker.addEventListener("controllerchange", () => resolve(true), { once: true });
    setTimeout(() => resolve(Boolean(navigator.serviceWorker.controller)), PATIENCE_MS);
  });
}

async function loadAgain() {  // but never in a circle
  if (Date.now() - Number(sessionStorage.getItem(RELOADED_AT)) < PATIENCE_MS) return;
  sessionStorage.setItem(RELOADED_AT, String(Date.now()));
  location.reload();
  await new Promise(() => {});
}

/** The photograph that another app shared with this one, as a File, or null. */
export async function takeShared() {
  if (!new URLSearchParams(location.search).has("shared") || !("caches" in window)) return null;
  history.replaceState(null, "", location.pathname);
  const cache = await caches.open("shared"), answer = await cache.match("photograph");
  await cache.delete("photograph");
  if (!answer) return null;
  const name = decodeURIComponent(answer.headers.get("X-File-Name") ?? "shared");
  return new File([await answer.blob()], name);
}
