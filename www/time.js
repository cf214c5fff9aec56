// Times as people say them.

const STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [86_400, 3600, "h"],
  [Infinity, 86_400, "d"],
];

/// Returns a duration in words, in its largest unit.
export function lasted(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [, unit, name] = STEPS.find(([below]) => seconds < below);
  return `${Math.floor(seconds / unit)} ${name}`;
}

export function ago(ms) {
  return ms < 10_000 ? "just now" : `${lasted(ms)} ago`;
}

export function milliseconds(ms) {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
