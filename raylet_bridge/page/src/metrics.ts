// The figures that the heat map can show.

import { age, percent, rate, time } from "base/web/format.ts";
import type { FigureName, LayerCounts } from "./matrix.ts";

export interface Metric {
  id: string;
  label: string;
  explains: string;
  column: FigureName | null; // null: the state itself
  lowIsWorse: boolean;
  logarithmic: boolean;
  show: (value: number) => string;
}

export const METRICS: Metric[] = [
  { id: "rtt", label: "RTT p50", explains: "full round trip, median of the window", column: "rtt_p50_ms", lowIsWorse: false, logarithmic: true, show: time },
  {
    id: "network-rtt",
    label: "Network RTT",
    explains: "round trip less what the peer held it, median of the window",
    column: "network_rtt_p50_ms",
    lowIsWorse: false,
    logarithmic: true,
    show: time,
  },
  { id: "jitter", label: "Jitter", explains: "p95 − p50 of the window of round trips", column: "jitter_ms", lowIsWorse: false, logarithmic: true, show: time },
  {
    id: "bandwidth",
    label: "Bandwidth",
    explains: "payload that the destination received, median of the window",
    column: "bw_p50_mbps",
    lowIsWorse: true,
    logarithmic: true,
    show: rate,
  },
  {
    id: "percent",
    label: "% of expected",
    explains: "bandwidth, of what the path could carry",
    column: "bw_percent",
    lowIsWorse: true,
    logarithmic: false,
    show: percent,
  },
  { id: "rtt-age", label: "Age of RTT", explains: "since the newest round trip", column: "rtt_age_ms", lowIsWorse: false, logarithmic: true, show: age },
  {
    id: "bw-age",
    label: "Age of bandwidth",
    explains: "since the newest bandwidth probe",
    column: "bw_age_ms",
    lowIsWorse: false,
    logarithmic: true,
    show: age,
  },
  { id: "state", label: "State", explains: "what is known of the edge", column: null, lowIsWorse: false, logarithmic: false, show: String },
];

/** Of bandwidth, which grows old between its probes. */
export const ofBandwidth = ({ id }: Metric) => id === "bandwidth" || id === "percent";

/** What to open with: bandwidth where more edges are slow by it than by their round trips. */
export function worstMetric({ slow_bandwidth, slow_rtt }: LayerCounts): string {
  return slow_bandwidth > slow_rtt ? "bandwidth" : "rtt";
}

export function metricOf(id: string): Metric {
  return METRICS.find((metric) => metric.id === id) ?? METRICS[0]!;
}
