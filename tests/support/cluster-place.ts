/** Where the shared test cluster is, and how to reach a database in it: through a Unix socket in its folder only. */
export const templateName = "parley_template";

export const clusterUrl = (folder: string, database: string): string =>
  `postgresql://parley@localhost/${database}?host=${encodeURIComponent(folder)}`;
