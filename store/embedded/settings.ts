/** The server's settings: one small node, reachable from this machine only, that keeps what it has acknowledged. */
export function serverSettings(port: number, tag: string): string[] {
  const settings = {
    cluster_name: tag,
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: 60,
    shared_buffers: "96MB",
    max_wal_size: "256MB",
    huge_pages: "off",
    jit: "off",
    // Parallel workers share memory through /dev/shm, of which a container has 64 MB.
    max_parallel_workers_per_gather: 0,
    // Durability is promised: what was acknowledged survives a power cut.
    fsync: "on",
    synchronous_commit: "on",
    full_page_writes: "on",
    autovacuum: "on",
    timezone: "UTC",
    // Our own logs tell what failed. This one must not hold what people wrote: no statements, no values.
    log_min_messages: "error",
    log_min_error_statement: "panic",
    log_error_verbosity: "terse",
    log_checkpoints: "off",
    log_line_prefix: "%m [%p] ",
    logging_collector: "off",
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}
