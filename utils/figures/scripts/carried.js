// What a figure carries: the arrays in its attribute `data` (base64), or in the file that its attribute `src` names.
import { failed } from "./kit.js";

// zlib of a header in JSON and arrays one after the other, as utils/figures/_data.py packs them.
export async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  let at = 4 + new DataView(buffer).getUint32(0, true);
  const { parts, ...found } = JSON.parse(new TextDecoder().decode(buffer.slice(4, at)));
  for (const [name, kind, size] of parts) found[name] = new globalThis[kind](buffer.slice(at, at += size));
  return found;
}

// Read it, then start the figure.
export async function begin(element, start) {
  try {
    const inside = element.getAttribute("data");
    const bytes = inside ? Uint8Array.from(atob(inside), (c) => c.charCodeAt(0))
      : await (await fetch(element.getAttribute("src"))).arrayBuffer();
    await start(await unpacked(bytes));
  } catch (error) {
    failed(element, error);
  }
}
