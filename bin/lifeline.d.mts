/**
 * Calls `callback` once when the launcher or npm above this process has died by kill -9. Never keeps the process alive.
 * The callback shuts down as SIGTERM would; after it the launcher waits 20 s at most before it kills what is left.
 */
export function onOrphaned(callback: () => void): void;
