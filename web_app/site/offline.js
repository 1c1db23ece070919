// The page's side of the service worker: registered, waited for, and the page loaded once more where
// only the service worker makes it cross-origin isolated (threads need that).

const PATIENCE_MS = 10_000, RELOADED = "loaded again for threads";

/** Whether the page will work without a network from now on. */
export async function becomeOffline() {
  if (!("serviceWorker" in navigator)) return false;
  try {
    await navigator.serviceWorker.register(new URL("./service-worker.js", document.baseURI));
  } catch {
    return false;  // private windows of some browsers
  }
  if (!await controlled()) return false;
  if (!globalThis.crossOriginIsolated && !sessionStorage.getItem(RELOADED)) {
    sessionStorage.setItem(RELOADED, "yes");
    location.reload();
    await new Promise(() => {});
  }
  return true;
}

function controlled() {
  if (navigator.serviceWorker.controller) return true;
  return new Promise((resolve) => {
    navigator.serviceWorker.addEventListener("controllerchange", () => resolve(true), { once: true });
    setTimeout(() => resolve(false), PATIENCE_MS);
  });
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
