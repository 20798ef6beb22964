import uPlot from "uplot";
import { kw } from "./words";

export interface ChartWindow {
  startS: number;
  endS: number;
  nominatedKw: number | null;
}

function colour(place: Element, name: string): string {
  return getComputedStyle(place).getPropertyValue(name).trim();
}

/** The fleet chart: upwards is giving, downwards is drawing; the scale reaches at least `atLeastKw`. */
export function fleetOptions(place: HTMLElement, zone: string, height: number, atLeastKw: () => number): uPlot.Options {
  const soft = colour(place, "--ink-soft");
  const line = colour(place, "--line");
  const font = `12px ${colour(place, "--font")}`;
  const axis = { stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  return {
    width: Math.max(place.clientWidth, 200),
    height,
    tzDate: (ts) => uPlot.tzDate(new Date(ts * 1e3), zone),
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    padding: [12, 22, 0, 0],
    scales: { x: { time: true }, y: { range: (_, low, high) => range(low, high, atLeastKw()) } },
    axes: [
      {
        ...axis,
        space: 62,
        size: 30,
        values: (_, splits, _axis, _space, step) =>
          splits.map((ts) => uPlot.fmtDate(step >= 86400 ? "{MMM} {D}" : "{HH}:{mm}")(uPlot.tzDate(new Date(ts * 1e3), zone))),
      },
      { ...axis, size: 84, space: 44, values: (_, splits) => splits.map((value) => (value === 0 ? "0 kW" : `${value > 0 ? "↑" : "↓"} ${kw(value)}`)) },
    ],
    series: [
      {},
      {
        label: "Fleet",
        stroke: (self) => bySign(self, colour(place, "--discharge-fill"), colour(place, "--charge-fill"), soft),
        width: 2.2,
        fill: (self) => bySign(self, colour(place, "--discharge-wash"), colour(place, "--charge-wash"), "transparent"),
        fillTo: 0,
        points: { show: false },
      },
      { label: "Baseline", stroke: soft, width: 1.6, dash: [2, 3], points: { show: false } },
    ],
  };
}

/** One colour above zero and another below: amber gives, blue draws; rest is neither. */
function bySign(self: uPlot, above: string, below: string, rest: string): CanvasGradient | string {
  const { top, height } = self.bbox;
  if (!self.scales.y || self.scales.y.min == null || height <= 0) return above;
  const zero = Math.min(Math.max((self.valToPos(0, "y", true) - top) / height, 0), 1);
  const gradient = self.ctx.createLinearGradient(0, top, 0, top + height);
  gradient.addColorStop(0, above);
  const edge = (2 * (devicePixelRatio || 1)) / height;
  for (const [at, paint] of [[-edge, above], [-edge, rest], [edge, rest], [edge, below]] as const) {
    gradient.addColorStop(Math.min(Math.max(zero + at, 0), 1), paint);
  }
  gradient.addColorStop(1, below);
  return gradient;
}

function range(low: number | null, high: number | null, atLeastKw: number): [number, number] {
  const top = Math.max(high ?? 0, atLeastKw, 100) * 1.12;
  return [Math.min((low ?? 0) * 1.12, -0.08 * top), top];
}

/** Under the lines: the event's hours tinted, the nominated power as a band to be filled. */
export function drawWindow(self: uPlot, shown: ChartWindow | null): void {
  const { ctx, bbox } = self;
  const clampX = within(self);
  ctx.save();
  if (shown && shown.endS > (self.scales.x?.min ?? 0)) {
    const left = clampX(shown.startS);
    const right = clampX(shown.endS);
    ctx.fillStyle = colour(self.root, "--sunk");
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    if (shown.nominatedKw !== null) {
      const top = self.valToPos(shown.nominatedKw, "y", true);
      const zero = self.valToPos(0, "y", true);
      ctx.globalAlpha = 0.75;
      ctx.fillStyle = colour(self.root, "--line");
      ctx.fillRect(left, top, right - left, zero - top);
    }
  }
  ctx.restore();
}

/** Over the lines: the nominated power and the moment now. */
export function drawMarks(self: uPlot, shown: ChartWindow | null, nowS: number): void {
  const { ctx, bbox } = self;
  const ratio = devicePixelRatio || 1;
  const clampX = within(self);
  ctx.save();
  if (shown && shown.nominatedKw !== null && shown.endS > (self.scales.x?.min ?? 0)) {
    const top = self.valToPos(shown.nominatedKw, "y", true);
    stroke(ctx, [clampX(shown.startS), top, clampX(shown.endS), top], colour(self.root, "--ink"), 1.5 * ratio, [6 * ratio, 4 * ratio]);
  }
  const now = clampX(nowS);
  stroke(ctx, [now, bbox.top, now, bbox.top + bbox.height], colour(self.root, "--line-strong"), ratio, [2 * ratio, 3 * ratio]);
  ctx.restore();
}

function within(self: uPlot): (ts: number) => number {
  const { left, width } = self.bbox;
  return (ts) => Math.min(Math.max(self.valToPos(ts, "x", true), left), left + width);
}

function stroke(ctx: CanvasRenderingContext2D, line: [number, number, number, number], style: string, width: number, dash: number[]) {
  ctx.strokeStyle = style;
  ctx.lineWidth = width;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(line[0], line[1]);
  ctx.lineTo(line[2], line[3]);
  ctx.stroke();
}
