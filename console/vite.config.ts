/**
 * How the console is built. Only hashed files and one index.html come out, none with an inline script or style, so that
 * the gateway's strict Content-Security-Policy holds. scripts/build-console.ts is what runs it.
 */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  base: "/",
  plugins: [react()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    /** A data: font or script would need a wider policy. */
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1_500,
  },
  server: { port: 7471, proxy: { "/v1": "http://127.0.0.1:7470" } },
});
