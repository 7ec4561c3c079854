// Python for a live page, in a worker of its own so that the page stays awake (started by live.js at the first Run).
// It loads Pyodide from `base`, then for each cell what the cell imports, and reports every step.

const own = new URL(".", import.meta.url);
const tell = (type, fields = {}) => postMessage({ type, ...fields });

// Everything goes through fetch, so this is the place to count: bytes (unpacked) and requests.
const loaded = { bytes: 0, requests: 0 };
const plainFetch = self.fetch.bind(self);
let last = 0;
self.fetch = async (...args) => {
  const response = await plainFetch(...args);
  loaded.requests += 1;
  if (!response.ok || !response.body) return response;
  const count = new TransformStream({
    transform(chunk, controller) {
      loaded.bytes += chunk.byteLength;
      if (performance.now() - last > 100) { last = performance.now(); tell("load", loaded); }
      controller.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(count), { status: response.status, headers: response.headers });
};

async function get(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${response.status} for ${address}`);
  return response;
}

let python, runner, settings;
const unpacked = new Set();
let incomplete = []; // packages that did not load

async function start({ interrupt }) {
  const began = performance.now();
  tell("load", { ...loaded, what: "Python" });
  settings = await (await get(new URL("live.json", own))).json();
  const base = new URL(settings.pyodide, own).href;
  const [{ loadPyodide }, runnerText] = await Promise.all([
    import(`${base}pyodide.mjs`),
    get(new URL("live_runner.py", own)).then((response) => response.text()),
  ]);
  python = await loadPyodide({ indexURL: base, env: { MPLBACKEND: "agg", HOME: "/home/pyodide" } });
  if (interrupt) python.setInterruptBuffer(interrupt);
  await unpack("utils");
  python.FS.mkdirTree("/course/notebooks");
  python.FS.chdir("/course/notebooks");
  python.FS.writeFile("/course/live_runner.py", runnerText);
  python.runPython("import sys; sys.path.insert(0, '/course'); import live_runner; live_runner.prepare()");
  runner = python.pyimport("live_runner");
  tell("ready", { ...loaded, seconds: (performance.now() - began) / 1000 });
}

async function unpack(name) {
  if (unpacked.has(name)) return;
  const data = await (await get(new URL(settings.archives[name], own))).arrayBuffer();
  if (name === "photograph") {
    python.FS.writeFile("/course/photograph.png", new Uint8Array(data));
    runner.place_photograph();
  } else {
    python.unpackArchive(data, "zip", { extractDir: "/course" });
  }
  unpacked.add(name);
}

// What a cell imports: packages of Pyodide, parts of the course, and whatever else the reader thought of.
async function fetchNeeds(code) {
  const { packages, archives } = JSON.parse(runner.needs(code));
  const lacks = (name) => !Object.keys(python.loadedPackages).some((key) => key.toLowerCase() === name);
  const missing = [...new Set([...packages.filter(lacks), ...incomplete])];
  const failed = [], absent = [];
  const messageCallback = (text) => absent.push(...(/^Failed to load (.+)$/.exec(text)?.[1].split(", ") ?? []));
  const say = { messageCallback, errorCallback: (text) => failed.push(text), checkIntegrity: true };
  if (missing.length) {
    const names = { numpy: "NumPy", matplotlib: "Matplotlib", pillow: "Pillow" }, what = missing.map((name) => names[name] ?? name).join(", ");
    tell("load", { ...loaded, what });
    await python.loadPackage(missing, say).catch((error) => failed.push(String(error?.message ?? error)));
    if (failed.length) {
      const said = `${what} could not be loaded. Is there a network?`, text = failed.at(-1);
      incomplete = absent; // perhaps what one of them needs: to be asked for by name, now that the others are there
      throw Object.assign(new Error(text), { said });
    }
    incomplete = [];
  }
  for (const name of archives) {
    if (!unpacked.has(name)) tell("load", { ...loaded, what: name === "figures" ? "the figures" : "the pictures" });
    await unpack(name);
  }
  await python.loadPackagesFromImports(code, { ...say, errorCallback() {} }).catch(() => {});
}

async function run({ id, code, name }) {
  const emit = (kind, data, metadata) => tell("out", { id, kind, data, metadata: JSON.parse(metadata) });
  try {
    await fetchNeeds(code);
  } catch (error) {
    return tell("lost", { id, said: error.said, text: String(error?.message ?? error) });
  }
  tell("running", { id });
  const began = performance.now();
  let ok = false;
  try {
    ok = runner.run(code, name, emit);
  } catch (error) {   // Python itself is gone: out of memory, say
    return tell("dead", { id, text: String(error?.message ?? error) });
  }
  const ms = performance.now() - began;
  for (const points of runner.points().toJs({ dict_converter: Object.fromEntries })) tell("points", points);
  tell("done", { id, ok, ms, ...loaded });
}

let queue;
onmessage = ({ data }) => {
  if (data.type === "start") queue = start(data).catch((error) => tell("fatal", { text: String(error?.message ?? error) }));
  else queue = queue.then(() => (runner ? run(data) : null));
};
