// The words inside a figure whose contrast with what lies behind them is below 4.5: for the browser, as a function of the element.
(host) => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const color = (name) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = name;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, alpha / 255];
  };
  const parent = (e) => e.parentElement ?? e.getRootNode().host;
  const over = ([r, g, b, alpha], below) => [r, g, b].map((v, k) => v * alpha + below[k] * (1 - alpha));
  const ground = (e) => (e ? over(color(getComputedStyle(e).backgroundColor), ground(parent(e))) : [255, 255, 255]);
  const linear = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = (rgb) => rgb.reduce((sum, v, k) => sum + linear(v) * [0.2126, 0.7152, 0.0722][k], 0);
  const opacity = (e) => (e ? getComputedStyle(e).opacity * opacity(parent(e)) : 1);
  const own = (e) => [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE).map((n) => n.data).join("").trim();
  return [...host.shadowRoot.querySelectorAll("*")].flatMap((e) => {
    const words = e.matches("select, input:not([type=range], [type=file])") ? e.value : own(e);
    if (!words || e.disabled || e.matches("style, option") || !e.getClientRects().length) return [];
    const { fill, color: plain } = getComputedStyle(e), [r, g, b, alpha] = color(e.ownerSVGElement ? fill : plain);
    const behind = ground(e), both = [light(over([r, g, b, alpha * opacity(e)], behind)), light(behind)].sort((p, q) => q - p);
    const ratio = (both[0] + 0.05) / (both[1] + 0.05);
    return ratio < 4.5 ? [`${words.slice(0, 30)}: ${ratio.toFixed(2)}`] : [];
  });
}
