/**
 * The gateway allows <style> elements only with the nonce it writes into index.html for each answer. Mantine takes it as
 * a prop; the scroll lock of its dialogs (react-remove-scroll, by way of get-nonce) reads this global name.
 */
export function styleNonce(): string {
  const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
  (window as { __webpack_nonce__?: string }).__webpack_nonce__ = nonce;
  return nonce;
}
