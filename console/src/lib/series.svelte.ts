import { getJson } from "./api";
import type { FleetSeries } from "./types";

const KEEP_S = 24 * 3600;
const FINEST_S = 20;

export interface Point {
  ts: number;
  powerKw: number | null;
  baselineKw: number | null;
}

/** A day of the fleet: the past from the store, then live points at most every 20 s of its time. */
export class FleetDay {
  points = $state.raw<Point[]>([]);
  loading = $state(true);
  failed = $state(false);

  /** Read the past; what came live in the meantime stays after it. */
  async load(path: string): Promise<void> {
    try {
      const series = await getJson<FleetSeries>(path);
      const past = series.timestamps.map((moment, i) => ({
        ts: Date.parse(moment) / 1000 + series.step_s / 2,
        powerKw: series.power_kw[i] ?? null,
        baselineKw: series.baseline_kw[i] ?? null,
      }));
      const last = past.at(-1)?.ts ?? 0;
      this.points = [...past, ...this.points.filter((point) => point.ts > last)];
      this.failed = false;
    } catch {
      this.failed = true;
    } finally {
      this.loading = false;
    }
  }

  /** Add a live point; one within 20 s of the one before last takes the last one's place. */
  add(now: string, powerKw: number, baselineKw: number | null): void {
    const point = { ts: Date.parse(now) / 1000, powerKw, baselineKw };
    // The twin may begin again: what lies ahead of the new present is dropped.
    const kept = this.points.filter((old) => old.ts > point.ts - KEEP_S && old.ts < point.ts);
    const before = kept.at(-2);
    if (before && point.ts - before.ts < FINEST_S) kept.pop();
    this.points = [...kept, point];
  }
}

/** Means by quarter of an hour, newest first: the chart's table. */
export function quarterHours(points: Point[]): Point[] {
  const groups = new Map<number, Point[]>();
  for (const point of points) {
    const start = Math.floor(point.ts / 900) * 900;
    groups.set(start, [...(groups.get(start) ?? []), point]);
  }
  return [...groups.entries()]
    .sort(([a], [b]) => b - a)
    .map(([ts, group]) => ({
      ts,
      powerKw: mean(group.map((point) => point.powerKw)),
      baselineKw: mean(group.map((point) => point.baselineKw)),
    }));
}

function mean(values: (number | null)[]): number | null {
  const known = values.filter((value): value is number => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}
