/** Where the console starts. The token leaves the address bar and the colours are set before anything is drawn. */
import "@mantine/core/styles.layer.css";
import "./app/global.css";
import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createQueryClient } from "./api/queries.ts";
import { App } from "./app/app.tsx";
import { styleNonce } from "./app/style-nonce.ts";
import { colourVariables, paintFirstColourScheme, schemeStore, theme } from "./app/theme.ts";
import { takeFragmentToken } from "./session/fragment-token.ts";

const token = takeFragmentToken();
const nonce = styleNonce();
paintFirstColourScheme();

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <MantineProvider
      theme={theme}
      cssVariablesResolver={colourVariables}
      colorSchemeManager={schemeStore}
      defaultColorScheme="auto"
      getStyleNonce={() => nonce}
    >
      <QueryClientProvider client={createQueryClient()}>
        <App token={token} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
