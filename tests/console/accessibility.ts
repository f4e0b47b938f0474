/** The basics that can be measured: every control has a name, every text has the contrast of WCAG AA (4.5:1). */
import type { Page } from "playwright-core";

/** Controls that a screen reader could not name. */
export const namelessControls = (page: Page): Promise<string[]> => page.evaluate(findNameless);

const findNameless = `(() => {
  const controls = document.querySelectorAll("a[href], button, input, select, textarea, summary, [role=button]");
  const nameOf = (element) =>
    element.getAttribute("aria-label") ||
    (element.getAttribute("aria-labelledby") || "").split(" ").map((id) => document.getElementById(id)?.textContent).join("") ||
    [...(element.labels ?? [])].map((label) => label.textContent).join("") ||
    element.textContent;
  return [...controls].filter((element) => element.type !== "hidden" && element.checkVisibility() && !(nameOf(element) || "").trim())
    .map((element) => element.outerHTML.slice(0, 160));
})()`;

/** Texts below 4.5:1, each with its ratio. Disabled controls are exempt by WCAG. */
export const weakContrasts = (page: Page): Promise<string[]> => page.evaluate(findWeak);

const findWeak = `(() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((value, i) => value * top[3] + under[i] * (1 - top[3]));
  const groundOf = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((value) => value / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest("[disabled], [data-disabled], noscript")) continue;
    const ground = groundOf(element);
    const text = over(rgba(getComputedStyle(element).color), ground);
    const [light, dark] = [luminance(ground), luminance(text)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) weak.push(ratio.toFixed(2) + " " + node.data.trim().slice(0, 40));
  }
  return weak;
})()`;
