// The page without a network: its files come from the server, and where that is away, from here.

const CACHE = "todo";
const PATIENCE = 3000; // milliseconds until what is here is better than waiting
const MODULES = "account app composer dates decide door draw edit links list messages queue refused requests";
const SCRIPTS = `start ${MODULES} send state stream words`.split(" ").map((name) => `static/${name}.js`);
const FILES = ["./", "static/app.css", "static/later.css", "static/icon.svg", "static/manifest.webmanifest", ...SCRIPTS];
const isOurs = new Set(FILES.map((file) => new URL(file, registration.scope).href));
const nameOf = ({ url }) => url.replace(/[?#].*/, "");

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && isOurs.has(nameOf(request))) event.respondWith(answer(event));
});

/** Answer with what the server has; where it does not answer well or in time, with what is kept. */
async function answer(event) {
  const { request } = event;
  const [cache, name] = [await caches.open(CACHE), nameOf(request)];
  const fetched = fetch(request).then((response) => {
    if (response.status >= 500) throw new Error("The server is in trouble");
    const isSound = response.ok && response.type === "basic" && !response.redirected;
    if (isSound) event.waitUntil(cache.put(name, response.clone()));
    return response;
  });
  const late = new Promise((_, reject) => setTimeout(reject, PATIENCE));
  event.waitUntil(fetched.catch(() => {}));
  return Promise.race([fetched, late]).catch(async () => (await cache.match(name)) ?? fetched);
}
