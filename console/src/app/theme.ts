/** The console's colours and type. Every text colour here has at least 4.5:1 on every ground it is used on (WCAG AA). */
import {
  type CSSVariablesResolver,
  createTheme,
  localStorageColorSchemeManager,
  type MantineColorsTuple,
} from "@mantine/core";

const pine: MantineColorsTuple = [
  "#e8f5f2",
  "#d3ebe6",
  "#a6d8ce",
  "#74c4b4",
  "#4fb3a0",
  "#2f9e8a",
  "#178473",
  "#0b6e63",
  "#085c53",
  "#054a43",
];

const dark: MantineColorsTuple = [
  "#e6e7e8",
  "#c3c7cb",
  "#a3a9b0",
  "#7d848c",
  "#3b4046",
  "#2c3034",
  "#1e2124",
  "#17191b",
  "#121315",
  "#0c0d0e",
];

export const theme = createTheme({
  primaryColor: "pine",
  primaryShade: 7,
  colors: { pine, dark },
  fontFamily:
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: "12px", sm: "13.5px", md: "15px", lg: "17px", xl: "20px" },
  headings: {
    fontWeight: "650",
    sizes: { h1: { fontSize: "24px" }, h2: { fontSize: "17px" }, h3: { fontSize: "20px" } },
  },
  defaultRadius: "md",
  focusRing: "auto",
  cursorType: "pointer",
  components: {
    Button: { defaultProps: { size: "sm" } },
    Modal: {
      defaultProps: {
        centered: true,
        overlayProps: { backgroundOpacity: 0.45 },
        closeButtonProps: { "aria-label": "Close" },
      },
    },
    Tooltip: { defaultProps: { withArrow: true, openDelay: 300 } },
  },
});

export const colourVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#ffffff",
    "--mantine-color-text": "#1c1f22",
    "--mantine-color-dimmed": "#5a6068",
    "--mantine-color-placeholder": "#6a717a",
    "--mantine-color-error": "#b42318",
    "--mantine-color-anchor": "#0b6e63",
    "--mantine-color-default-border": "#cdd0d3",
  },
  dark: {
    "--mantine-color-body": "#17191b",
    "--mantine-color-text": "#e6e7e8",
    "--mantine-color-dimmed": "#a3a9b0",
    "--mantine-color-placeholder": "#929aa3",
    "--mantine-color-error": "#ff9a8f",
    "--mantine-color-anchor": "#7bd3c3",
    "--mantine-color-default": "#202326",
    "--mantine-color-default-hover": "#282c30",
    "--mantine-color-default-border": "#3b4046",
  },
});

const schemeKey = "parley-colour-scheme";
export const schemeStore = localStorageColorSchemeManager({ key: schemeKey });

/** The attribute Mantine sets in an effect, set before the first paint: no flash, and no inline script. */
export function paintFirstColourScheme(): void {
  const chosen = schemeStore.get("auto");
  const dark =
    chosen === "auto" ? window.matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
}
